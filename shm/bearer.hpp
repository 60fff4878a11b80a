// The value of an Authorization header, RFC 6750 section 2.1: scheme "Bearer" in any case, one or more
// spaces, one token68 (RFC 9110 section 11.2), nothing else. Pure.
//
// Here, because both sides cut tokens out of headers (the SDK, and the daemon's HTTP face), and a token is its bytes: were
// they cut in two ways, one request would be two tokens, and a revocation would name one of them.
#pragma once

#include <cstdint>
#include <string_view>

namespace authcache::shm {

enum class BearerParse : std::uint8_t {
  kToken,
  kNotBearer,  // empty, or another scheme: the request has no bearer credentials
  kMalformed,  // Bearer, or not a header value at all: 400 invalid_request
};

// On kToken, `token` is a part of `header`.
[[nodiscard]] BearerParse parse_bearer(std::string_view header, std::string_view& token) noexcept;

}  // namespace authcache::shm
