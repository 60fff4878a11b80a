// The value of an Authorization header that carries an access token, by the scheme Bearer (RFC 6750
// section 2.1) or DPoP (RFC 9449 section 7.1): the scheme in any case, one or more spaces, one token68 (RFC
// 9110 section 11.2), nothing else. Pure.
//
// Here, because both sides cut tokens out of headers (the SDK, and the daemon's HTTP face), and a token is
// its bytes: were they cut in two ways, one request would be two tokens, and a revocation would name one of
// them.
#pragma once

#include <cstdint>
#include <string_view>

namespace authcache::shm {

enum class TokenScheme : std::uint8_t { kBearer, kDpop };

enum class TokenParse : std::uint8_t {
  kToken,
  kOtherScheme,  // empty, or another scheme: the request has no credentials of this one
  kMalformed,    // this scheme, or not a header value at all: 400 invalid_request
};

// On kToken, `token` is a part of `header`; else it is empty. A header that says one scheme is never a token
// of the other: who is shown a token by Bearer must not take it for one that came with a proof.
[[nodiscard]] TokenParse parse_authorization(std::string_view header, TokenScheme scheme,
                                             std::string_view& token) noexcept;

}  // namespace authcache::shm
