// What is refreshed, when, and what becomes of the record. How records outlive an outage: outage_test.cpp.
#include "daemon/cache/refresher.hpp"

#include <gtest/gtest.h>

#include "daemon/cache/principal_id.hpp"
#include "tests/unit/daemon/cache/refresh_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache::shm::wire::ValidateReply;
using authcached::Proof;
using authcached::Refresher;
using authcached::UpstreamKind;
using authcached::testing::kSecond;
using authcached::testing::kTtlNs;
using authcached::testing::kTurnNs;
using authcached::testing::RefreshCache;

// Under way at the moment: the token was good, is used, and its upstream is being asked again.
struct AskedAgain : RefreshCache {
  AskedAgain() {
    learn("tok");
    use("tok");
    EXPECT_TRUE(pass_until_asked(kTtlNs));
    EXPECT_EQ(seen("tok"), Verdict::kValid) << "asked while the record is good";
    EXPECT_EQ(upstream->asked.front().first.token, "tok");
  }
};

TEST(Refresher, AConfirmedRecordKeepsItsPlaceAndGetsALaterDeadline) {
  AskedAgain cache;
  const auto before = cache.found("tok");
  cache.upstream->answer(cache.proven("tok"));
  const auto after = cache.found("tok");
  EXPECT_EQ(after.slot, before.slot);
  EXPECT_EQ(after.record.control, before.record.control) << "a pin stays good";
  EXPECT_EQ(after.record.facts, before.record.facts);
  EXPECT_EQ(cache.left("tok"), kTtlNs - cache.tick());
  EXPECT_EQ(cache.refresher.counters().extended, 1u);
  EXPECT_EQ(cache.refresher.counters().changed, 0u);
}

TEST(Refresher, AUsedRecordOutlivesTenDeadlinesAndAnUnusedOneItsFirstNot) {
  RefreshCache cache;
  cache.learn("hot");
  cache.learn("cold");
  const auto control = cache.found("hot").record.control;
  for (std::int64_t ns = 0; ns < 10 * kTtlNs; ns += kTurnNs) {
    ASSERT_EQ(cache.seen("hot"), Verdict::kValid) << "after " << ns;
    cache.use("hot");
    cache.pass(kTurnNs);
    while (!cache.upstream->asked.empty()) {
      ASSERT_EQ(cache.upstream->asked.front().first.token, "hot");
      cache.upstream->answer(cache.proven("hot"));
    }
  }
  EXPECT_EQ(cache.found("hot").record.control, control);
  EXPECT_EQ(cache.seen("cold"), Verdict::kMiss);
  EXPECT_EQ(cache.resolver.counters().waiting_on_refresh, 0u);
  EXPECT_GE(cache.refresher.counters().extended, 9u);
}

TEST(Refresher, AUseBeforeTheLastProofDoesNotCount) {
  AskedAgain cache;
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_FALSE(cache.pass_until_asked(2 * kTtlNs));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, AUseThatTheEvictionTookNoteOfCounts) {
  RefreshCache cache;
  cache.learn("tok");
  cache.use("tok");
  for (int i = 0; i < 100; ++i)
    cache.admit("other" + std::to_string(i), cache.valid());  // the hand goes round
  ASSERT_EQ(cache.tables.newest().recency->bytes()[cache.found("tok").slot], 0);
  EXPECT_TRUE(cache.pass_until_asked(kTtlNs));
}

TEST(Refresher, AUseOfTheOldTableCountsDuringAReplacement) {
  RefreshCache cache;
  cache.learn("tok");
  cache.use("tok");
  cache.tables.begin_replacement(authcached::testing::make_test_generation(cache.directory.path(), 2));
  ASSERT_TRUE(cache.tables.copy_slice(UINT64_MAX, static_cast<std::uint64_t>(cache.clock.monotonic),
                                      [](auto&&...) { return true; }));
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  cache.upstream->answer(cache.proven("tok"));
  const auto places = cache.tables.places_of(authcache::shm::key_of(cache.digest_of("tok")));
  ASSERT_EQ(places.count, 2);
  for (const auto& place : places.all()) {
    const auto deadline = cache.tables.generation(place.generation)->writer.peek(place.slot).deadline;
    EXPECT_EQ(static_cast<std::int64_t>(deadline), cache.clock.monotonic + kTtlNs - cache.tick());
  }
}

TEST(Refresher, OtherFactsMakeANewRecord) {
  const auto changes = {+[](Proof& proof) {
                          proof.identity.scopes = {"read", "write"};
                        },
                        +[](Proof& proof) { proof.identity.subject = "mallory"; },
                        +[](Proof& proof) { proof.identity.claims_json = R"({"tier":2})"; },
                        +[](Proof& proof) { proof.expires_wall_ns = (1'700'000'000 + 3'000) * kSecond; },
                        +[](Proof& proof) { proof.issued_wall_ns = 1'699'999'000 * kSecond; },
                        +[](Proof& proof) {
                          proof.identity.confirmation =
                              authcached::Confirmation{authcached::Confirmation::Kind::kCertificate, {7}};
                        }};
  for (const auto change : changes) {
    AskedAgain cache;
    const auto before = cache.found("tok");
    Proof other = cache.proven("tok");
    change(other);
    cache.upstream->answer(other);
    EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
    EXPECT_NE(cache.found("tok").record.control, before.record.control);
    EXPECT_EQ(cache.refresher.counters().changed, 1u);
    EXPECT_EQ(cache.refresher.counters().extended, 0u);
    cache.pass(kTurnNs);
    EXPECT_EQ(cache.refresher.sealed().size(), 1u) << "the new record has its token too";
  }
}

TEST(Refresher, ARefusalEndsTheRecordAtOnceAndItsTokenWithIt) {
  AskedAgain cache;
  ASSERT_EQ(cache.refresher.sealed().size(), 1u);
  cache.upstream->answer(cache.invalid());
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
  EXPECT_EQ(cache.refresher.counters().dropped, 1u);
  cache.pass(kTurnNs);
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
}

TEST(Refresher, B15_AnUpstreamThatCannotTellLeavesTheRecordUntilItsDeadline) {
  AskedAgain cache;
  const std::int64_t deadline = cache.deadline("tok");
  while (cache.clock.monotonic < deadline) {
    while (!cache.upstream->asked.empty()) cache.upstream->answer(cache.unavailable());
    ASSERT_EQ(cache.seen("tok"), Verdict::kValid);
    cache.pass(std::min(kTurnNs, deadline - cache.clock.monotonic));
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.deadline("tok"), deadline);
  EXPECT_GE(cache.refresher.counters().failed, 2u) << "a second try fits before the deadline";
}

TEST(Refresher, AnAnswerAfterAFailureRefreshesAsIfNothingHadBeen) {
  AskedAgain cache;
  const auto control = cache.found("tok").record.control;
  cache.upstream->answer(cache.unavailable());
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_EQ(cache.found("tok").record.control, control);
  EXPECT_EQ(cache.left("tok"), kTtlNs - cache.tick());
}

TEST(Refresher, ARequestForARecordThatIsStillGoodWaitsForNoRefresh) {
  AskedAgain cache;
  std::vector<ValidateReply> replies;
  cache.resolver.validate(cache.profile, "tok", 1'000,
                          [&](const ValidateReply& reply) { replies.push_back(reply); });
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].verdict, Verdict::kValid);
  EXPECT_EQ(cache.resolver.counters().waiting_on_refresh, 0u);
}

TEST(Refresher, AMissDuringARefreshJoinsIt) {
  AskedAgain cache;
  const auto control = cache.found("tok").record.control;
  cache.pass(cache.left("tok"));
  ASSERT_EQ(cache.seen("tok"), Verdict::kMiss);
  std::vector<ValidateReply> replies;
  for (int i = 0; i < 3; ++i) {
    cache.resolver.validate(cache.profile, "tok", 1'000,
                            [&](const ValidateReply& reply) { replies.push_back(reply); });
  }
  EXPECT_EQ(cache.upstream->asked.size(), 1u);
  EXPECT_EQ(cache.resolver.counters().waiting_on_refresh, 0u) << "the record was no longer good";
  cache.upstream->answer(cache.proven("tok"));
  ASSERT_EQ(replies.size(), 3u);
  for (const auto& reply : replies) EXPECT_EQ(reply.verdict, Verdict::kValid);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  EXPECT_NE(cache.found("tok").record.control, control)
      << "whoever saw it past its deadline does not see it come back";
}

TEST(Refresher, B5_ARevocationDuringTheFlightWins) {
  AskedAgain cache;
  cache.revoker.revoke_token("tok", [](auto) {});
  ASSERT_NE(cache.seen("tok"), Verdict::kValid);
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
  cache.settle();
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
}

TEST(Refresher, B5_ARevocationOfTheSubjectDuringTheFlightWinsBeforeItsKillsAreThrough) {
  AskedAgain cache;
  cache.revoker.revoke({.kind = authcached::RuleKind::kSubject,
                        .value = "subject of tok",
                        .scope = {},
                        .not_before_wall_ns = {}},
                       [](auto) {});
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_NE(cache.seen("tok"), Verdict::kValid);
  cache.settle();
  EXPECT_NE(cache.seen("tok"), Verdict::kValid);
}

TEST(Refresher, AFlushDuringTheFlightVoidsWhatItBrings) {
  AskedAgain cache;
  cache.tables.raise_all();
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, AFlushOfASubjectDuringTheFlightLeavesNoRecord) {
  AskedAgain cache;
  cache.admission.disregard_flights();
  cache.revoker.flush_subject("subject of tok", [](auto) {});
  cache.settle();
  ASSERT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, AnIssuersEpochRaisedDuringTheFlightVoidsWhatItBrings) {
  AskedAgain cache;
  cache.tables.raise_issuer(authcached::principal_id(authcached::sha256("https://issuer.example")));
  cache.upstream->answer(cache.proven("tok"));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, TheTokensOwnEndIsNeverExceeded) {
  RefreshCache cache;
  Proof proof = cache.proven("tok");
  proof.expires_wall_ns = cache.clock.wall + 3 * kTtlNs / 2;
  cache.learn("tok", proof);
  while (cache.clock.wall < *proof.expires_wall_ns) {
    if (cache.seen("tok") == Verdict::kValid) cache.use("tok");
    cache.pass(std::min(kTurnNs, *proof.expires_wall_ns - cache.clock.wall));
    while (!cache.upstream->asked.empty()) cache.upstream->answer(proof);
    ASSERT_LE(cache.clock.wall + cache.left("tok"), *proof.expires_wall_ns);
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.refresher.counters().extended, 1u) << "at its end nothing is to be gained by asking";
  EXPECT_EQ(cache.refresher.counters().refreshed, 1u);
}

TEST(Refresher, ANegativeRecordIsNeverLookedAt) {
  RefreshCache cache;
  cache.learn("bad", cache.invalid());
  ASSERT_EQ(cache.seen("bad"), Verdict::kInvalid);
  cache.use("bad");
  EXPECT_EQ(cache.refresher.queued(), 0u);
  EXPECT_FALSE(cache.pass_until_asked(kTtlNs));
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
}

TEST(Refresher, ASwitchedOffProfileIsLeftAloneAndKeepsNoToken) {
  RefreshCache cache;
  auto config = cache.profile->config;
  config.refresh = false;
  cache.set_profile(config);
  cache.learn("tok");
  cache.use("tok");
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
  EXPECT_FALSE(cache.pass_until_asked(2 * kTtlNs));
}

TEST(Refresher, TheEarliestDeadlinesGoFirstAndNoMoreAtOnceThanTheBound) {
  RefreshCache cache;
  constexpr std::size_t kTokens = Refresher::kInFlightMax + 40;
  for (std::size_t i = 0; i < kTokens; ++i) {
    cache.learn("t" + std::to_string(i));
    cache.clock.pass(kTurnNs);  // later ones end later; nobody looks yet
  }
  for (std::size_t i = 0; i < kTokens; ++i) cache.use("t" + std::to_string(i));
  cache.refresher.tick();              // plans
  cache.clock.pass(kTtlNs - kSecond);  // all that is left of the first: a second less what the others took
  cache.clock.pass(-static_cast<std::int64_t>(kTokens) * kTurnNs);
  cache.refresher.tick();
  ASSERT_LE(cache.upstream->asked.size(), Refresher::kInFlightMax);
  EXPECT_EQ(cache.refresher.in_flight(*cache.profile), cache.upstream->asked.size());
  std::int64_t latest = 0;
  for (const auto& [query, answer] : cache.upstream->asked) {
    const std::int64_t deadline =
        cache.deadline(query.token) / static_cast<std::int64_t>(Refresher::kSameDeadlineNs);
    EXPECT_GE(deadline, latest);
    latest = deadline;
  }
}

TEST(Refresher, OfOneDeadlineTheRecordUsedLastGoesFirst) {
  RefreshCache cache;
  for (const char* token : {"long-unused", "just-used"}) cache.learn(token);
  cache.use("long-unused");
  for (int i = 0; i < 200; ++i)
    cache.admit("n" + std::to_string(i), cache.valid());  // the hand notes it, and time goes by
  cache.use("just-used");
  cache.refresher.tick();
  cache.clock.pass(kTtlNs - kSecond / 10);
  cache.refresher.tick();
  ASSERT_EQ(cache.upstream->asked.size(), 2u);
  EXPECT_EQ(cache.upstream->asked[0].first.token, "just-used");
}

TEST(Refresher, KeyedTokensLiveOnWithoutBeingAskedAbout) {
  RefreshCache cache(UpstreamKind::kJwks);
  cache.learn("tok");
  const auto control = cache.found("tok").record.control;
  for (std::int64_t ns = 0; ns < 3 * kTtlNs; ns += kTurnNs) {
    cache.use("tok");
    cache.pass(kTurnNs);
    ASSERT_EQ(cache.seen("tok"), Verdict::kValid);
  }
  EXPECT_TRUE(cache.upstream->asked.empty());
  EXPECT_EQ(cache.refresher.sealed().size(), 0u) << "no token is kept for that";
  EXPECT_EQ(cache.found("tok").record.control, control);
}

TEST(Refresher, A4_AKeyedTokenWhoseKeyIsGoneEnds) {
  RefreshCache cache(UpstreamKind::kJwks);
  cache.learn("tok");
  cache.use("tok");
  cache.upstream->knows_key = false;
  cache.pass(kTtlNs);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.refresher.counters().extended, 0u);
}

TEST(Refresher, AKeyedTokenLivesNoLongerThanItsKeySetIsReliedOn) {
  RefreshCache cache(UpstreamKind::kJwks);
  cache.learn("tok");
  const std::int64_t until = cache.clock.wall + kTtlNs + kTtlNs / 2;
  cache.keys.keep_until = until;
  while (cache.clock.wall < until) {
    if (cache.seen("tok") == Verdict::kValid) cache.use("tok");
    cache.pass(std::min(kTurnNs, until - cache.clock.wall));
    ASSERT_LE(cache.clock.wall + cache.left("tok"), until);
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_GE(cache.refresher.counters().extended, 1u);
}

TEST(Refresher, AKeyedTokenNeverOutlivesItsOwnEnd) {
  RefreshCache cache(UpstreamKind::kJwks);
  Proof proof = cache.proven("tok");
  proof.expires_wall_ns = cache.clock.wall + kTtlNs + kTtlNs / 2;
  cache.learn("tok", proof);
  while (cache.clock.wall < *proof.expires_wall_ns) {
    if (cache.seen("tok") == Verdict::kValid) cache.use("tok");
    cache.pass(std::min(kTurnNs, *proof.expires_wall_ns - cache.clock.wall));
    ASSERT_LE(cache.clock.wall + cache.left("tok"), *proof.expires_wall_ns);
  }
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, B5_AKeyedTokenUnderARuleIsNotExtendedBeforeTheKillReachesIt) {
  RefreshCache cache(UpstreamKind::kJwks);
  cache.learn("tok");
  cache.use("tok");
  const std::int64_t deadline = cache.deadline("tok");
  authcached::Rule rule;
  rule.change = 1;
  rule.kind = authcached::RuleKind::kSubject;
  rule.value = "subject of tok";
  rule.not_before_ns = cache.clock.wall;
  ASSERT_TRUE(cache.rules.add(rule));  // in force; its kills come in slices
  cache.pass(kTtlNs);
  EXPECT_EQ(cache.deadline("tok"), deadline);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Refresher, ATextTooLargeForTheTableIsComparedAsWell) {
  RefreshCache cache;
  Proof proof = cache.proven("tok");
  proof.identity.claims_json = "{\"long\":\"" + std::string(8'000, 'x') + "\"}";
  cache.learn("tok", proof);
  cache.use("tok");
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  const auto control = cache.found("tok").record.control;
  cache.upstream->answer(proof);
  EXPECT_EQ(cache.found("tok").record.control, control);
  cache.use("tok");
  ASSERT_TRUE(cache.pass_until_asked(kTtlNs));
  proof.identity.claims_json[20] = 'y';
  cache.upstream->answer(proof);
  EXPECT_NE(cache.found("tok").record.control, control);
}

}  // namespace
