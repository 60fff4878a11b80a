#include "shm/verdict.hpp"

namespace authcache::shm {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kValid: return "valid";
    case Verdict::kMiss: return "miss";
    case Verdict::kInvalid: return "invalid";
    case Verdict::kForbidden: return "forbidden";
    case Verdict::kUnavailable: return "unavailable";
  }
  return "?";
}

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::kNone: return "";
    case Reason::kMalformed: return "malformed";
    case Reason::kUnknown: return "unknown";
    case Reason::kExpired: return "expired";
    case Reason::kNotYetValid: return "not_yet_valid";
    case Reason::kRevoked: return "revoked";
    case Reason::kBadSignature: return "bad_signature";
    case Reason::kUnknownKey: return "unknown_key";
    case Reason::kAlgorithm: return "algorithm";
    case Reason::kIssuer: return "issuer";
    case Reason::kAudience: return "audience";
    case Reason::kClaims: return "claims";
    case Reason::kType: return "type";
    case Reason::kConfirmation: return "confirmation";
    case Reason::kLifetime: return "lifetime";
    case Reason::kTooLong: return "too_long";
    case Reason::kCritical: return "critical";
    case Reason::kScope: return "scope";
    case Reason::kPermission: return "permission";
    case Reason::kConfirmationRequired: return "confirmation_required";
    case Reason::kProofKey: return "proof_key";
    case Reason::kProofMethod: return "proof_method";
    case Reason::kProofUrl: return "proof_url";
    case Reason::kProofToken: return "proof_token";
    case Reason::kProofNonce: return "proof_nonce";
    case Reason::kProofReplayed: return "proof_replayed";
    case Reason::kNoTable: return "no_table";
    case Reason::kHeartbeatStale: return "heartbeat_stale";
    case Reason::kTimeNamespace: return "time_namespace";
    case Reason::kCatchingUp: return "catching_up";
    case Reason::kDaemonUnreachable: return "daemon_unreachable";
    case Reason::kTimeout: return "timeout";
    case Reason::kOverBudget: return "over_budget";
    case Reason::kUpstream: return "upstream";
    case Reason::kRetired: return "retired";
    case Reason::kUnknownProfile: return "unknown_profile";
    case Reason::kOverloaded: return "overloaded";
    case Reason::kProtocol: return "protocol";
  }
  return "?";
}

}  // namespace authcache::shm
