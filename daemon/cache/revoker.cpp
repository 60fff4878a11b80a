#include "daemon/cache/revoker.hpp"

#include <algorithm>
#include <utility>

#include "daemon/cache/principal_id.hpp"
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
  // A session of somebody else's schema and an introspected token may name no end, and a legacy token no time of issue: how
  // long such a one has lived cannot be judged, so it could still be admitted after any time.
  const bool foreign = profile.keeps_sessions() && (!profile.query.empty() || profile.upstream == UpstreamKind::kRedis);
  const bool legacy = profile.upstream == UpstreamKind::kJwks && profile.token_type == TokenType::kLegacy;
  // Twice the leeway: a token may be issued that far ahead of this clock, and outlive its end by as much.
  const bool introspected = profile.upstream == UpstreamKind::kIntrospection;
  return foreign || legacy || introspected ? 0 : std::chrono::nanoseconds(profile.max_token_lifetime + 2 * profile.leeway).count();
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
  std::vector<Rule> shared;  // as they were asked for
  RevokeReport report;
  std::int64_t begun_ns = 0;
  bool refused = false;  // there is room for no rule that would do
  Done done;
};

Revoker::Revoker(Tables& tables, RuleSet& rules, StateWriter& state, Loop& loop, const Clock& clock, std::uint64_t last_change)
    : tables_(tables), rules_(rules), state_(state), loop_(loop), clock_(clock), bulk_(tables, loop), last_change_(last_change) {}

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

bool Revoker::has_room_for(const Rule& rule) const {
  if (rules_.contains(rule.kind, rule.scope, rule.value)) return true;
  const bool reserved = rule.kind == RuleKind::kIssuer || rule.kind == RuleKind::kKey;
  return rules_.size() < rules_max_ + (reserved ? kReserve - 1 : 0);
}

std::optional<Rule> Revoker::enter(Pending& pending, Rule rule) {
  if (rule.kind != RuleKind::kEverything && !has_room_for(rule)) {
    if (rule.kind == RuleKind::kKey) return std::nullopt;
    const bool by_age = denies_by_age(rule.kind);
    const std::int64_t not_before = by_age ? rule.not_before_ns : rule.created_wall_ns;
    Rule instead = make_rule(RuleKind::kIssuer, std::exchange(rule.scope, {}));
    instead.life_ns = 0;
    pending.report.issuer_instead = !instead.value.empty() && has_room_for(instead);
    if (!pending.report.issuer_instead) {
      instead.kind = RuleKind::kEverything;
      instead.value.clear();
      instead.life_ns = token_rule_life_ns();
    }
    instead.not_before_ns = not_before;
    rule = std::move(instead);
  }
  if (!rules_.add(rule)) return std::nullopt;
  pending.report.everything = rule.kind == RuleKind::kEverything;
  pending.rules.push_back(rule);
  reach(FaultPoint::kRuleBeforeKill);
  return rule;
}

void Revoker::share(Pending& pending, const Rule& rule) const {
  if (shared_) pending.shared.push_back(rule);
}

void Revoker::enter_token(Pending& pending, RuleKind kind, const Sha256& hash) {
  if (pending.report.everything) return;
  Rule made = make_rule(kind, std::string(reinterpret_cast<const char*>(hash.data()), hash.size()));
  if (!pending.rules.empty()) {  // one moment for both, by which revocation_of() knows them again
    made.created_wall_ns = pending.rules.front().created_wall_ns;
    made.created_boot_ns = pending.rules.front().created_boot_ns;
  }
  share(pending, made);
  const auto rule = enter(pending, std::move(made));
  if (pending.report.everything) tables_.raise_all();
  if (!rule) pending.refused = true;
  pending.report.killed += tables_.kill_token(token_key(hash), shm::SlotState::kRevoked);
}

void Revoker::revoke_token(std::string_view token, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  enter_token(*pending, RuleKind::kToken, token_hash(sha256(token)));
  if (const auto signing_input = signing_input_of(token)) {
    enter_token(*pending, RuleKind::kSigningInput, token_hash(sha256(*signing_input)));
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
  enter_token(*pending, RuleKind::kToken, token_hash(token));
  make_durable(std::move(pending));
}

void Revoker::revoke(RevokeTarget target, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  Rule rule = make_rule(target.kind, std::move(target.value));
  rule.scope = std::move(target.scope);
  if (denies_by_age(rule.kind)) {
    rule.not_before_ns = std::clamp<std::int64_t>(target.not_before_wall_ns.value_or(rule.created_wall_ns), 0, rule.created_wall_ns);
  }
  // An issuer or a key that is not trusted any more does not become so by waiting.
  if (rule.kind == RuleKind::kIssuer || rule.kind == RuleKind::kKey) rule.life_ns = 0;
  if (const auto fault = rule_fault(rule)) {
    return pending->done(shm::fail(shm::ErrorCode::kUsage, "this cannot be revoked: " + std::string(*fault)));
  }
  if (target.shared) share(*pending, rule);
  const auto entered = enter(*pending, std::move(rule));
  pending->refused = !entered;
  if (!entered) return make_durable(std::move(pending));
  kill(std::move(pending), *entered);
}

bool Revoker::tightens(const Rule& rule) const {
  const Rule* const known = rules_.find(rule.kind, rule.scope, rule.value);
  if (known == nullptr || !known->durable) return true;
  if (denies_by_age(rule.kind) && known->not_before_ns < rule.not_before_ns) return true;
  if (known->life_ns == 0) return false;
  if (rule.life_ns == 0) return true;
  std::int64_t wanted_until = 0, kept_until = 0;
  // What no clock will ever show is kept for ever.
  if (__builtin_add_overflow(rule.created_wall_ns, rule.life_ns, &wanted_until)) return true;
  return !__builtin_add_overflow(known->created_wall_ns, known->life_ns, &kept_until) && kept_until < wanted_until;
}

void Revoker::adopt(Rule told, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->begun_ns = clock_.boot_ns();
  pending->done = std::move(done);
  Rule rule = make_rule(told.kind, std::move(told.value));
  rule.scope = std::move(told.scope);
  // As it was told, also where it lies ahead of this clock: one that is slow must not let more pass.
  rule.not_before_ns = told.not_before_ns;
  rule.life_ns = longer_life_ns(told.life_ns, rule.life_ns);
  if (rule.kind == RuleKind::kIssuer || rule.kind == RuleKind::kKey) rule.life_ns = 0;
  if (const auto fault = rule_fault(rule)) {
    return pending->done(shm::fail(shm::ErrorCode::kUsage, "a rule of the fleet cannot be adopted: " + std::string(*fault)));
  }
  const auto entered = enter(*pending, std::move(rule));
  pending->refused = !entered;
  if (!entered) return make_durable(std::move(pending));
  if (entered->kind != RuleKind::kToken && entered->kind != RuleKind::kSigningInput) return kill(std::move(pending), *entered);
  Sha256 hash;
  std::copy_n(entered->value.begin(), hash.size(), hash.begin());
  pending->report.killed += tables_.kill_token(token_key(hash), shm::SlotState::kRevoked);
  make_durable(std::move(pending));
}

void Revoker::kill(std::shared_ptr<Pending> pending, const Rule& rule) {
  const auto by_name = [&](NameKind kind) {
    bulk_.by_name(kind, rule.value, doomed_by(rule), [this, pending](std::uint64_t killed) {
      pending->report.killed += killed;
      make_durable(pending);
    });
  };
  switch (rule.kind) {
    case RuleKind::kJti: return by_name(NameKind::kJti);
    case RuleKind::kSid: return by_name(NameKind::kSid);
    case RuleKind::kSubject: return by_name(NameKind::kSubject);
    case RuleKind::kClient: return by_name(NameKind::kClient);
    case RuleKind::kIssuer: tables_.raise_issuer(principal_id(sha256(rule.value))); break;
    case RuleKind::kKey: {
      Sha256 thumbprint;
      std::copy_n(rule.value.begin(), thumbprint.size(), thumbprint.begin());
      tables_.raise_key(principal_id(thumbprint));
      break;
    }
    default: tables_.raise_all();
  }
  make_durable(std::move(pending));
}

// Errs on the side of the kill: what dies wrongly is asked for again, and admission judges it exactly. Only what the rule
// surely covers dies as revoked.
BulkKill::Doomed Revoker::doomed_by(const Rule& rule) const {
  std::optional<shm::PrincipalId> issuer;
  if (!rule.scope.empty()) issuer = principal_id(sha256(rule.scope));
  const bool by_age = denies_by_age(rule.kind);
  return [this, issuer, by_age, not_before = rule.not_before_ns](const shm::TableView& view, const shm::HotRecord& hot, const shm::ColdRecord& cold) -> std::optional<shm::SlotState> {
    if (issuer) {
      const std::uint32_t index = shm::unpack_principals(hot.principals).issuer;
      if (index == 0 || shm::load_principal(view.issuer(index)) != *issuer) return std::nullopt;
    }
    if (!by_age || cold.issued_wall_ns == INT64_MIN || cold.issued_wall_ns <= not_before) return shm::SlotState::kRevoked;
    const auto profile = std::ranges::find_if(profiles_, [&](const auto& each) { return each->id == cold.profile_id; });
    // The time of an own session is this host's, whose clock may have been put back since.
    if (profile == profiles_.end() || (*profile)->config.keeps_sessions()) return shm::SlotState::kEvicted;
    std::int64_t latest = 0;
    const std::int64_t leeway = std::chrono::nanoseconds((*profile)->config.leeway).count();
    const bool within = __builtin_add_overflow(not_before, leeway, &latest) || cold.issued_wall_ns <= latest;
    return within ? std::optional(shm::SlotState::kEvicted) : std::nullopt;
  };
}

void Revoker::flush_subject(std::string subject, BulkKill::Done done) {
  const auto all = [](const shm::TableView&, const shm::HotRecord&, const shm::ColdRecord&) { return shm::SlotState::kEvicted; };
  bulk_.by_name(NameKind::kSubject, std::move(subject), all, std::move(done));
}

// A token is revoked by two rules, made one after the other at one moment; who lifts one means both.
std::vector<Rule> Revoker::revocation_of(std::uint64_t change) const {
  std::vector<Rule> found;
  for (const Rule& rule : rules_.list(change < 2 ? 0 : change - 2, 3)) {
    if (rule.change + 1 == change || rule.change == change || rule.change == change + 1) found.push_back(rule);
  }
  const auto asked = std::ranges::find(found, change, &Rule::change);
  if (asked == found.end()) return {};
  const Rule rule = *asked;
  std::erase_if(found, [&](const Rule& each) {
    if (each.change == change) return false;
    const bool pair = each.change < change ? each.kind == RuleKind::kToken && rule.kind == RuleKind::kSigningInput
                                           : each.kind == RuleKind::kSigningInput && rule.kind == RuleKind::kToken;
    return !pair || each.created_wall_ns != rule.created_wall_ns || each.created_boot_ns != rule.created_boot_ns;
  });
  return found;
}

void Revoker::lift(std::uint64_t change, std::move_only_function<void(shm::Result<std::vector<Rule>>)> done) {
  const std::vector<Rule> lifted = revocation_of(change);
  if (lifted.empty()) {
    return done(shm::fail(shm::ErrorCode::kNotFound, "no rule in force was made by this change; see authctl revocations list"));
  }
  std::vector<RuleChange> changes;
  for (const Rule& rule : lifted) {
    if (!rule.durable) return done(shm::fail(shm::ErrorCode::kUnavailable, "this rule is being made durable just now; lift it after that"));
    changes.push_back({RuleChange::What::kRemove, rule});
    changes.back().rule.change = ++last_change_;
  }
  state_.commit(std::move(changes), [this, lifted, up_to = last_change_, done = std::move(done)](shm::Result<void> committed) mutable {
    if (!committed) return done(std::unexpected(committed.error()));
    tables_.set_durable_change(up_to);
    bool stands = false;
    for (const Rule& rule : lifted) {
      rules_.lift(rule.kind, rule.scope, rule.value, up_to);
      stands = stands || rules_.contains(rule.kind, rule.scope, rule.value);
    }
    if (stands) return done(shm::fail(shm::ErrorCode::kRefused, "it was revoked again meanwhile; that later rule stands"));
    // What the rule refused is remembered as refused.
    bulk_.negatives([lifted, done = std::move(done)](std::uint64_t) mutable { done(std::move(lifted)); });
  });
}

void Revoker::make_durable(std::shared_ptr<Pending> pending) {
  if (pending->refused) {
    for (const Rule& rule : pending->rules) rules_.withdraw(rule.change);
    return pending->done(shm::fail(shm::ErrorCode::kRefused, "there is room for no further rule (limits.rules); raise it, or lift rules"));
  }
  pending->report.change = pending->rules.back().change;
  pending->report.refused_after_ns = clock_.boot_ns() - pending->begun_ns;
  reach(FaultPoint::kKilledBeforeDurable);
  std::vector<RuleChange> changes;
  for (const Rule& rule : pending->rules) changes.push_back({RuleChange::What::kPut, rule});
  for (const Rule& rule : pending->shared) changes.push_back({RuleChange::What::kShare, rule});
  state_.commit(std::move(changes), [this, pending](shm::Result<void> committed) {
    if (!committed) {
      for (const Rule& rule : pending->rules) rules_.withdraw(rule.change);
      return pending->done(std::unexpected(committed.error()));
    }
    for (const Rule& rule : pending->rules) rules_.mark_durable(rule.change);
    tables_.set_durable_change(pending->report.change);
    if (shared_ && !pending->shared.empty()) shared_(pending->shared);
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
  bulk_.resume();
  if (lengthening_) {
    if (lengthening_failed_) lengthen_rules();
    return;
  }
  const auto gone = rules_.purge(clock_.wall_ns(), clock_.boot_ns(), kPurgeSlice);
  if (!gone.empty()) state_.forget(gone);
}

}  // namespace authcached
