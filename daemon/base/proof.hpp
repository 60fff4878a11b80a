// What an upstream proved about one token: facts only. Whether a caller may act on them is decided on every hit, from
// that caller's requirement; how long they may be kept is decided at admission (cache/ttl.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/verdict.hpp"

namespace authcached {

using Sha256 = std::array<std::uint8_t, 32>;

// A sender constraint (RFC 7800 cnf). Exactly one member is supported per token; any other shape is
// Reason::kConfirmation at the place where the token is checked.
struct Confirmation {
  enum class Kind : std::uint8_t { kJwkThumbprint = 1 /* RFC 9449 jkt */, kCertificate = 2 /* RFC 8705 x5t#S256 */ };
  Kind kind;
  Sha256 thumbprint;
  bool operator==(const Confirmation&) const = default;
};

struct Identity {
  std::string subject;
  std::string issuer;     // empty for own sessions
  std::string client_id;
  std::string sid;
  std::string jti;
  std::vector<std::string> scopes;
  std::vector<std::string> permissions;  // roles appear as "role:<name>"
  std::vector<std::string> audience;
  std::optional<Confirmation> confirmation;
  std::string claims_json;               // all claims as one JSON object; may be empty
  bool operator==(const Identity&) const = default;
};

// Wall-clock times are nanoseconds since the Unix epoch. Absent means that the upstream did not say.
struct Proof {
  authcache::shm::Verdict verdict = authcache::shm::Verdict::kUnavailable;  // kValid, kInvalid or kUnavailable only
  authcache::shm::Reason reason = authcache::shm::Reason::kUpstream;
  Identity identity;                        // kValid only
  std::optional<std::int64_t> expires_wall_ns;  // kValid: the end, leeway included: a record must not live at or after it
  std::optional<std::int64_t> issued_wall_ns;   // iat, or created-at of an own session
  std::optional<std::int64_t> keep_until_wall_ns;  // kValid: what proved it is not to be relied on later, whatever the token says
  std::optional<std::int64_t> retry_wall_ns;    // kInvalid: from then on the answer may change (nbf); bounds the negative TTL
  std::optional<Sha256> signing_input;      // a JWS only: SHA-256 of header.payload; a malleated twin shares it
  std::optional<Sha256> key_thumbprint;     // RFC 7638 thumbprint of the key that proved it
};

}  // namespace authcached
