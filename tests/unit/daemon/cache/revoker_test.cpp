#include "daemon/cache/revoker.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;
using authcached::FaultPoint;
using authcached::RevokeReport;
using authcached::testing::Cache;
using authcached::testing::kSecond;

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

// Holds SQLite's write lock from another connection, so that commits fail; released with the object.
struct LockedDatabase {
  explicit LockedDatabase(const std::filesystem::path& file) {
    sqlite3_open(file.c_str(), &db);
    sqlite3_exec(db, "PRAGMA query_only=0; DROP TABLE rules", nullptr, nullptr, nullptr);
  }
  ~LockedDatabase() { sqlite3_close(db); }
  sqlite3* db = nullptr;
};

TEST(Revoker, B5_OrderIsRuleKillDurableAcknowledge) {
  Cache cache;
  cache.admit("tok", cache.valid());
  std::vector<FaultPoint> points;
  Told told;
  cache.revoker.set_fault_hook([&](FaultPoint point) {
    points.push_back(point);
    EXPECT_EQ(told.times, 0);
    if (point == FaultPoint::kRuleBeforeKill) {
      EXPECT_GT(cache.rules.size(), 0u);
    } else {
      EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
    }
  });
  cache.revoker.revoke_token("tok", told.hook());
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss) << "refused before anything is durable";
  EXPECT_EQ(told.times, 0) << "nothing is acknowledged before the commit";
  cache.settle();
  ASSERT_EQ(told.times, 1);
  ASSERT_TRUE(told.last.has_value()) << told.last.error().message;
  EXPECT_EQ(told.last->killed, 1u);
  EXPECT_EQ(points, (std::vector{FaultPoint::kRuleBeforeKill, FaultPoint::kKilledBeforeDurable, FaultPoint::kDurableBeforeAcknowledge}));
  EXPECT_EQ(authcache::shm::StdAtomics::load_relaxed(cache.tables.newest().writer.view().header().durable_change), told.last->change);
}

TEST(Revoker, B5_PresentedAgainWhileTheCommitIsPendingOrDoneTheTokenIsRevoked) {
  Cache cache;
  Told told;
  cache.revoker.revoke_token("tok", told.hook());
  EXPECT_EQ(cache.admit("tok", cache.valid()).reason, Reason::kRevoked);
  cache.settle();
  EXPECT_EQ(cache.admit("tok", cache.valid()).reason, Reason::kRevoked);
}

TEST(Revoker, ATwinWithTheSameSigningInputDiesWithTheToken) {
  Cache cache;
  auto proof = cache.valid();
  proof.signing_input = authcached::sha256("head.body");
  cache.admit("head.body.sig2", proof);
  ASSERT_EQ(cache.seen("head.body.sig2"), Verdict::kValid);
  Told told;
  cache.revoker.revoke_token("head.body.sig1", told.hook());
  EXPECT_EQ(cache.seen("head.body.sig2"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("head.body.sig3", proof).reason, Reason::kRevoked);
}

TEST(Revoker, AFailedCommitIsAnErrorAndWithdrawsTheRuleButWhatWasKilledStaysKilled) {
  Cache cache;
  cache.admit("tok", cache.valid());
  const LockedDatabase broken(cache.state_dir / "state.db");
  Told told;
  cache.revoker.revoke_token("tok", told.hook());
  cache.settle();
  ASSERT_EQ(told.times, 1);
  EXPECT_FALSE(told.last.has_value());
  EXPECT_EQ(cache.rules.size(), 0u);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("tok", cache.valid()).verdict, Verdict::kValid) << "it revalidates";
}

TEST(Revoker, AFailedCommitLeavesTheOlderDurableRuleInForce) {
  Cache cache;
  Told first, second;
  cache.revoker.revoke_token("tok", first.hook());
  cache.settle();
  ASSERT_TRUE(first.last.has_value());
  const LockedDatabase broken(cache.state_dir / "state.db");
  cache.revoker.revoke_token("tok", second.hook());
  cache.settle();
  EXPECT_FALSE(second.last.has_value());
  EXPECT_EQ(cache.admit("tok", cache.valid()).reason, Reason::kRevoked);
}

TEST(Revoker, ARevocationOfTheSameTokenIsAcknowledgedByACommitOfItsOwnOnly) {
  Cache cache;
  Told first, second;
  cache.revoker.revoke_token("tok", first.hook());
  cache.worker.run_one();  // the first commit is done, and not yet told
  cache.revoker.revoke_token("tok", second.hook());
  cache.turns.run_one();
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(second.times, 0);
  cache.settle();
  ASSERT_EQ(second.times, 1);
  EXPECT_GT(second.last->change, first.last->change);
}

TEST(Revoker, WhatIsAcknowledgedIsThereAfterARestart) {
  Cache cache;
  Told told;
  cache.revoker.revoke_token("a.b.c", told.hook());
  cache.settle();
  auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
  EXPECT_EQ(again.load_rules(cache.clock.boot)->size(), 2u) << "by its bytes and by its signing input";
}

TEST(Revoker, AcknowledgementsWaitWhileAnUnreachableTableMayBeBelieved) {
  Cache cache;
  Told told;
  cache.revoker.hold_acknowledgements_until(cache.clock.monotonic + 20'000'000);
  cache.revoker.revoke_token("tok", told.hook());
  cache.settle();
  EXPECT_EQ(told.times, 0);
  EXPECT_EQ(cache.admit("tok", cache.valid()).reason, Reason::kRevoked) << "the rule holds meanwhile";
  cache.loop->after(std::chrono::milliseconds(60), [&] { cache.loop->stop(); });
  cache.loop->run();
  EXPECT_EQ(told.times, 1);
}

TEST(Revoker, BeyondTheBoundEverythingIssuedUntilNowIsRefused) {
  Cache cache;
  cache.revoker.set_rules_max(1);
  cache.admit("other", cache.valid());
  Told first, second;
  cache.revoker.revoke_token("one", first.hook());
  cache.revoker.revoke_token("two", second.hook());
  cache.settle();
  ASSERT_TRUE(second.last.has_value());
  EXPECT_TRUE(second.last->everything);
  EXPECT_FALSE(first.last->everything);
  EXPECT_EQ(cache.seen("other"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("two", cache.valid()).reason, Reason::kRevoked);
  cache.clock.pass(kSecond);
  EXPECT_EQ(cache.admit("new", cache.valid()).verdict, Verdict::kValid);
  EXPECT_EQ(cache.admit("one", cache.valid()).reason, Reason::kRevoked) << "no rule was forgotten";
}

TEST(Revoker, EverythingReachesATokenOfAnIssuerWhoseClockRunsAheadByTheLeeway) {
  Cache cache;
  auto config = cache.profile->config;
  config.leeway = std::chrono::seconds(30);
  cache.set_profile(config);
  cache.revoker.set_rules_max(0);
  auto proof = cache.valid();
  proof.issued_wall_ns = cache.clock.wall + 20 * kSecond;
  cache.revoker.revoke_token("tok", [](auto) {});
  EXPECT_EQ(cache.admit("tok", proof).reason, Reason::kRevoked);
}

TEST(Revoker, ALongerMaximumLifetimeLengthensStoredRulesDurably) {
  Cache cache;
  cache.revoker.revoke_token("tok", [](auto) {});
  cache.settle();
  auto config = cache.profile->config;
  config.max_token_lifetime = std::chrono::seconds(7'200);
  cache.set_profile(config);
  EXPECT_TRUE(cache.revoker.lengthening());
  cache.settle();
  EXPECT_FALSE(cache.revoker.lengthening());
  cache.clock.pass(3'700 * kSecond);  // past the old life, within the new
  cache.revoker.purge();
  EXPECT_EQ(cache.admit("tok", cache.valid(3'000 * kSecond)).reason, Reason::kRevoked);
  auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
  EXPECT_EQ(again.load_rules(cache.clock.boot)->at(0).life_ns, 7'200 * kSecond);
  cache.clock.pass(3'600 * kSecond);
  cache.revoker.purge();
  EXPECT_EQ(cache.rules.size(), 0u);
}

TEST(Revoker, NothingIsPurgedWhileALengtheningIsNotDurable) {
  Cache cache;
  cache.revoker.revoke_token("tok", [](auto) {});
  cache.settle();
  const LockedDatabase broken(cache.state_dir / "state.db");
  auto config = cache.profile->config;
  config.max_token_lifetime = std::chrono::seconds(7'200);
  cache.set_profile(config);
  cache.settle();
  EXPECT_TRUE(cache.revoker.lengthening());
  cache.clock.pass(9'000 * kSecond);
  cache.revoker.purge();
  cache.settle();
  EXPECT_EQ(cache.rules.size(), 1u);
}

TEST(Revoker, AShorterMaximumLifetimeShortensNoRule) {
  Cache cache;
  cache.revoker.revoke_token("tok", [](auto) {});
  cache.settle();
  auto config = cache.profile->config;
  config.max_token_lifetime = std::chrono::seconds(60);
  cache.set_profile(config);
  EXPECT_FALSE(cache.revoker.lengthening());
  EXPECT_EQ(cache.rules.list(0, 10).at(0).life_ns, 3'600 * kSecond);
}

// Revoked while its end lies beyond the maximum, such a token is admissible again once its end has come near: by then a
// rule with an end would be gone.
TEST(Revoker, ARuleHasNoEndWhereATokenMayNameNoTimeOfIssue) {
  authcached::ProfileConfig config;
  config.upstream = authcached::UpstreamKind::kJwks;
  config.token_type = authcached::TokenType::kLegacy;
  EXPECT_EQ(authcached::rule_life_ns(config), 0);
  config.token_type = authcached::TokenType::kAccessToken;
  config.max_token_lifetime = std::chrono::seconds(100);
  config.leeway = std::chrono::seconds(5);
  EXPECT_EQ(authcached::rule_life_ns(config), 110 * kSecond);
  config.upstream = authcached::UpstreamKind::kSqlite;
  config.query = "SELECT subject FROM s WHERE k = ?1";
  EXPECT_EQ(authcached::rule_life_ns(config), 0);
}

TEST(Revoker, ASessionIsRevokedByTheHashOfItsTokenAlone) {
  Cache cache;
  cache.admit("tok", cache.valid());
  cache.admit("other", cache.valid());
  Told told;
  cache.revoker.revoke_session(authcached::sha256("tok"), told.hook());
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss) << "refused before anything is durable";
  EXPECT_EQ(told.times, 0);
  cache.settle();
  ASSERT_TRUE(told.last.has_value());
  EXPECT_EQ(told.last->killed, 1u);
  EXPECT_EQ(cache.admit("tok", cache.valid()).reason, Reason::kRevoked);
  EXPECT_EQ(cache.seen("other"), Verdict::kValid);
  auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
  EXPECT_EQ(again.load_rules(cache.clock.boot)->size(), 1u);
}

TEST(Revoker, WhatStandsForLostRulesRefusesEverythingIssuedUntilNowAndNothingLater) {
  Cache cache;
  const authcached::Rule rule = authcached::everything_rule(7, 500 * kSecond, cache.clock);
  EXPECT_EQ(authcached::rule_fault(rule), std::nullopt);
  EXPECT_EQ(rule.change, 7u);
  ASSERT_TRUE(cache.rules.add(rule));
  EXPECT_EQ(cache.admit("now", cache.valid()).reason, Reason::kRevoked);
  auto ageless = cache.valid();
  ageless.issued_wall_ns.reset();
  EXPECT_EQ(cache.admit("ageless", ageless).reason, Reason::kRevoked);
  cache.clock.pass(1);
  EXPECT_EQ(cache.admit("later", cache.valid()).verdict, Verdict::kValid);
  cache.rules.mark_durable(7);
  cache.clock.pass(500 * kSecond);
  cache.revoker.purge();
  EXPECT_EQ(cache.rules.size(), 0u) << "kept for its life, and no longer";
}

TEST(Revoker, ALengtheningReachesRulesBehindAThousandThatNeedNone) {
  Cache cache;
  authcached::RuleSet rules(2'000);
  for (int i = 0; i < 1'100; ++i) {
    authcached::Rule lasting;
    lasting.change = static_cast<std::uint64_t>(i) + 1;
    lasting.kind = authcached::RuleKind::kIssuer;
    lasting.value = "https://issuer-" + std::to_string(i);
    lasting.durable = true;
    ASSERT_TRUE(rules.add(lasting));
  }
  authcached::Revoker revoker(cache.tables, rules, cache.state, *cache.loop, cache.clock, 1'100);
  revoker.set_profiles(cache.profiles);
  cache.settle();
  ASSERT_FALSE(revoker.lengthening());
  revoker.revoke_token("tok", [](auto) {});
  cache.settle();
  auto longer = std::make_shared<authcached::Profile>(*cache.profile);
  longer->config.max_token_lifetime = std::chrono::seconds(7'200);
  revoker.set_profiles({longer});
  EXPECT_TRUE(revoker.lengthening()) << "a thousand rules are one slice";
  cache.settle();
  EXPECT_FALSE(revoker.lengthening());
  const auto made = rules.list(1'100, 10);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].life_ns, 7'200 * kSecond);
  EXPECT_TRUE(made[0].durable);
}

TEST(Revoker, AFlushOfAProfileOrOfAllButItEndsRecordsAndLeavesNoRule) {
  for (const bool all_but : {false, true}) {
    Cache cache;
    const auto first = cache.profile;
    cache.admit("tok", cache.valid());
    authcached::ProfileConfig config = first->config;
    config.name = "other";
    config.issuer = "https://other.example";
    cache.set_profile(config);
    cache.admit("tok", cache.valid());
    ASSERT_EQ(cache.tables.newest().writer.live(), 2u);
    std::uint64_t killed = 0;
    const auto done = [&](std::uint64_t count) { killed = count; };
    if (all_but) {
      cache.revoker.flush_other_profiles({cache.profile->id}, done);
    } else {
      cache.revoker.flush_profile(first->id, done);
    }
    cache.settle();
    EXPECT_EQ(killed, 1u);
    EXPECT_EQ(cache.seen("tok"), Verdict::kValid) << "the other profile's";
    cache.profile = first;
    EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
    EXPECT_EQ(cache.rules.size(), 0u);
    EXPECT_EQ(cache.admit("tok", cache.valid()).verdict, Verdict::kValid);
  }
}

TEST(Revoker, SaysForHowLongAcknowledgementsAreStillHeld) {
  Cache cache;
  EXPECT_LE(cache.revoker.held_for_ns(), 0);
  cache.revoker.hold_acknowledgements_until(cache.clock.monotonic + 5 * kSecond);
  cache.clock.pass(2 * kSecond);
  EXPECT_EQ(cache.revoker.held_for_ns(), 3 * kSecond);
}

}  // namespace
