#include "daemon/token/introspection.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <optional>

#include "daemon/token/base64url.hpp"
#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/media_type.hpp"
#include "daemon/token/numeric_date.hpp"

namespace authcached {
namespace {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

constexpr JsonLimits kAnswerJson{kIntrospectionBytesMax, 4'096};

std::unexpected<shm::Error> not_understood(std::string sentence) { return shm::fail(shm::ErrorCode::kRefused, std::move(sentence)); }

Proof refusal(Reason reason) {
  Proof proof;
  proof.verdict = Verdict::kInvalid;
  proof.reason = reason;
  return proof;
}

JwtPolicy claims_policy(const IntrospectionPolicy& policy) {
  JwtPolicy claims;
  claims.issuer = policy.issuer;
  claims.token_type = TokenType::kLegacy;
  claims.leeway_ns = policy.leeway_ns;
  claims.max_lifetime_ns = policy.max_lifetime_ns;
  claims.introspected = true;
  return claims;
}

// An endpoint may also know refresh tokens and others that no resource may be asked for with.
bool is_access_token(const json::object& members, const IntrospectionPolicy& policy, bool& bound) {
  std::optional<std::string_view> type, use;
  if (!read_string(members, "token_type", type) || !read_string(members, "token_use", use)) return false;
  if (use && *use != "access_token") return false;
  if (!type) return !policy.token_type_required;
  const std::string lower = lower_ascii(*type);
  bound = lower == "dpop";
  return bound || lower == "bearer";
}

shm::Result<Proof> judge_members(const json::object& members, const IntrospectionPolicy& policy, std::int64_t wall_now_ns) {
  const json::value* active = members.if_contains("active");
  if (active == nullptr || !active->is_bool()) return not_understood("The endpoint's answer does not say by a boolean whether the token is active.");
  if (!active->get_bool()) return refusal(Reason::kUnknown);
  bool bound = false;
  if (!is_access_token(members, policy, bound)) return refusal(Reason::kType);
  Proof proof = judge_claims(members, claims_policy(policy), wall_now_ns);
  if (proof.verdict == Verdict::kInvalid && proof.reason == Reason::kClaims) {
    return not_understood("The endpoint's answer has a member of a wrong type or beyond its bounds.");
  }
  const auto& confirmation = proof.identity.confirmation;
  const bool by_key = confirmation && confirmation->kind == Confirmation::Kind::kJwkThumbprint;
  // Bound to a key that is not told: a proof of possession could not be checked (RFC 9449 section 6.2).
  if (proof.verdict == Verdict::kValid && bound && !by_key) return refusal(Reason::kConfirmation);
  return proof;
}

bool names(const json::value* audience, std::string_view wanted) {
  if (audience == nullptr) return false;
  if (const json::string* one = audience->if_string()) return std::string_view(one->data(), one->size()) == wanted;
  const auto many = strings_of(*audience);
  return many && std::ranges::find(*many, wanted) != many->end();
}

// RFC 9701 section 8.1: whose answer it is, for whom and from when. `exp` and `sub` belong to no answer.
shm::Result<const json::object*> judge_envelope(const json::object& claims, const IntrospectionPolicy& policy, std::int64_t wall_now_ns) {
  std::optional<std::string_view> issuer;
  if (!read_string(claims, "iss", issuer) || !issuer || *issuer != policy.issuer) {
    return not_understood("The signed answer is that of another issuer than the one configured.");
  }
  if (!names(claims.if_contains("aud"), policy.client_id)) return not_understood("The signed answer is meant for another client.");
  const json::value* iat = claims.if_contains("iat");
  const auto issued = iat == nullptr ? std::nullopt : numeric_date_ns(*iat, Rounding::kFloor);
  // A bounded date and a wall clock of this age: the difference cannot wrap.
  if (!issued || std::max(wall_now_ns - *issued, *issued - wall_now_ns) > kSignedAnswerAgeMaxNs) {
    return not_understood("The signed answer was not made just now; compare the clocks of both hosts.");
  }
  const json::value* answer = claims.if_contains("token_introspection");
  const json::object* members = answer == nullptr ? nullptr : answer->if_object();
  if (members == nullptr) return not_understood("The signed answer has no object token_introspection.");
  return members;
}

}  // namespace

shm::Result<Proof> judge_introspection(std::string_view body, const IntrospectionPolicy& policy, std::int64_t wall_now_ns) {
  const auto document = parse_json(body, kAnswerJson);
  if (!document) return not_understood("The endpoint's answer is not what RFC 7662 asks for. " + document.error().message);
  const json::object* members = document->if_object();
  if (members == nullptr) return not_understood("The endpoint's answer is not a JSON object.");
  return judge_members(*members, policy, wall_now_ns);
}

shm::Result<Proof> judge_signed_introspection(std::string_view body, const IntrospectionPolicy& policy, const KeySet& keys,
                                              std::int64_t wall_now_ns) {
  const auto jws = split_compact_jws(body);
  if (!jws) return not_understood("The signed answer is not a JWS in its compact form, or longer than 16 KiB.");
  const auto header_text = base64url_decode(jws->header);
  const auto payload = base64url_decode(jws->payload);
  const auto header = header_text ? parse_jws_header(*header_text) : std::unexpected(Reason::kMalformed);
  if (!header || !payload) return not_understood("The signed answer's header or payload cannot be read.");
  if (!header->typ || short_media_type(*header->typ) != "token-introspection+jwt" || header->cty) {
    return not_understood("What the endpoint signed is not an introspection answer by its typ.");
  }
  const auto key = verify_jws(*jws, *header, policy.algorithms, keys);
  if (!key && key.error() == Reason::kUnknownKey) return refusal(Reason::kUnknownKey);
  if (!key) return not_understood("The signed answer's signature is not good: " + std::string(shm::reason_name(key.error())) + ".");
  const auto document = parse_json(*payload, kTokenJson);
  const json::object* claims = document ? document->if_object() : nullptr;
  if (claims == nullptr) return not_understood("The signed answer's payload is not a JSON object.");
  const auto members = judge_envelope(*claims, policy, wall_now_ns);
  if (!members) return std::unexpected(members.error());
  auto proof = judge_members(**members, policy, wall_now_ns);
  if (proof && proof->verdict == Verdict::kValid) proof->key_thumbprint = (*key)->thumbprint;
  return proof;
}

}  // namespace authcached
