#include "daemon/cache/revoker.hpp"

#include <algorithm>

#include "daemon/cache/token_hash.hpp"
#include "shm/digest.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Slices of 5 ms or less: a rule costs well under a microsecond to look at.
constexpr std::size_t kPurgeSlice = 1'000;

}  // namespace

struct Revoker::Pending {
  std::vector<Rule> rules;
  RevokeReport report;
  std::int64_t begun_ns = 0;
  Done done;
};

Revoker::Revoker(Tables& tables, RuleSet& rules, StateWriter& state, Loop& loop, const Clock& clock, std::uint64_t last_change)
    : tables_(tables), rules_(rules), state_(state), loop_(loop), clock_(clock), last_change_(last_change) {}

void Revoker::set_profiles(Profiles profiles) { profiles_ = std::move(profiles); }

// A token rule must outlive the token. What the token says of its end is not believed before it is verified, so the
// longest life that any profile admits counts; a profile whose sessions may never end makes it "until lifted".
std::int64_t Revoker::token_rule_life_ns() const {
  std::int64_t life = 0;
  for (const auto& profile : profiles_) {
    const bool endless = profile->config.upstream == UpstreamKind::kSqlite && !profile->config.query.empty();
    if (endless) return 0;
    life = std::max<std::int64_t>(life, std::chrono::nanoseconds(profile->config.max_token_lifetime + profile->config.leeway).count());
  }
  return life;
}

Rule Revoker::make_rule(RuleKind kind, std::string value) {
  Rule rule;
  rule.change = ++last_change_;
  rule.kind = kind;
  rule.value = std::move(value);
  rule.created_wall_ns = clock_.wall_ns();
  rule.created_boot_ns = clock_.boot_ns();
  rule.life_ns = token_rule_life_ns();
  return rule;
}

void Revoker::everything(Pending& pending) {
  Rule rule = make_rule(RuleKind::kEverything, "");
  rule.not_before_ns = rule.created_wall_ns;
  rule.life_ns = token_rule_life_ns();
  // Room for this one rule is kept beyond the bound (daemon.cpp gives the set one more).
  (void)rules_.add(rule);
  tables_.raise_all();
  pending.report.everything = true;
  pending.rules.push_back(std::move(rule));
}

void Revoker::enter(Pending& pending, RuleKind kind, const Sha256& hash) {
  if (pending.report.everything) return;
  if (rules_.size() >= rules_max_) return everything(pending);
  Rule rule = make_rule(kind, std::string(reinterpret_cast<const char*>(hash.data()), hash.size()));
  if (!rules_.add(rule)) return everything(pending);
  pending.rules.push_back(std::move(rule));
  reach(FaultPoint::kRuleBeforeKill);
  pending.report.killed += tables_.kill_token(token_key(hash), shm::SlotState::kRevoked);
}

void Revoker::revoke_token(std::string_view token, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  enter(*pending, RuleKind::kToken, token_hash(sha256(token)));
  if (const auto signing_input = signing_input_of(token)) {
    enter(*pending, RuleKind::kSigningInput, token_hash(sha256(*signing_input)));
  }
  for (const auto& profile : profiles_) {
    pending->report.killed += tables_.kill(shm::key_of(shm::token_digest(profile->id, token)), shm::SlotState::kRevoked);
  }
  make_durable(std::move(pending));
}

void Revoker::revoke_session(const Sha256& token, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  enter(*pending, RuleKind::kToken, token_hash(token));
  make_durable(std::move(pending));
}

void Revoker::revoke_everything(Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  everything(*pending);
  make_durable(std::move(pending));
}

void Revoker::make_durable(std::shared_ptr<Pending> pending) {
  pending->report.change = pending->rules.back().change;
  pending->report.refused_after_ns = clock_.boot_ns() - pending->begun_ns;
  reach(FaultPoint::kKilledBeforeDurable);
  std::vector<RuleChange> changes;
  for (const Rule& rule : pending->rules) changes.push_back({RuleChange::What::kPut, rule});
  state_.commit(std::move(changes), [this, pending](shm::Result<void> committed) {
    if (!committed) {
      for (const Rule& rule : pending->rules) rules_.withdraw(rule.change);
      return pending->done(std::unexpected(committed.error()));
    }
    for (const Rule& rule : pending->rules) rules_.mark_durable(rule.change);
    tables_.set_durable_change(pending->report.change);
    pending->report.durable_after_ns = clock_.boot_ns() - pending->begun_ns;
    acknowledge(pending);
  });
}

void Revoker::acknowledge(std::shared_ptr<Pending> pending) {
  reach(FaultPoint::kDurableBeforeAcknowledge);
  const std::int64_t wait = acknowledge_from_ns_ - clock_.monotonic_ns();
  if (wait <= 0) return pending->done(pending->report);
  loop_.after(std::chrono::nanoseconds(wait), [pending] { pending->done(pending->report); });
}

void Revoker::purge() {
  const auto gone = rules_.purge(clock_.wall_ns(), clock_.boot_ns(), kPurgeSlice);
  if (!gone.empty()) state_.forget(gone);
}

}  // namespace authcached
