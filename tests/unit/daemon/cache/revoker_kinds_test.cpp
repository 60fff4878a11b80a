// Every kind of revocation but the token's own (revoker_test.cpp), lifting, and the slices that bulk kills are made in.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "daemon/cache/principal_id.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;
using authcached::BulkKill;
using authcached::FaultPoint;
using authcached::Proof;
using authcached::RevokeReport;
using authcached::RevokeTarget;
using authcached::Rule;
using authcached::RuleKind;
using authcached::Sha256;
using authcached::UpstreamKind;
using authcached::testing::Cache;
using authcached::testing::kSecond;

constexpr const char* kIssuer = "https://issuer.example";

struct Told {
  int times = 0;
  Result<RevokeReport> last;
  auto hook() {
    return [this](Result<RevokeReport> done) {
      ++times;
      last = std::move(done);
    };
  }
};

void break_database(const std::filesystem::path& file) {
  sqlite3* db = nullptr;
  sqlite3_open(file.c_str(), &db);
  sqlite3_exec(db, "DROP TABLE rules", nullptr, nullptr, nullptr);
  sqlite3_close(db);
}

std::string raw(const Sha256& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

Proof full(const Cache& cache) {
  Proof proof = cache.valid();
  proof.identity.sid = "s-1";
  proof.identity.client_id = "web";
  proof.identity.jti = "j-1";
  return proof;
}

Proof of_somebody_else(const Cache& cache) {
  Proof proof = cache.valid();
  proof.identity.subject = "bob";
  proof.identity.issuer = "https://other.example";
  proof.identity.sid = "s-2";
  proof.identity.client_id = "app";
  proof.identity.jti = "j-2";
  proof.key_thumbprint = authcached::sha256("other key");
  return proof;
}

std::vector<RevokeTarget> all_kinds() {
  return {{RuleKind::kJti, "j-1", kIssuer, {}},    {RuleKind::kSid, "s-1", {}, {}},
          {RuleKind::kSid, "s-1", kIssuer, {}},    {RuleKind::kSubject, "alice", {}, {}},
          {RuleKind::kClient, "web", {}, {}},      {RuleKind::kIssuer, kIssuer, {}, {}},
          {RuleKind::kKey, raw(authcached::sha256("key")), {}, {}}};
}

Told revoke(Cache& cache, RevokeTarget target) {
  Told told;
  cache.revoker.revoke(std::move(target), told.hook());
  cache.settle();
  EXPECT_EQ(told.times, 1);
  return told;
}

std::uint64_t change_of(const Told& told) { return told.last ? told.last->change : 0; }

void expect_lifted(Cache& cache, std::uint64_t change) {
  bool lifted = false;
  cache.revoker.lift(change, [&](Result<std::vector<Rule>> done) { lifted = done.has_value(); });
  cache.settle();
  EXPECT_TRUE(lifted);
}

TEST(RevokerKinds, EachKindKillsWhatItNamesRefusesItAgainAndSparesTheRest) {
  for (const RevokeTarget& target : all_kinds()) {
    Cache cache;
    SCOPED_TRACE(authcached::rule_kind_name(target.kind));
    cache.admit("tok", full(cache));
    cache.admit("other", of_somebody_else(cache));
    Told told;
    cache.revoker.set_fault_hook([&](FaultPoint point) {
      if (point == FaultPoint::kKilledBeforeDurable) {
        EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
      }
    });
    cache.revoker.revoke(target, told.hook());
    EXPECT_EQ(cache.admit("again", full(cache)).reason, Reason::kRevoked) << "presented while the commit is pending";
    EXPECT_EQ(told.times, 0);
    cache.settle();
    ASSERT_TRUE(told.last.has_value()) << told.last.error().message;
    EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
    EXPECT_EQ(cache.seen("other"), Verdict::kValid);
    EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked);
    EXPECT_EQ(cache.admit("other", of_somebody_else(cache)).verdict, Verdict::kValid);
    auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
    EXPECT_EQ(again.load_rules(cache.clock.boot)->size(), 1u);
  }
}

TEST(RevokerKinds, EverythingReachesAll) {
  Cache cache;
  cache.admit("tok", full(cache));
  cache.admit("other", of_somebody_else(cache));
  const Told told = revoke(cache, {RuleKind::kEverything, {}, {}, {}});
  EXPECT_TRUE(told.last->everything);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.seen("other"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked);
}

TEST(RevokerKinds, ANotBeforeSparesWhatWasIssuedAfterItAndIsNeverLaterThanNow) {
  Cache cache;
  Proof old = full(cache);
  old.issued_wall_ns = cache.clock.wall - 100 * kSecond;
  cache.admit("old", old);
  cache.admit("new", full(cache));
  revoke(cache, {RuleKind::kSubject, "alice", {}, cache.clock.wall - 50 * kSecond});
  EXPECT_EQ(cache.seen("old"), Verdict::kMiss);
  EXPECT_EQ(cache.seen("new"), Verdict::kValid) << "not killed";
  EXPECT_EQ(cache.admit("old", old).reason, Reason::kRevoked);
  EXPECT_EQ(cache.admit("newer", full(cache)).verdict, Verdict::kValid);
  Proof ageless = full(cache);
  ageless.issued_wall_ns.reset();
  EXPECT_EQ(cache.admit("ageless", ageless).reason, Reason::kRevoked);
  revoke(cache, {RuleKind::kSubject, "alice", {}, cache.clock.wall + 1'000 * kSecond});
  cache.clock.pass(kSecond);
  EXPECT_EQ(cache.admit("later", full(cache)).verdict, Verdict::kValid);
}

// Whoever holds a pin on a record hears how it died.
TEST(RevokerKinds, OnlyWhatTheRuleSurelyCoversDiesAsRevoked) {
  using authcache::shm::SlotState;
  Cache cache;
  const auto death_of = [&](std::int64_t issued_wall_ns, UpstreamKind upstream) {
    auto config = cache.profile->config;
    config.upstream = upstream;
    config.leeway = std::chrono::seconds(30);
    cache.set_profile(config);
    Proof proof = full(cache);
    proof.issued_wall_ns = issued_wall_ns;
    EXPECT_EQ(cache.admit("token", proof).verdict, Verdict::kValid);
    authcache::shm::Found found;
    EXPECT_TRUE(cache.tables.find(authcache::shm::key_of(cache.digest_of("token")), found));
    const Told told = revoke(cache, {RuleKind::kSubject, "alice", {}, cache.clock.wall - 50 * kSecond});
    expect_lifted(cache, change_of(told));
    return authcache::shm::control_state(cache.tables.newest().writer.peek(found.slot).control);
  };
  const std::int64_t not_before = cache.clock.wall - 50 * kSecond;
  EXPECT_EQ(death_of(not_before, UpstreamKind::kJwks), SlotState::kRevoked);
  EXPECT_EQ(death_of(not_before + kSecond, UpstreamKind::kJwks), SlotState::kEvicted) << "within the leeway";
  EXPECT_EQ(death_of(not_before + 49 * kSecond, UpstreamKind::kSqlite), SlotState::kEvicted) << "by another clock, maybe";
  EXPECT_EQ(death_of(not_before, UpstreamKind::kSqlite), SlotState::kRevoked);
}

TEST(RevokerKinds, ARecordWhoseTextLiesWithTheDaemonIsFoundToo) {
  Cache cache;
  Proof large = full(cache);
  large.identity.claims_json = std::string(20'000, 'x');
  cache.admit("large", large);
  ASSERT_EQ(cache.seen("large"), Verdict::kValid);
  revoke(cache, {RuleKind::kSid, "s-1", {}, {}});
  EXPECT_EQ(cache.seen("large"), Verdict::kMiss);
}

TEST(RevokerKinds, IssuerAndKeyRulesLastUntilLifted) {
  Cache cache;
  revoke(cache, {RuleKind::kIssuer, kIssuer, {}, {}});
  revoke(cache, {RuleKind::kKey, raw(authcached::sha256("key")), {}, {}});
  revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  cache.clock.pass(1'000'000 * kSecond);
  cache.revoker.purge();
  EXPECT_EQ(cache.rules.size(), 2u);
}

TEST(RevokerKinds, AFailedCommitOfEachKindWithdrawsItAndNotAnOlderOne) {
  for (const RevokeTarget& target : all_kinds()) {
    SCOPED_TRACE(authcached::rule_kind_name(target.kind));
    Cache cache;
    ASSERT_TRUE(revoke(cache, target).last.has_value());
    cache.clock.pass(100 * kSecond);
    break_database(cache.state_dir / "state.db");
    EXPECT_FALSE(revoke(cache, target).last.has_value());
    Proof old = full(cache);
    old.issued_wall_ns = cache.clock.wall - 100 * kSecond;
    EXPECT_EQ(cache.admit("tok", old).reason, Reason::kRevoked) << "withdrawal of a failed rule erased an older one";
    if (authcached::denies_by_age(target.kind)) {
      EXPECT_EQ(cache.admit("new", full(cache)).verdict, Verdict::kValid) << "the failed one's not-before stands";
    }
  }
}

TEST(RevokerKinds, ARevokeThatRidesOnAnothersUncommittedRuleIsAcknowledgedByItsOwnCommit) {
  Cache cache;
  Told first, second;
  cache.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, first.hook());
  cache.worker.run_one();  // committed, and not yet told
  break_database(cache.state_dir / "state.db");
  cache.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, second.hook());
  cache.settle();
  EXPECT_TRUE(first.last.has_value());
  ASSERT_EQ(second.times, 1);
  EXPECT_FALSE(second.last.has_value());
  EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked) << "the first one's rule stands";
}

TEST(RevokerKinds, LiftLetsAdmissionsPassAndRevivesNoRecord) {
  for (const RevokeTarget& target : all_kinds()) {
    SCOPED_TRACE(authcached::rule_kind_name(target.kind));
    Cache cache;
    cache.admit("tok", full(cache));
    const Told told = revoke(cache, target);
    ASSERT_EQ(cache.admit("refused", full(cache)).reason, Reason::kRevoked);
    ASSERT_EQ(cache.seen("refused"), Verdict::kInvalid);
    expect_lifted(cache, change_of(told));
    EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
    EXPECT_EQ(cache.seen("refused"), Verdict::kMiss) << "the refusal is forgotten";
    EXPECT_EQ(cache.admit("tok", full(cache)).verdict, Verdict::kValid);
    auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
    EXPECT_EQ(again.load_rules(cache.clock.boot)->size(), 0u);
  }
}

TEST(RevokerKinds, LiftSparesARevocationMadeWhileItsCommitRuns) {
  Cache cache;
  const Told first = revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  bool lifted = true;
  cache.revoker.lift(change_of(first), [&](Result<std::vector<Rule>> done) { lifted = done.has_value(); });
  Told second;
  cache.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, second.hook());
  cache.settle();
  EXPECT_FALSE(lifted) << "it says that a later rule stands";
  ASSERT_TRUE(second.last.has_value());
  EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked);
  auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
  EXPECT_EQ(again.load_rules(cache.clock.boot)->size(), 1u);
}

TEST(RevokerKinds, ALiftThatCannotBeCommittedLeavesTheRule) {
  Cache cache;
  const Told told = revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  break_database(cache.state_dir / "state.db");
  bool lifted = true;
  cache.revoker.lift(change_of(told), [&](Result<std::vector<Rule>> done) { lifted = done.has_value(); });
  cache.settle();
  EXPECT_FALSE(lifted);
  EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked);
}

TEST(RevokerKinds, LiftingOneOfATokensRulesLiftsBoth) {
  struct RestlessClock final : authcached::Clock {
    mutable std::int64_t now = 1'700'000'000 * kSecond;
    std::int64_t monotonic_ns() const override { return now; }
    std::int64_t boot_ns() const override { return ++now; }
    std::int64_t wall_ns() const override { return ++now; }
  } clock;
  Cache cache;
  authcached::Revoker revoker(cache.tables, cache.rules, cache.state, *cache.loop, clock, 0);
  Told told;
  revoker.revoke_token("a.b.c", told.hook());
  cache.settle();
  ASSERT_EQ(cache.rules.size(), 2u);
  bool lifted = false;
  revoker.lift(change_of(told), [&](Result<std::vector<Rule>> done) { lifted = done.has_value(); });
  cache.settle();
  EXPECT_TRUE(lifted);
  EXPECT_EQ(cache.rules.size(), 0u);
}

TEST(RevokerKinds, AtTheBoundTheIssuerStandsForARuleThatNamesOneAndElseEverything) {
  Cache cache;
  cache.revoker.set_rules_max(1);
  revoke(cache, {RuleKind::kSubject, "somebody", {}, {}});
  cache.admit("tok", full(cache));
  cache.admit("other", of_somebody_else(cache));
  const Told jti = revoke(cache, {RuleKind::kJti, "j-9", kIssuer, {}});
  ASSERT_TRUE(jti.last.has_value());
  EXPECT_TRUE(jti.last->issuer_instead);
  EXPECT_FALSE(jti.last->everything);
  EXPECT_EQ(cache.admit("tok", full(cache)).reason, Reason::kRevoked);
  EXPECT_EQ(cache.seen("other"), Verdict::kValid);
  const Told sid = revoke(cache, {RuleKind::kSid, "s-9", {}, {}});
  EXPECT_TRUE(sid.last->everything);
  EXPECT_EQ(cache.admit("other", of_somebody_else(cache)).reason, Reason::kRevoked);
}

TEST(RevokerKinds, AtTheBoundARevocationOfWhatIsKnownDoesNotWiden) {
  Cache cache;
  cache.revoker.set_rules_max(1);
  revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  const Told again = revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  EXPECT_FALSE(again.last->everything || again.last->issuer_instead);
  EXPECT_EQ(cache.rules.size(), 1u);
  Cache tokens;
  tokens.revoker.set_rules_max(1);
  Told told;
  tokens.revoker.revoke_token("tok", told.hook());
  tokens.revoker.revoke_token("tok", told.hook());
  tokens.settle();
  EXPECT_FALSE(told.last->everything);
}

// Whoever holds the key writes any time of issue, so no not-before can stand for it.
TEST(RevokerKinds, AKeyBeyondTheBoundAndItsReserveIsAnErrorAndNotSomethingWeaker) {
  Cache cache;
  cache.revoker.set_rules_max(0);
  for (std::size_t i = 0; i + 1 < authcached::Revoker::kReserve; ++i) {
    ASSERT_TRUE(revoke(cache, {RuleKind::kKey, raw(authcached::sha256(std::to_string(i))), {}, {}}).last.has_value());
  }
  EXPECT_FALSE(revoke(cache, {RuleKind::kKey, raw(authcached::sha256("one more")), {}, {}}).last.has_value());
  EXPECT_TRUE(revoke(cache, {RuleKind::kSubject, "alice", {}, {}}).last->everything) << "room is kept for this";
}

// More than one slice of one subject. Between slices the loop does what it likes.
struct Crowd : Cache {
  static constexpr std::uint64_t kRecords = 600;
  Crowd() {
    for (std::uint64_t i = 0; i < kRecords; ++i) admit(token(i), full(*this));
  }
  static std::string token(std::uint64_t i) { return "tok-" + std::to_string(i); }
  [[nodiscard]] std::uint64_t alive() const {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < kRecords; ++i) count += seen(token(i)) == Verdict::kValid ? 1 : 0;
    return count;
  }
  // One turn of the loop.
  bool turn() {
    loop->context().restart();
    return loop->context().poll_one() > 0;
  }
};

TEST(BulkRevocation, GoesInSlicesAndIsNotMadeDurableOrAcknowledgedBeforeTheLast) {
  Crowd crowd;
  const std::uint64_t before = crowd.alive();
  ASSERT_GT(before, 2 * BulkKill::kSlice / 10) << "more than one slice";
  Told told;
  crowd.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, told.hook());
  EXPECT_LT(crowd.alive(), before);
  EXPECT_GT(crowd.alive(), 0u) << "the rest waits for its turn";
  EXPECT_EQ(crowd.worker.run_all(), 0u) << "killed before durable";
  EXPECT_EQ(crowd.admit("new", full(crowd)).reason, Reason::kRevoked) << "the rule holds from the first moment";
  crowd.settle();
  EXPECT_EQ(crowd.alive(), 0u);
  ASSERT_TRUE(told.last.has_value());
  EXPECT_EQ(told.last->killed, before);
}

TEST(BulkRevocation, AdmissionsAndMovesBetweenSlicesLetNoRecordEscape) {
  Crowd crowd;
  const auto& header = crowd.tables.newest().writer.view().header();
  const auto moved = authcache::shm::StdAtomics::load_relaxed(header.moved);
  Told told;
  crowd.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, told.hook());
  int others = 0;
  do {
    for (int i = 0; i < 200; ++i) crowd.admit("other-" + std::to_string(others++), of_somebody_else(crowd));
    EXPECT_EQ(crowd.admit("late", full(crowd)).verdict, Verdict::kInvalid);
  } while (crowd.turn());
  EXPECT_GT(authcache::shm::StdAtomics::load_relaxed(header.moved), moved) << "the case shows something";
  EXPECT_EQ(crowd.alive(), 0u);
  crowd.settle();
  EXPECT_TRUE(told.last.has_value());
}

TEST(BulkRevocation, AReplacementThatBeginsBetweenSlicesBringsNothingBack) {
  for (const bool flush : {false, true}) {
    Crowd crowd;
    bool done = false;
    if (flush) {
      crowd.admission.disregard_flights();
      crowd.revoker.flush_subject("alice", [&](std::uint64_t) { done = true; });
    } else {
      crowd.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, [&](auto told) { done = told.has_value(); });
    }
    crowd.tables.begin_replacement(authcached::testing::make_test_generation(crowd.directory.path(), 2));
    const auto& source = crowd.tables.current().writer.view();
    const auto admit = [&](const auto& hot, const auto& cold, auto text, auto&) { return crowd.admission.may_keep(source, crowd.profiles, hot, cold, text); };
    while (!crowd.tables.copy_slice(20, static_cast<std::uint64_t>(crowd.clock.monotonic), admit)) crowd.turn();
    crowd.settle();
    EXPECT_TRUE(done);
    EXPECT_EQ(crowd.tables.current().writer.live(), 0u);
    EXPECT_EQ(crowd.alive(), 0u);
  }
}

TEST(BulkRevocation, TwoAtOnceTakeTurnsAndAGenerationThatEndsMeanwhileEndsNoJob) {
  Crowd crowd;
  Told first, second;
  crowd.tables.begin_replacement(authcached::testing::make_test_generation(crowd.directory.path(), 2));
  crowd.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, first.hook());
  crowd.revoker.revoke({RuleKind::kClient, "web", {}, {}}, second.hook());
  ASSERT_TRUE(crowd.tables.name_successor().has_value());
  crowd.tables.retire_predecessor();
  crowd.settle();
  EXPECT_TRUE(first.last.has_value() && first.times == 1);
  EXPECT_TRUE(second.last.has_value() && second.times == 1);
}

TEST(BulkRevocation, AFlightThatBeganBeforeAFlushAnswersAndLeavesNoRecord) {
  Cache cache;
  std::vector<Verdict> answers;
  cache.resolver.validate(cache.profile, "tok", 1, [&](const auto& reply) {
    answers.push_back(reply.verdict);
    EXPECT_EQ(reply.place_count, 0u);
  });
  cache.admission.disregard_flights();
  cache.revoker.flush_subject("alice", [](std::uint64_t) {});
  cache.upstream->answer(full(cache));
  EXPECT_EQ(answers, std::vector{Verdict::kValid});
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("tok", full(cache)).verdict, Verdict::kValid);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

TEST(ReplyInTheSocket, IsInvalidForEachWaiterOnceARuleOfAnyKindIsThere) {
  for (const RevokeTarget& target : all_kinds()) {
    SCOPED_TRACE(authcached::rule_kind_name(target.kind));
    Cache cache;
    std::vector<Verdict> answers;
    for (int i = 0; i < 3; ++i) {
      cache.resolver.validate(cache.profile, "tok", 1, [&](const auto& reply) { answers.push_back(reply.verdict); });
    }
    cache.resolver.set_fault_hook([&](FaultPoint point) {
      if (point == FaultPoint::kReplyBeforeSend && answers.size() == 1) cache.revoker.revoke(target, [](auto) {});
    });
    cache.upstream->answer(full(cache));
    EXPECT_EQ(answers, (std::vector{Verdict::kValid, Verdict::kInvalid, Verdict::kInvalid}));
    EXPECT_EQ(cache.seen("tok"), Verdict::kMiss) << "the first reply names a record that is dead";
  }
}

// A key that is gone leaves its index to another one in the end; records of the gone one must not count under it.
TEST(RemovedKey, ItsIndexIsReusedOnlyAfterItsEpochWasRaised) {
  Cache cache;
  cache.admit("tok", full(cache));
  ASSERT_EQ(cache.seen("tok"), Verdict::kValid);
  for (std::uint32_t i = 0; i < authcache::shm::kKeysMax; ++i) {
    Proof other = of_somebody_else(cache);
    other.key_thumbprint = authcached::sha256("key number " + std::to_string(i));
    cache.admit("other", other);
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(RevokerKinds, WhatCannotBeARuleIsAnErrorThatChangesNothing) {
  Cache cache;
  cache.admit("tok", full(cache));
  const RevokeTarget wrong[] = {{RuleKind::kKey, "not 32 bytes", {}, {}},
                                {RuleKind::kEverything, "a value", {}, {}},
                                {RuleKind::kSubject, std::string(authcached::kRuleTextBytesMax + 1, 's'), {}, {}},
                                {RuleKind::kJti, "j-1", std::string(authcached::kRuleTextBytesMax + 1, 'i'), {}}};
  for (const RevokeTarget& target : wrong) {
    const Told told = revoke(cache, target);
    ASSERT_FALSE(told.last.has_value());
    EXPECT_EQ(told.last.error().code, authcache::shm::ErrorCode::kUsage);
    EXPECT_NE(told.last.error().message.find("cannot be revoked"), std::string::npos);
  }
  EXPECT_EQ(cache.rules.size(), 0u);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  EXPECT_EQ(cache.worker.run_all(), 0u);
}

TEST(RevokerKinds, LiftingWhatNoRuleInForceWasMadeByIsNotFound) {
  Cache cache;
  const Told told = revoke(cache, {RuleKind::kSubject, "alice", {}, {}});
  for (const std::uint64_t change : {std::uint64_t{0}, change_of(told) + 1, std::uint64_t{UINT64_MAX}}) {
    Result<std::vector<Rule>> lifted;
    cache.revoker.lift(change, [&](Result<std::vector<Rule>> done) { lifted = std::move(done); });
    cache.settle();
    ASSERT_FALSE(lifted.has_value());
    EXPECT_EQ(lifted.error().code, authcache::shm::ErrorCode::kNotFound);
  }
  EXPECT_EQ(cache.rules.size(), 1u);
}

TEST(RevokerKinds, EitherRuleOfATokenLiftsBothAndNoNeighbour) {
  for (const bool by_first : {true, false}) {
    Cache cache;
    const Told before = revoke(cache, {RuleKind::kSubject, "somebody", {}, {}});
    Told told;
    cache.revoker.revoke_token("a.b.c", told.hook());
    cache.settle();
    Told other;
    cache.revoker.revoke_token("opaque", other.hook());
    cache.settle();
    ASSERT_EQ(cache.rules.size(), 4u);
    expect_lifted(cache, by_first ? change_of(told) - 1 : change_of(told));
    EXPECT_EQ(cache.rules.size(), 2u);
    const auto left = cache.rules.list(0, 10);
    EXPECT_EQ(left.front().change, change_of(before));
    EXPECT_EQ(left.back().change, change_of(other));
  }
}

}  // namespace
