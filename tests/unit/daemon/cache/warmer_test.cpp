#include "daemon/cache/warmer.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/session_cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::NewSession;
using authcached::ProfileConfig;
using authcached::Warmer;
using authcached::testing::kSecond;
using authcached::testing::SessionCache;

ProfileConfig warming(std::uint32_t sessions) {
  ProfileConfig config;
  config.warm = sessions;
  return config;
}

struct ColdCache : SessionCache {
  explicit ColdCache(std::uint32_t sessions) : SessionCache(warming(sessions)) {}

  void start() {
    warmer.start([this](const Warmer::Progress&) { ++ended; });
  }
  // One slice: read by the store, taken by the loop.
  void slice() {
    worker.run_all();
    turns.run_all();
  }
  [[nodiscard]] Warmer::Progress progress() const { return warmer.progress().at(0); }

  Warmer warmer{tables, admission, profiles, clock, wall};
  int ended = 0;
};

TEST(Warmer, TheSessionsMadeLastAreHitsAndNoOthers) {
  ColdCache cache(3);
  const auto made = cache.create(5);
  cache.start();
  EXPECT_EQ(cache.seen(made[4].token), Verdict::kMiss) << "from within the start";
  cache.settle();
  for (std::size_t i = 0; i < made.size(); ++i)
    EXPECT_EQ(cache.seen(made[i].token), i >= 2 ? Verdict::kValid : Verdict::kMiss) << i;
  EXPECT_EQ(cache.progress().warmed, 3u);
  EXPECT_TRUE(cache.progress().done);
  EXPECT_EQ(cache.progress().stopped, "");
  EXPECT_EQ(cache.ended, 1);
  EXPECT_EQ(cache.resolver.counters().questions, 0u);
}

TEST(Warmer, AWarmedRecordSaysWhatAQuestionWouldBring) {
  ColdCache cache(10);
  const auto made = cache.create(1);
  cache.start();
  cache.settle();
  authcache::shm::Found warmed, asked;
  const auto key = authcache::shm::key_of(cache.digest_of(made[0].token));
  ASSERT_TRUE(cache.tables.find(key, warmed));
  cache.tables.kill(key, authcache::shm::SlotState::kEvicted);
  ASSERT_EQ(cache.present(made[0].token), Verdict::kValid);
  ASSERT_TRUE(cache.tables.find(key, asked));
  EXPECT_EQ(warmed.record.grants, asked.record.grants);
  EXPECT_EQ(warmed.record.facts, asked.record.facts);
  EXPECT_EQ(warmed.record.deadline, asked.record.deadline);
}

TEST(Warmer, OneThatWasRevokedWhileItsSliceWasUnderWayNeverComesIn) {
  ColdCache cache(10);
  const auto made = cache.create(2);
  cache.start();
  cache.worker.run_all();  // the slice was read; what follows is newer than all that it says
  cache.revoker.revoke_session(authcached::sha256(made[0].token), [](auto) {});
  cache.settle();
  EXPECT_EQ(cache.seen(made[0].token), Verdict::kMiss) << "nobody asked, so nobody is told";
  EXPECT_EQ(cache.seen(made[1].token), Verdict::kValid);
  EXPECT_EQ(cache.progress().refused, 1u);
}

TEST(Warmer, OneThatEndedWhileItsSliceWasUnderWayNeverComesIn) {
  ColdCache cache(10);
  const auto made = cache.create(1, false, 5 * kSecond);
  cache.start();
  cache.worker.run_all();
  cache.clock.pass(5 * kSecond);
  cache.settle();
  EXPECT_NE(cache.seen(made[0].token), Verdict::kValid);
  EXPECT_EQ(cache.progress().warmed, 0u);
}

TEST(Warmer, AFlushWhileASliceIsUnderWayVoidsWhatItBrings) {
  for (const bool raises : {true, false}) {
    ColdCache cache(10);
    const auto made = cache.create(1);
    cache.start();
    cache.worker.run_all();
    raises ? cache.tables.raise_all() : cache.admission.disregard_flights();
    cache.settle();
    EXPECT_EQ(cache.seen(made[0].token), Verdict::kMiss) << raises;
  }
}

TEST(Warmer, ARecordThatAQuestionMadeKeepsItsPlace) {
  ColdCache cache(10);
  const auto made = cache.create(2);
  ASSERT_EQ(cache.present(made[1].token), Verdict::kValid);
  const auto places = cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[1].token)));
  cache.start();
  cache.settle();
  EXPECT_EQ(cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[1].token))), places);
  EXPECT_EQ(cache.progress().known, 1u);
  EXPECT_EQ(cache.progress().warmed, 1u);
}

TEST(Warmer, ItGoesInSlicesBetweenWhichQuestionsAreAnswered) {
  ColdCache cache(10'000);
  const auto made = cache.create(Warmer::kSlice + 10);
  cache.start();
  EXPECT_EQ(cache.worker.size(), 1u) << "one slice at a time";
  cache.slice();
  EXPECT_EQ(cache.progress().warmed, Warmer::kSlice);
  EXPECT_FALSE(cache.progress().done);
  Verdict answered = Verdict::kMiss;
  cache.resolver.validate(cache.profile, made[0].token, 1'000,
                          [&](const auto& reply) { answered = reply.verdict; });
  cache.slice();
  cache.slice();
  EXPECT_EQ(answered, Verdict::kValid);
  cache.settle();
  EXPECT_EQ(cache.progress().warmed + cache.progress().known, Warmer::kSlice + 10);
  EXPECT_TRUE(cache.progress().done);
}

TEST(Warmer, AFullTableEndsItAndEvictsNothing) {
  ColdCache cache(10'000'000);
  const std::uint64_t capacity = cache.tables.newest().writer.view().geometry.capacity;
  const auto asked = cache.create(1);
  ASSERT_EQ(cache.present(asked[0].token), Verdict::kValid);
  (void)cache.create(static_cast<std::uint32_t>(capacity) + 500);
  cache.start();
  cache.settle();
  EXPECT_EQ(cache.progress().stopped, "the table is full");
  EXPECT_TRUE(cache.progress().done);
  EXPECT_EQ(cache.tables.newest().writer.live(), capacity);
  EXPECT_EQ(cache.seen(asked[0].token), Verdict::kValid);
}

TEST(Warmer, AReloadThatChangesTheProfileEndsItAndOneThatDoesNotLeavesItAlone) {
  for (const bool changes : {true, false}) {
    ColdCache cache(10'000);
    (void)cache.create(Warmer::kSlice + 10);
    cache.start();
    cache.slice();
    ProfileConfig config = cache.profile->config;
    if (changes) config.audience = {"another"};
    const auto old = cache.profile;
    cache.configure(config);
    cache.settle();
    EXPECT_TRUE(cache.progress().done);
    EXPECT_EQ(cache.progress().warmed, Warmer::kSlice + (changes ? 0 : 10));
    EXPECT_EQ(cache.progress().stopped.empty(), !changes);
  }
}

TEST(Warmer, ADatabaseThatFailsEndsItWithASentence) {
  ColdCache cache(10);
  (void)cache.create(1);
  std::filesystem::remove(cache.state_dir / "sessions.db");
  cache.start();
  (void)cache.present(std::string(43, 'A'));  // finds the file gone
  cache.settle();
  EXPECT_TRUE(cache.progress().done);
}

TEST(Warmer, WithoutTheKeyNothingIsRead) {
  ColdCache cache(0);
  (void)cache.create(1);
  cache.start();
  EXPECT_EQ(cache.worker.size(), 0u);
  EXPECT_TRUE(cache.warmer.progress().empty());
}

}  // namespace
