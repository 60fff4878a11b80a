#include "daemon/cache/revoker.hpp"

#include <algorithm>

#include "daemon/cache/token_hash.hpp"
#include "shm/digest.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Slices of 5 ms or less: a rule costs well under a microsecond to look at.
constexpr std::size_t kPurgeSlice = 1'000;
// Copying and tightening a rule costs about a microsecond; each slice is one commit.
constexpr std::size_t kLengthenSlice = 1'000;

}  // namespace

std::int64_t rule_life_ns(const ProfileConfig& profile) {
  // A session of somebody else's schema may name no end, and a legacy token no time of issue: how long such a one has
  // lived cannot be judged, so it could still be admitted after any time.
  const bool foreign = profile.upstream == UpstreamKind::kSqlite && !profile.query.empty();
  const bool legacy = profile.upstream == UpstreamKind::kJwks && profile.token_type == TokenType::kLegacy;
  // Twice the leeway: a token may be issued that far ahead of this clock, and outlive its end by as much.
  return foreign || legacy ? 0 : std::chrono::nanoseconds(profile.max_token_lifetime + 2 * profile.leeway).count();
}

std::int64_t longer_life_ns(std::int64_t one, std::int64_t other) {
  return one == 0 || other == 0 ? 0 : std::max(one, other);
}

Rule everything_rule(std::uint64_t change, std::int64_t life_ns, const Clock& clock) {
  Rule rule;
  rule.change = change;
  rule.kind = RuleKind::kEverything;
  rule.created_wall_ns = clock.wall_ns();
  rule.created_boot_ns = clock.boot_ns();
  rule.not_before_ns = rule.created_wall_ns;
  rule.life_ns = life_ns;
  return rule;
}

struct Revoker::Pending {
  std::vector<Rule> rules;
  RevokeReport report;
  std::int64_t begun_ns = 0;
  Done done;
};

Revoker::Revoker(Tables& tables, RuleSet& rules, StateWriter& state, Loop& loop, const Clock& clock, std::uint64_t last_change)
    : tables_(tables), rules_(rules), state_(state), loop_(loop), clock_(clock), last_change_(last_change) {}

void Revoker::set_profiles(Profiles profiles) {
  profiles_ = std::move(profiles);
  lengthen_rules();
}

// A token rule must outlive the token. What the token says of its end is not believed before it is verified, so the
// longest life that any profile admits counts; a profile whose sessions may never end makes it "until lifted".
std::int64_t Revoker::token_rule_life_ns() const {
  if (profiles_.empty()) return 0;
  std::int64_t life = rule_life_ns(profiles_.front()->config);
  for (const auto& profile : profiles_) life = longer_life_ns(life, rule_life_ns(profile->config));
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
  Rule rule = everything_rule(++last_change_, token_rule_life_ns(), clock_);
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

// A profile that admits longer-lived tokens than before would admit one whose rule ends too early.
void Revoker::lengthen_rules() {
  lengthening_ = true;
  lengthening_failed_ = false;
  lengthen_slice(++pass_, 0, last_change_);
}

void Revoker::lengthen_slice(std::uint64_t pass, std::uint64_t after, std::uint64_t up_to) {
  if (pass != pass_) return;
  const std::int64_t life = token_rule_life_ns();
  std::vector<RuleChange> changes;
  const std::vector<Rule> slice = rules_.list(after, kLengthenSlice);
  for (const Rule& rule : slice) {
    if (rule.life_ns == 0 || longer_life_ns(rule.life_ns, life) == rule.life_ns) continue;
    Rule longer = rule;
    longer.change = ++last_change_;
    longer.life_ns = life;
    longer.durable = false;
    if (rules_.add(longer)) changes.push_back({RuleChange::What::kPut, std::move(longer)});
  }
  const bool end = slice.size() < kLengthenSlice || slice.back().change >= up_to;
  const std::uint64_t next = slice.empty() ? after : slice.back().change;
  if (changes.empty()) {
    if (end) {
      lengthening_ = false;
      return;
    }
    return loop_.post([this, pass, next, up_to] { lengthen_slice(pass, next, up_to); });
  }
  std::vector<std::uint64_t> made;
  for (const RuleChange& change : changes) made.push_back(change.rule.change);
  state_.commit(std::move(changes), [this, pass, next, up_to, end, made = std::move(made)](const shm::Result<void>& committed) {
    if (!committed) {
      for (const std::uint64_t change : made) rules_.withdraw(change);
      lengthening_failed_ = true;  // purge() tries again and forgets nothing until then
      return;
    }
    for (const std::uint64_t change : made) rules_.mark_durable(change);
    tables_.set_durable_change(made.back());
    if (!end) return lengthen_slice(pass, next, up_to);
    if (pass == pass_) lengthening_ = false;
  });
}

void Revoker::purge() {
  if (lengthening_) {
    if (lengthening_failed_) lengthen_rules();
    return;
  }
  const auto gone = rules_.purge(clock_.wall_ns(), clock_.boot_ns(), kPurgeSlice);
  if (!gone.empty()) state_.forget(gone);
}

}  // namespace authcached
