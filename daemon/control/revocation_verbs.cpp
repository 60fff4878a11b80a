#include <algorithm>
#include <boost/json/array.hpp>

#include "daemon/base/sha256.hpp"
#include "daemon/cache/principal_id.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"
#include "daemon/token/base64url.hpp"
#include "shm/wire.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

struct Kind {
  std::string_view member;
  RuleKind kind;
};
// Without the issuer, which by itself is a kind and with some others a limit.
constexpr Kind kKinds[] = {{"token", RuleKind::kToken},     {"jti", RuleKind::kJti},       {"sid", RuleKind::kSid},
                           {"subject", RuleKind::kSubject}, {"client", RuleKind::kClient}, {"key", RuleKind::kKey},
                           {"everything", RuleKind::kEverything}};

struct Asked {
  std::optional<std::string> token;  // else the target
  RevokeTarget target;

  // For the audit record: who is meant, and of a token nothing.
  [[nodiscard]] std::string named() const {
    if (token) return "token";
    std::string text(rule_kind_name(target.kind));
    if (!target.value.empty()) text += " " + (target.kind == RuleKind::kKey ? base64url_encode(target.value) : target.value);
    if (!target.scope.empty()) text += " of " + target.scope;
    return text;
  }
};

// Which of these members is there; none is an empty answer, two are an error.
shm::Result<std::string_view> exactly_one(const json::object& members, std::initializer_list<std::string_view> names) {
  std::string_view found;
  for (const std::string_view name : names) {
    if (!members.contains(name)) continue;
    if (!found.empty()) return shm::fail(shm::ErrorCode::kUsage, "give one of " + std::string(found) + " and " + std::string(name) + ", not both");
    found = name;
  }
  return found;
}

shm::Result<std::string> thumbprint_member(const json::object& members) {
  const auto text = string_member(members, "key");
  if (!text) return std::unexpected(text.error());
  const auto bytes = base64url_decode(*text);
  if (!bytes || bytes->size() != sizeof(Sha256)) {
    return shm::fail(shm::ErrorCode::kUsage, "\"key\" must be an RFC 7638 thumbprint, 43 characters of base64url; see authctl keys");
  }
  return *bytes;
}

shm::Result<std::optional<std::int64_t>> not_before_member(const json::object& members, RuleKind kind) {
  if (!members.contains("not_before_wall_ns")) return std::nullopt;
  if (!denies_by_age(kind)) {
    return shm::fail(shm::ErrorCode::kUsage, "\"not_before_wall_ns\" is for sid, subject, client, issuer and everything; what was asked for is refused whatever its age");
  }
  const auto number = number_member_or(members, "not_before_wall_ns", 0, 0, INT64_MAX);
  if (!number) return std::unexpected(number.error());
  return *number;
}

shm::Result<Asked> what_to_revoke(const json::object& members) {
  const auto given = exactly_one(members, {"token", "jti", "sid", "subject", "client", "key", "everything"});
  if (!given) return std::unexpected(given.error());
  const bool limited = members.contains("issuer");
  Asked asked;
  RevokeTarget& target = asked.target;
  if (given->empty() && !limited) {
    return shm::fail(shm::ErrorCode::kUsage, "say what to revoke: one of token, jti, sid, subject, client, key, issuer, everything");
  }
  target.kind = RuleKind::kIssuer;
  for (const Kind& kind : kKinds) {
    if (kind.member == *given) target.kind = kind.kind;
  }
  const bool may_be_limited = target.kind == RuleKind::kJti || target.kind == RuleKind::kSid || target.kind == RuleKind::kSubject ||
                              target.kind == RuleKind::kClient || target.kind == RuleKind::kIssuer;
  if (limited && !may_be_limited) return shm::fail(shm::ErrorCode::kUsage, "\"issuer\" goes with jti, sid, subject or client, or stands alone");
  if (!limited && target.kind == RuleKind::kJti) return shm::fail(shm::ErrorCode::kUsage, "\"jti\" needs \"issuer\": each issuer numbers its own tokens");
  if (limited) {
    auto issuer = string_member(members, "issuer");
    if (!issuer) return std::unexpected(issuer.error());
    (target.kind == RuleKind::kIssuer ? target.value : target.scope) = std::move(*issuer);
  }
  const auto not_before = not_before_member(members, target.kind);
  if (!not_before) return std::unexpected(not_before.error());
  target.not_before_wall_ns = *not_before;
  if (target.kind == RuleKind::kEverything) {
    const json::value& all = members.at("everything");
    if (!all.is_bool() || !all.get_bool()) return shm::fail(shm::ErrorCode::kUsage, "\"everything\" must be true");
    return asked;
  }
  if (target.kind == RuleKind::kIssuer) return asked;
  auto value = target.kind == RuleKind::kKey ? thumbprint_member(members) : string_member(members, *given);
  if (!value) return std::unexpected(value.error());
  if (target.kind != RuleKind::kToken) {
    target.value = std::move(*value);
    return asked;
  }
  if (value->size() > shm::wire::kTokenMax) return shm::fail(shm::ErrorCode::kUsage, "the token is longer than 16 KiB, which no profile takes");
  asked.token = std::move(*value);
  return asked;
}

json::object rule_object(const Rule& rule) {
  // A key as authctl keys shows it, so that one can be found by the other.
  const bool digest = rule.kind == RuleKind::kToken || rule.kind == RuleKind::kSigningInput;
  const std::string value = digest ? hex(rule.value) : rule.kind == RuleKind::kKey ? base64url_encode(rule.value) : rule.value;
  return {{"change", rule.change},
          {"kind", rule_kind_name(rule.kind)},
          {"scope", rule.scope},
          {"value", value},
          {"not_before_wall_ns", rule.not_before_ns},
          {"created_wall_ns", rule.created_wall_ns},
          {"life_ns", rule.life_ns},
          {"durable", rule.durable}};
}

constexpr std::int64_t kListMax = 1'000;  // a reply of 1 000 rules is 300 KB; longer lists are asked for in pages

}  // namespace

void revoke_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  auto asked = what_to_revoke(request.members);
  if (!asked) return reply(control_error(asked.error()));
  auto done = [&services, peer = request.peer, target = asked->named(), reply = std::move(reply)](shm::Result<RevokeReport> report) mutable {
    const std::string change = report ? ", change " + std::to_string(report->change) : "";
    leave_audit(services, peer, "revoke", target + change, report ? "ok" : report.error().message);
    if (!report && report.error().code == shm::ErrorCode::kUsage) return reply(control_error(report.error()));
    // Not "unavailable", which would mean that nobody can tell: this revocation does not hold.
    if (!report) return reply(control_error("failed", "nothing is acknowledged: " + report.error().message));
    json::object acknowledged = revoke_report(*report);
    if (services.fleet != nullptr) acknowledged["fleet"] = services.fleet->acknowledgement();
    reply(std::move(acknowledged));
  };
  if (asked->token) return services.revoker.revoke_token(*asked->token, std::move(done));
  services.revoker.revoke(std::move(asked->target), std::move(done));
}

void lift_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  if (!request.members.contains("change")) return reply(control_error("usage", "\"change\" is missing: the number of the rule to lift"));
  const auto change = number_member_or(request.members, "change", 0, 1, INT64_MAX);
  if (!change) return reply(control_error(change.error()));
  if (services.fleet != nullptr) {
    return reply(control_error("failed", "this host is in a fleet, whose hosts only ever add rules, so none can be lifted; who logs in again is let in again (docs/fleet.md)"));
  }
  services.revoker.lift(static_cast<std::uint64_t>(*change), [&services, change = *change, peer = request.peer,
                                                              reply = std::move(reply)](shm::Result<std::vector<Rule>> done) mutable {
    std::string target = "change " + std::to_string(change);
    if (done) {
      for (const Rule& rule : *done) target += ", " + std::string(rule_kind_name(rule.kind));
    }
    leave_audit(services, peer, "lift", target, done ? "ok" : done.error().message);
    if (!done) return reply(control_error(done.error()));
    json::array lifted;
    for (const Rule& rule : *done) lifted.push_back(rule_object(rule));
    reply({{"lifted", std::move(lifted)}});
  });
}

void revocations_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto after = number_member_or(request.members, "after", 0, 0, INT64_MAX);
  const auto limit = number_member_or(request.members, "limit", kListMax, 1, kListMax);
  if (!after) return reply(control_error(after.error()));
  if (!limit) return reply(control_error(limit.error()));
  json::array rules;
  for (const Rule& rule : services.rules.list(static_cast<std::uint64_t>(*after), static_cast<std::size_t>(*limit))) {
    rules.push_back(rule_object(rule));
  }
  reply({{"rules", std::move(rules)}, {"total", services.rules.size()}});
}

void flush_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto given = exactly_one(request.members, {"issuer", "key", "profile", "subject"});
  if (!given) return reply(control_error(given.error()));
  if (given->empty()) {
    services.tables.raise_all();
    leave_audit(services, request.peer, "flush", "all", "ok");
    return reply({{"voided", "all"}});
  }
  const auto value = *given == "key" ? thumbprint_member(request.members) : string_member(request.members, *given);
  if (!value) return reply(control_error(value.error()));
  const auto profile = *given == "profile" ? profile_named(services.profiles, *value) : nullptr;
  if (*given == "profile" && !profile) return reply(control_error("not_found", "there is no profile of that name; see authctl stats"));
  auto voided = [&services, scope = std::string(*given), named = *given == "key" ? base64url_encode(*value) : *value, peer = request.peer,
                 reply = std::move(reply)](std::uint64_t killed) mutable {
    leave_audit(services, peer, "flush", scope + " " + named, "ok");
    reply({{"voided", scope}, {"killed", killed}});
  };
  if (*given == "issuer") {
    services.tables.raise_issuer(principal_id(sha256(*value)));
    return voided(0);
  }
  if (*given == "key") {
    Sha256 thumbprint;
    std::copy_n(value->begin(), thumbprint.size(), thumbprint.begin());
    services.tables.raise_key(principal_id(thumbprint));
    return voided(0);
  }
  services.admission.disregard_flights();
  if (profile) return services.revoker.flush_profile(profile->id, std::move(voided));
  services.revoker.flush_subject(*value, std::move(voided));
}

}  // namespace authcached
