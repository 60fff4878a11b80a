// From the bytes of a JWT to a Proof: structure, header, key, signature, claims. Pure: no I/O, no clock of
// its own.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/token/key_set.hpp"

namespace authcached {

struct JwtPolicy {
  std::string issuer;                 // compared byte for byte
  std::vector<Algorithm> algorithms;  // allow-list
  TokenType token_type = TokenType::kAccessToken;
  std::int64_t leeway_ns = 0;
  std::int64_t max_lifetime_ns = 0;  // exp - iat beyond this is Reason::kLifetime
  // The claims are an endpoint's answer about a token (RFC 7662): exp and iss may be absent, an empty issuer
  // stands for any, and leeway lengthens no life, as nothing may be kept beyond the exp that was told.
  bool introspected = false;
};

// The cheap test before any work (RFC 7515 section 7.1): two dots, three non-empty base64url segments, length
// limit. O(n), no copy, no allocation.
[[nodiscard]] bool is_compact_jws(std::string_view token);

// Thread-safe for distinct calls over one KeySet. Facts (kValid) never depend on who asks: the audience is
// returned, not judged.
[[nodiscard]] Proof verify_jwt(std::string_view token, const JwtPolicy& policy, const KeySet& keys,
                               std::int64_t wall_now_ns);

}  // namespace authcached
