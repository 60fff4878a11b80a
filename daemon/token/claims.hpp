// The claims of a token whose signature is good, judged in time and turned into facts (RFC 7519, RFC 9068).
// The audience is collected, not judged: who asks is not known here. Pure; any thread. May throw
// std::bad_alloc, nothing else.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>

#include "daemon/base/proof.hpp"
#include "daemon/token/jwt.hpp"

namespace authcached {

// Subjects and client ids are at most 255 bytes by OpenID Connect Core section 2; issuers and audiences are
// URLs.
inline constexpr std::size_t kIdentifierBytesMax = 512;
// Every fact becomes a bit or a text of its own in the table; a token with more is a directory, not a
// credential.
inline constexpr std::size_t kAudiencesMax = 64;
inline constexpr std::size_t kGrantsMax = 512;  // scopes, and permissions with roles, each
inline constexpr std::size_t kGrantBytesMax = 256;
// "No more than a few minutes" (RFC 7519 section 4.1.4). The configuration refuses more; here it is the bound
// that keeps the arithmetic from wrapping.
inline constexpr std::int64_t kLeewayMaxNs = 300'000'000'000;

// Required: iss and exp; by RFC 9068 also aud, sub, client_id, iat and jti. Valid iff now < exp + leeway.
// - iat later than now + leeway is kNotYetValid: a token dated ahead would outlive a rule "deny what was
// issued until now".
// - policy.max_lifetime_ns of 0 means no maximum. A legacy token without iat is measured from now.
// - A NUL in an identifier is refused: a caller in C would read a shorter name.
// - A permission that begins with "role:" is left out: it would pass for a role, which another authority may
// grant.
// - Scopes come from `scope`, in the legacy type also from `scp` (text or array) where there is no `scope`.
// The proof is kValid or kInvalid; signing_input and key_thumbprint are the caller's to fill.
[[nodiscard]] Proof judge_claims(const boost::json::object& claims, const JwtPolicy& policy,
                                 std::int64_t wall_now_ns);

}  // namespace authcached
