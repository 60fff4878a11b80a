#include "daemon/token/claims.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <expected>
#include <optional>
#include <utility>

#include "daemon/token/confirmation.hpp"
#include "daemon/token/grants.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/numeric_date.hpp"

namespace authcached {
namespace {

namespace json = boost::json;
using authcache::shm::Reason;
using authcache::shm::Verdict;

struct Refusal {
  Reason reason;
  std::optional<std::int64_t> retry_wall_ns;
};
template <class T>
using Judged = std::expected<T, Refusal>;

std::unexpected<Refusal> refuse(Reason reason, std::optional<std::int64_t> retry_wall_ns = {}) {
  return std::unexpected(Refusal{reason, retry_wall_ns});
}

enum class Presence : std::uint8_t { kOptional, kRequired };

// Nothing is read into a claim that has another type: a token that says something unclear is refused.
Judged<std::string> read_identifier(const json::object& claims, std::string_view name, Presence presence) {
  std::optional<std::string_view> text;
  if (!read_string(claims, name, text)) return refuse(Reason::kClaims);
  if (!text) return presence == Presence::kOptional ? Judged<std::string>{} : refuse(Reason::kClaims);
  if (text->empty() || text->size() > kIdentifierBytesMax || text->contains('\0'))
    return refuse(Reason::kClaims);
  return std::string(*text);
}

Judged<std::optional<std::int64_t>> read_date(const json::object& claims, std::string_view name,
                                              Presence presence, Rounding rounding) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) {
    if (presence == Presence::kRequired) return refuse(Reason::kClaims);
    return std::nullopt;
  }
  const std::optional<std::int64_t> date = numeric_date_ns(*value, rounding);
  if (!date) return refuse(Reason::kClaims);
  return date;
}

Judged<std::vector<std::string>> read_audience(const json::object& claims, Presence presence) {
  const json::value* value = claims.if_contains("aud");
  std::vector<std::string> audience;
  if (value == nullptr) {
    if (presence == Presence::kRequired) return refuse(Reason::kClaims);
    return audience;
  }
  if (const json::string* one = value->if_string()) {
    audience.emplace_back(one->data(), one->size());
  } else if (auto many = strings_of(*value)) {
    audience = std::move(*many);
  }
  const bool sound = !audience.empty() && audience.size() <= kAudiencesMax &&
                     std::ranges::all_of(audience, [](const std::string& entry) {
                       return !entry.empty() && entry.size() <= kIdentifierBytesMax && !entry.contains('\0');
                     });
  if (!sound) return refuse(Reason::kClaims);
  return audience;
}

// Members that only other kinds of JWT have: ID tokens (OpenID Connect Core 3.1.3.6, 3.3.2.11), logout and
// security event tokens (RFC 8417). In the legacy type the typ header does not keep them apart.
Judged<void> judge_kind(const json::object& claims) {
  for (const std::string_view name : {"at_hash", "c_hash", "events"}) {
    if (claims.contains(name)) return refuse(Reason::kType);
  }
  return {};
}

Judged<std::string> judge_issuer(const json::object& claims, const JwtPolicy& policy) {
  const json::value* value = claims.if_contains("iss");
  if (value == nullptr && policy.introspected) return policy.issuer;
  if (value == nullptr) return refuse(Reason::kClaims);
  if (policy.introspected && policy.issuer.empty()) return read_identifier(claims, "iss", Presence::kRequired);
  const json::string* issuer = value->if_string();
  if (issuer == nullptr || policy.issuer.empty() ||
      std::string_view(issuer->data(), issuer->size()) != policy.issuer) {
    return refuse(Reason::kIssuer);
  }
  return policy.issuer;
}

struct Times {
  std::optional<std::int64_t> expires_wall_ns;  // leeway included
  std::optional<std::int64_t> issued_wall_ns;
};

Judged<Times> judge_times(const json::object& claims, const JwtPolicy& policy, std::int64_t now,
                          Presence iat_presence) {
  const Presence exp_presence = policy.introspected ? Presence::kOptional : Presence::kRequired;
  const auto exp = read_date(claims, "exp", exp_presence, Rounding::kFloor);
  if (!exp) return std::unexpected(exp.error());
  const auto iat = read_date(claims, "iat", iat_presence, Rounding::kFloor);
  if (!iat) return std::unexpected(iat.error());
  const auto nbf = read_date(claims, "nbf", Presence::kOptional, Rounding::kCeil);
  if (!nbf) return std::unexpected(nbf.error());

  const std::int64_t leeway = std::clamp<std::int64_t>(policy.leeway_ns, 0, kLeewayMaxNs);
  std::optional<std::int64_t> expires;
  if (*exp) {
    expires = **exp + (policy.introspected ? 0 : leeway);
    const std::int64_t begins = iat->value_or(std::max<std::int64_t>(now, 0));
    if (*iat && **exp < **iat) return refuse(Reason::kClaims);
    if (now >= *expires) return refuse(Reason::kExpired);
    if (policy.max_lifetime_ns > 0 && **exp - begins > policy.max_lifetime_ns) return refuse(Reason::kLifetime);
  }
  const std::int64_t starts = std::max(iat->value_or(0), nbf->value_or(0)) - leeway;
  if (now < starts) return refuse(Reason::kNotYetValid, starts);
  return Times{expires, *iat};
}

Judged<Proof> prove(const json::object& claims, const JwtPolicy& policy, std::int64_t now) {
  const Presence by_rfc9068 =
      policy.token_type == TokenType::kAccessToken ? Presence::kRequired : Presence::kOptional;
  Proof proof;
  Identity& identity = proof.identity;
  const auto take = [&](std::string& field, std::string_view name, Presence presence) -> Judged<void> {
    auto text = read_identifier(claims, name, presence);
    if (!text) return std::unexpected(text.error());
    field = std::move(*text);
    return {};
  };

  if (auto kind = judge_kind(claims); !kind) return std::unexpected(kind.error());
  auto issuer = judge_issuer(claims, policy);
  if (!issuer) return std::unexpected(issuer.error());
  identity.issuer = std::move(*issuer);
  if (auto ok = take(identity.subject, "sub", by_rfc9068); !ok) return std::unexpected(ok.error());
  if (auto ok = take(identity.client_id, "client_id", by_rfc9068); !ok) return std::unexpected(ok.error());
  if (auto ok = take(identity.jti, "jti", by_rfc9068); !ok) return std::unexpected(ok.error());
  if (auto ok = take(identity.sid, "sid", Presence::kOptional); !ok) return std::unexpected(ok.error());
  auto audience = read_audience(claims, by_rfc9068);
  if (!audience) return std::unexpected(audience.error());
  identity.audience = std::move(*audience);
  auto grants = read_grants(claims, policy.token_type);
  if (!grants) return refuse(Reason::kClaims);
  identity.scopes = std::move(grants->scopes);
  identity.permissions = std::move(grants->permissions);
  if (const json::value* cnf = claims.if_contains("cnf")) {
    identity.confirmation = parse_confirmation(*cnf);
    if (!identity.confirmation) return refuse(Reason::kConfirmation);
  }
  const auto times = judge_times(claims, policy, now, by_rfc9068);
  if (!times) return std::unexpected(times.error());
  identity.claims_json = json::serialize(claims);
  proof.verdict = Verdict::kValid;
  proof.reason = Reason::kNone;
  proof.expires_wall_ns = times->expires_wall_ns;
  proof.issued_wall_ns = times->issued_wall_ns;
  return proof;
}

}  // namespace

Proof judge_claims(const json::object& claims, const JwtPolicy& policy, std::int64_t wall_now_ns) {
  auto proof = prove(claims, policy, wall_now_ns);
  if (proof) return std::move(*proof);
  Proof refused;
  refused.verdict = Verdict::kInvalid;
  refused.reason = proof.error().reason;
  refused.retry_wall_ns = proof.error().retry_wall_ns;
  return refused;
}

}  // namespace authcached
