// What a lookup or a validation can answer. The values are ABI: they stand in records, in frames and, under the
// same numbers, in authcache.h. Append only.
#pragma once

#include <cstdint>
#include <string_view>

namespace authcache::shm {

enum class Verdict : std::uint8_t {
  kValid = 0,
  kMiss = 1,         // shared memory holds no current record: ask the daemon
  kInvalid = 2,      // the token is bad, and Reason says why
  kForbidden = 3,    // the token is good, this caller's requirement is not met
  kUnavailable = 4,  // cannot tell; never cached
};

enum class Reason : std::uint8_t {
  kNone = 0,

  // with kInvalid
  kMalformed = 1,        // not shaped like a token of this profile
  kUnknown = 2,          // no such session
  kExpired = 3,
  kNotYetValid = 4,
  kRevoked = 5,
  kBadSignature = 6,
  kUnknownKey = 7,
  kAlgorithm = 8,        // missing, not allowed by the profile, or not the key's
  kIssuer = 9,
  kAudience = 10,
  kClaims = 11,          // a required claim is missing or of the wrong type
  kType = 12,            // the typ header is not one that the profile takes
  kConfirmation = 13,    // a cnf that cannot be enforced
  kLifetime = 14,        // lives longer than the profile permits
  kTooLong = 15,         // over the token length limit
  kCritical = 16,        // crit or b64: an extension that we must not ignore

  // with kForbidden
  kScope = 32,
  kPermission = 33,
  kConfirmationRequired = 34,  // sender-constrained, and no matching thumbprint was bound

  // with kInvalid, of a DPoP proof (RFC 9449); never in a record. The reasons above are used for it too
  kProofKey = 48,       // its jwk is missing, private, weak, or of a kind that is not taken
  kProofMethod = 49,    // htm: made for another method
  kProofUrl = 50,       // htu: made for another URL, or one of the two is no absolute http(s) URI
  kProofToken = 51,     // ath: made for another access token
  kProofNonce = 52,     // without the nonce that the server asked for
  kProofReplayed = 53,  // used before on this host

  // with kUnavailable
  kNoTable = 64,
  kHeartbeatStale = 65,
  kTimeNamespace = 66,     // the heartbeat is later than this process's clock
  kCatchingUp = 67,
  kDaemonUnreachable = 68,
  kTimeout = 69,
  kOverBudget = 70,        // this uid asked for more misses than its share
  kUpstream = 71,
  kRetired = 72,
  kUnknownProfile = 73,
  kOverloaded = 74,        // a bound of the daemon was reached
  kProtocol = 75,          // the other side sent something that no version of it should
};

[[nodiscard]] std::string_view verdict_name(Verdict verdict);  // "valid", ...; "?" for other values
[[nodiscard]] std::string_view reason_name(Reason reason);     // "bad_signature", ...; "" for kNone, "?" for other values

}  // namespace authcache::shm
