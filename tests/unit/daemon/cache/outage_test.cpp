// How records outlive an upstream that cannot be asked (stale_if_error), and that nothing else does.
#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/refresh_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache::shm::wire::ValidateReply;
using authcached::Proof;
using authcached::UpstreamKind;
using authcached::testing::kSecond;
using authcached::testing::kTtlNs;
using authcached::testing::kTurnNs;
using authcached::testing::RefreshCache;

constexpr std::chrono::seconds kWindow{30};
constexpr std::int64_t kWindowNs = std::chrono::nanoseconds(kWindow).count();

struct Outage : RefreshCache {
  explicit Outage(std::chrono::seconds window = kWindow)
      : RefreshCache(UpstreamKind::kIntrospection, window) {}

  std::vector<ValidateReply> replies;
  void ask(std::string_view token) {
    resolver.validate(profile, token, 1'000,
                      [this](const ValidateReply& reply) { replies.push_back(reply); });
  }
  // Nobody is answered meanwhile. Uses `token` all the time.
  void pass_in_outage(std::string_view token, std::int64_t ns) {
    for (; ns > 0; ns -= kTurnNs) {
      if (seen(token) == Verdict::kValid) use(token);
      pass(std::min(ns, kTurnNs));
      fail_all();
    }
  }
  void fail_all() {
    while (!upstream->asked.empty()) upstream->answer(unavailable());
  }
  void fail_once() {
    ask("some other token");
    fail_all();
  }
};

TEST(Outage, B15_WithoutAWindowARecordEndsAtItsDeadlineAndUnavailableIsTheAnswer) {
  Outage cache(std::chrono::seconds(0));
  cache.learn("tok");
  cache.pass_in_outage("tok", kTtlNs);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.ask("tok");
  cache.fail_all();
  ASSERT_EQ(cache.replies.size(), 1u);
  EXPECT_EQ(cache.replies[0].verdict, Verdict::kUnavailable);
  EXPECT_EQ(cache.refresher.counters().stale, 0u);
}

TEST(Outage, ARecordInUseIsServedToTheEndOfItsWindowAndNotATickLonger) {
  Outage cache;
  cache.learn("tok");
  const auto control = cache.found("tok").record.control;
  const std::int64_t proven = cache.deadline("tok");
  while (cache.clock.monotonic < proven + kWindowNs) {
    ASSERT_EQ(cache.seen("tok"), Verdict::kValid)
        << (proven + kWindowNs - cache.clock.monotonic) << " ns before its end";
    ASSERT_LE(cache.deadline("tok"), proven + kWindowNs);
    cache.pass_in_outage("tok", std::min(kTurnNs, proven + kWindowNs - cache.clock.monotonic));
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.found("tok").record.control, control) << "extended in place all the time";
  EXPECT_EQ(cache.deadline("tok"), proven + kWindowNs);
  cache.ask("tok");
  cache.fail_all();
  ASSERT_EQ(cache.replies.size(), 1u);
  EXPECT_EQ(cache.replies[0].verdict, Verdict::kUnavailable) << "a failed question begins no second window";
}

TEST(Outage, ItGoesOnStepByStep) {
  Outage cache;
  cache.learn("tok");
  while (cache.refresher.counters().stale == 0) cache.pass_in_outage("tok", kTurnNs);
  EXPECT_LE(cache.left("tok"), authcached::Refresher::kStaleStepNs);
  EXPECT_GT(cache.left("tok"), authcached::Refresher::kStaleStepNs / 2);
}

TEST(Outage, ARecordThatNobodyUsesIsKeptAsWellOnceTheFailureIsKnown) {
  Outage cache;
  cache.learn("tok");
  cache.fail_once();
  cache.pass(kTtlNs + kSecond);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

TEST(Outage, AFailedMissOfARecordPastItsDeadlineIsAnsweredByIt) {
  Outage cache;
  cache.learn("tok");
  cache.pass(kTtlNs + kSecond);  // nobody knew of the failure
  ASSERT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.ask("tok");
  cache.fail_all();
  ASSERT_EQ(cache.replies.size(), 1u);
  EXPECT_EQ(cache.replies[0].verdict, Verdict::kValid);
  ASSERT_EQ(cache.replies[0].place_count, 1);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  EXPECT_EQ(cache.refresher.sealed().size(), 1u) << "and it can be refreshed again";
}

TEST(Outage, ATokenIsNotServedBeyondItsOwnEnd) {
  Outage cache;
  Proof proof = cache.proven("tok");
  proof.expires_wall_ns = cache.clock.wall + kTtlNs + 7 * kSecond;
  cache.learn("tok", proof);
  while (cache.clock.wall < *proof.expires_wall_ns) {
    cache.pass_in_outage("tok", std::min(kTurnNs, *proof.expires_wall_ns - cache.clock.wall));
    ASSERT_LE(cache.clock.wall + cache.left("tok"), *proof.expires_wall_ns);
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.ask("tok");
  cache.fail_all();
  EXPECT_EQ(cache.replies.at(0).verdict, Verdict::kUnavailable);
}

TEST(Outage, B5_ARevocationInTheWindowEndsIt) {
  Outage cache;
  cache.learn("tok");
  cache.pass_in_outage("tok", kTtlNs + 6 * kSecond);
  ASSERT_EQ(cache.seen("tok"), Verdict::kValid);
  cache.revoker.revoke({.kind = authcached::RuleKind::kSubject,
                        .value = "subject of tok",
                        .scope = {},
                        .not_before_wall_ns = {}},
                       [](auto) {});
  cache.settle();
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.ask("tok");
  cache.fail_all();
  EXPECT_EQ(cache.replies.at(0).verdict, Verdict::kUnavailable);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Outage, B5_ARuleWhoseKillsAreStillToComeStopsTheNextStep) {
  Outage cache;
  cache.learn("tok");
  cache.pass_in_outage("tok", kTtlNs + kSecond);
  const std::int64_t deadline = cache.deadline("tok");
  authcached::Rule rule;
  rule.change = 1;
  rule.kind = authcached::RuleKind::kSubject;
  rule.value = "subject of tok";
  rule.not_before_ns = cache.clock.wall;
  ASSERT_TRUE(cache.rules.add(rule));
  cache.pass_in_outage("tok", deadline - cache.clock.monotonic);
  EXPECT_EQ(cache.deadline("tok"), deadline);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Outage, AFlushEndsIt) {
  Outage cache;
  cache.learn("tok");
  cache.pass_in_outage("tok", kTtlNs + kSecond);
  cache.tables.raise_all();
  cache.ask("tok");
  cache.fail_all();
  EXPECT_EQ(cache.replies.at(0).verdict, Verdict::kUnavailable);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Outage, ARefusalIsNeverServedStale) {
  Outage cache;
  cache.learn("bad", cache.invalid());
  cache.fail_once();
  cache.pass(kTtlNs);
  cache.ask("bad");
  cache.fail_all();
  EXPECT_EQ(cache.replies.back().verdict, Verdict::kUnavailable);
}

TEST(Outage, B15_WhatWasNeverProvenIsUnavailableAndNothingIsStored) {
  Outage cache;
  cache.ask("tok");
  cache.fail_all();
  EXPECT_EQ(cache.replies.at(0).verdict, Verdict::kUnavailable);
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
}

TEST(Outage, ARefusalInTheWindowEndsTheRecordAtOnce) {
  Outage cache;
  cache.learn("tok");
  cache.pass_in_outage("tok", kTtlNs + kSecond);
  cache.use("tok");
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  cache.upstream->answer(cache.invalid());
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
}

TEST(Outage, RecoveryProvesTheRecordInPlaceAndANewOutageHasANewWindow) {
  Outage cache;
  cache.learn("tok");
  const auto control = cache.found("tok").record.control;
  cache.pass_in_outage("tok", kTtlNs + kWindowNs / 2);
  EXPECT_TRUE(cache.refresher.outage(*cache.profile).failing());
  EXPECT_GT(cache.refresher.outage(*cache.profile).stale_until_ns,
            static_cast<std::uint64_t>(cache.clock.monotonic));
  cache.use("tok");
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_FALSE(cache.refresher.outage(*cache.profile).failing());
  EXPECT_EQ(cache.found("tok").record.control, control);
  EXPECT_EQ(cache.left("tok"), kTtlNs - cache.tick());
  const std::int64_t proven = cache.deadline("tok");
  cache.pass_in_outage("tok", proven + kWindowNs - kSecond - cache.clock.monotonic);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

TEST(Outage, AnUpstreamThatIsOnlyBusyHereIsNoOutage) {
  Outage cache;
  cache.learn("tok");
  cache.pass(kTtlNs + kSecond);
  cache.ask("tok");
  cache.upstream->answer(cache.unavailable(Reason::kOverloaded));
  EXPECT_EQ(cache.replies.at(0).verdict, Verdict::kUnavailable);
  EXPECT_FALSE(cache.refresher.outage(*cache.profile).failing());
}

// An earlier daemon may have prolonged it already: how long ago it was proven is not known.
TEST(Outage, ARecordOfAnEarlierDaemonHasNoWindow) {
  Outage cache;
  cache.learn("tok");
  cache.tables.newest().refresh.set_proven_until(cache.found("tok").slot, 0);
  cache.fail_once();
  cache.pass(kTtlNs + kSecond);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Outage, AReplacementOfTheTableBeginsNoSecondWindow) {
  Outage cache;
  cache.learn("tok");
  const std::int64_t proven = cache.deadline("tok");
  cache.pass_in_outage("tok", kTtlNs + 6 * kSecond);
  cache.tables.begin_replacement(authcached::testing::make_test_generation(cache.directory.path(), 2));
  ASSERT_TRUE(cache.tables.copy_slice(UINT64_MAX, static_cast<std::uint64_t>(cache.clock.monotonic),
                                      [](auto&&...) { return true; }));
  cache.pass(proven + kWindowNs - cache.clock.monotonic);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_LE(cache.deadline("tok"), proven + kWindowNs);
  EXPECT_GT(cache.deadline("tok"), proven + kWindowNs - kSecond)
      << "and it was served to the end of the first";
}

}  // namespace
