#include <boost/json/array.hpp>

#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"
#include "shm/wire.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kListMax = 1'000;  // a reply of 1 000 rules is 300 KB; longer lists are asked for in pages

}  // namespace

void revoke_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto token = string_member(request.members, "token");
  if (!token) return reply(control_error(token.error()));
  if (token->size() > shm::wire::kTokenMax) return reply(control_error("usage", "the token is longer than 16 KiB, which no profile takes"));
  services.revoker.revoke_token(*token, [&services, peer = request.peer, reply = std::move(reply)](shm::Result<RevokeReport> done) mutable {
    const std::string target = done ? "token, change " + std::to_string(done->change) : "token";
    leave_audit(services, peer, "revoke", target, done ? "ok" : done.error().message);
    // Not "unavailable", which would mean that nobody can tell: this revocation does not hold.
    if (!done) return reply(control_error("failed", "nothing is acknowledged: " + done.error().message));
    reply(revoke_report(*done));
  });
}

void revocations_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto after = number_member_or(request.members, "after", 0, 0, INT64_MAX);
  const auto limit = number_member_or(request.members, "limit", kListMax, 1, kListMax);
  if (!after) return reply(control_error(after.error()));
  if (!limit) return reply(control_error(limit.error()));
  json::array rules;
  for (const Rule& rule : services.rules.list(static_cast<std::uint64_t>(*after), static_cast<std::size_t>(*limit))) {
    const bool binary = rule.kind == RuleKind::kToken || rule.kind == RuleKind::kSigningInput || rule.kind == RuleKind::kKey;
    rules.push_back(json::object{{"change", rule.change},
                                 {"kind", rule_kind_name(rule.kind)},
                                 {"scope", rule.scope},
                                 {"value", binary ? hex(rule.value) : rule.value},
                                 {"not_before_wall_ns", rule.not_before_ns},
                                 {"created_wall_ns", rule.created_wall_ns},
                                 {"life_ns", rule.life_ns},
                                 {"durable", rule.durable}});
  }
  reply({{"rules", std::move(rules)}, {"total", services.rules.size()}});
}

void flush_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  for (const std::string_view scope : {"issuer", "key", "profile", "subject"}) {
    if (request.members.contains(scope)) {
      return reply(control_error("usage", "this daemon flushes everything or nothing; leave out " + std::string(scope)));
    }
  }
  services.tables.raise_all();
  leave_audit(services, request.peer, "flush", "all", "ok");
  reply({{"voided", "all"}});
}

}  // namespace authcached
