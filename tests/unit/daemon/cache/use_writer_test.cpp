// Idle timeouts over a real database, a table, hints, and a clock that the test moves.
#include "daemon/cache/use_writer.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/unit/daemon/cache/session_cache_fixture.hpp"

namespace {

using authcache::shm::Verdict;
using authcached::NewSession;
using authcached::ProfileConfig;
using authcached::UseWriter;
using authcached::testing::kSecond;
using authcached::testing::SessionCache;

constexpr std::int64_t kIdleNs = 100 * kSecond;
constexpr std::int64_t kIntervalNs = 10 * kSecond;
constexpr std::int64_t kTurnNs = kSecond / 5;

ProfileConfig sliding() {
  ProfileConfig config;
  config.idle_timeout = std::chrono::seconds(kIdleNs / kSecond);
  return config;
}

struct SlidingCache : SessionCache {
  SlidingCache() : SessionCache(sliding()) {}

  void turn(std::int64_t ns = kTurnNs) {
    clock.pass(ns);
    uses->tick();
    settle();
  }
  void pass(std::int64_t ns) {
    for (; ns > 0; ns -= kTurnNs) turn(std::min(ns, kTurnNs));
  }
  // The table survives a daemon that is killed; hints, and what was noted only, do not.
  void crash() {
    configure(sliding());
    std::fill_n(tables.newest().recency->bytes(), tables.newest().writer.view().geometry.slots,
                std::uint8_t{0});
    for (std::uint64_t slot = 0; slot < tables.newest().writer.view().geometry.slots; ++slot)
      tables.newest().writer.forget_uses(slot);
    uses.emplace(tables, admission, profiles, clock);
  }
  [[nodiscard]] std::int64_t last_seen(std::string_view sid) {
    std::int64_t seen = 0;
    store->list_sessions("alice", 1'000, [&](auto rows) {
      for (const auto& row : *rows) {
        if (row.sid == sid) seen = row.last_seen_wall_ns;
      }
    });
    settle();
    return seen;
  }
  [[nodiscard]] std::int64_t left(std::string_view token) const {
    authcache::shm::Found found;
    if (!tables.find(authcache::shm::key_of(digest_of(token)), found)) return 0;
    return static_cast<std::int64_t>(found.record.deadline) - clock.monotonic;
  }

  std::optional<UseWriter> uses{std::in_place, tables, admission, profiles, clock};
};

TEST(UseWriter, LooksTenTimesInIdleTimeoutAndThreeTimesInARecordsLife) {
  ProfileConfig config = sliding();
  EXPECT_EQ(UseWriter::interval_ns(config), kIntervalNs);
  config.ttl_max = std::chrono::seconds(6);
  EXPECT_EQ(UseWriter::interval_ns(config), 2 * kSecond);
  config = {};
  config.idle_timeout = std::chrono::hours(24);
  config.ttl_max = std::chrono::hours(24);
  EXPECT_EQ(UseWriter::interval_ns(config), 60 * kSecond);
}

TEST(UseWriter, ASessionInUseLivesOnWithoutAQuestionOrANewPlaceAndAnUnusedOneEnds) {
  SlidingCache cache;
  const auto made = cache.create(2, true);
  const auto place = cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[0].token)));
  for (std::int64_t ns = 0; ns < 10 * kIdleNs; ns += 5 * kSecond) {
    ASSERT_EQ(cache.seen(made[0].token), Verdict::kValid) << "after " << ns / kSecond;
    cache.use(made[0].token);
    cache.pass(5 * kSecond);
  }
  EXPECT_EQ(cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[0].token))), place);
  EXPECT_EQ(cache.resolver.counters().questions, 0u);
  EXPECT_GE(cache.uses->counters().extended, 50u);
  EXPECT_EQ(cache.present(made[1].token), Verdict::kInvalid);
}

TEST(UseWriter, ARecordIsNeverGoodForLongerThanAQuarterOfIdleTimeoutBehindAUse) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  EXPECT_LE(cache.left(made[0].token), kIdleNs / 4);
  cache.pass(kIntervalNs / 2);
  cache.use(made[0].token);
  cache.pass(kIdleNs / 4);
  EXPECT_EQ(cache.seen(made[0].token), Verdict::kMiss);
}

TEST(UseWriter, AUseIsToldAsOfThePassBeforeSoNeverLaterThanItWas) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  const std::int64_t begun = cache.clock.wall;
  cache.pass(kIntervalNs + kSecond);  // a pass, which finds nothing
  cache.use(made[0].token);
  const std::int64_t used = cache.clock.wall;
  cache.pass(kIntervalNs + kSecond);
  const std::int64_t seen = cache.last_seen(made[0].sid);
  EXPECT_GT(seen, begun);
  EXPECT_LE(seen, used);
  EXPECT_GE(seen, used - 2 * kIntervalNs);
}

TEST(UseWriter, BatchesAreWrittenOnceInAnIntervalAndOnlyForWhatWasUsed) {
  SlidingCache cache;
  const auto made = cache.create(50, true);
  for (int i = 0; i < 20; ++i) {
    for (const NewSession& session : made) cache.use(session.token);
    cache.pass(kIntervalNs / 20);
  }
  cache.pass(kSecond);
  EXPECT_EQ(cache.uses->counters().written, 50u);
  EXPECT_EQ(cache.uses->counters().passes, 1u);
  cache.pass(kIntervalNs + kSecond);
  EXPECT_EQ(cache.uses->counters().written, 50u) << "nobody used one since";
}

TEST(UseWriter, WhileADatabaseIsSlowHintsWaitAndNothingGrows) {
  SlidingCache cache;
  const auto made = cache.create(600, true);
  for (const NewSession& session : made) cache.use(session.token);
  cache.clock.pass(kIntervalNs);
  for (int i = 0; i < 50; ++i) {
    cache.uses->tick();
    EXPECT_LE(cache.worker.size(), 1u);
    cache.clock.pass(kTurnNs);
  }
  for (int i = 0; i < 20; ++i) cache.turn();
  EXPECT_EQ(cache.uses->counters().written, 600u);
}

TEST(UseWriter, AUseWhileABatchIsUnderWayIsToldWithTheNextOne) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  cache.use(made[0].token);
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();
  cache.use(made[0].token);
  cache.settle();
  EXPECT_EQ(cache.uses->counters().written, 1u);
  cache.pass(kIntervalNs + kSecond);
  EXPECT_EQ(cache.uses->counters().written, 2u);
}

TEST(UseWriter, WhatARevocationKilledWhileABatchWasUnderWayStaysDead) {
  SlidingCache cache;
  const auto made = cache.create(2, true);
  for (const NewSession& session : made) cache.use(session.token);
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();
  cache.worker.run_all();  // the batch was written; its answers are not in
  cache.revoker.revoke_session(authcached::sha256(made[0].token), [](auto) {});
  cache.settle();
  EXPECT_NE(cache.seen(made[0].token), Verdict::kValid);
  EXPECT_EQ(cache.seen(made[1].token), Verdict::kValid);
}

TEST(UseWriter, ARecordThatLeftTheTableWhileABatchWasUnderWayIsNotPutBack) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  cache.use(made[0].token);
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();
  cache.worker.run_all();
  cache.tables.kill(authcache::shm::key_of(cache.digest_of(made[0].token)),
                    authcache::shm::SlotState::kEvicted);
  cache.settle();
  EXPECT_EQ(cache.seen(made[0].token), Verdict::kMiss);
}

// The wall clock told the end of a record at its placing, and tells it again: never to the tick as the coarse
// one does.
TEST(UseWriter, AUseThatGainsNothingLeavesTheRecordInItsPlaceAlthoughTheClocksTickApart) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  const auto place = cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[0].token)));
  const std::int64_t left = cache.left(made[0].token);
  cache.use(made[0].token);
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();
  cache.clock.wall += 2 * static_cast<std::int64_t>(cache.tables.newest().writer.view().tick_ns);
  cache.settle();
  EXPECT_EQ(cache.uses->counters().extended, 1u);
  EXPECT_EQ(cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[0].token))), place);
  EXPECT_EQ(cache.left(made[0].token), left - kIntervalNs);
}

TEST(UseWriter, AFlushWhileABatchIsUnderWayIsNotUndone) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  cache.use(made[0].token);
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();
  cache.worker.run_all();
  cache.tables.raise_all();
  cache.settle();
  EXPECT_EQ(cache.seen(made[0].token), Verdict::kMiss);
}

TEST(UseWriter, ASessionThatItsDatabaseEndedEndsWithTheNextBatch) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  cache.store->revoke_session(made[0].sid, [](auto) {});
  cache.settle();
  ASSERT_EQ(cache.seen(made[0].token), Verdict::kValid) << "only the database knows";
  cache.use(made[0].token);
  cache.pass(kIntervalNs + kSecond);
  EXPECT_EQ(cache.seen(made[0].token), Verdict::kInvalid);
  EXPECT_EQ(cache.uses->counters().ended, 1u);
}

TEST(UseWriter, ABatchThatFailedIsWrittenLaterWithTheMomentThatItTold) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  cache.pass(kIntervalNs + kSecond);
  cache.use(made[0].token);
  const std::int64_t used = cache.clock.wall;
  const auto file = cache.state_dir / "sessions.db";
  std::filesystem::rename(file, cache.state_dir / "away");
  cache.pass(kIntervalNs);
  EXPECT_GE(cache.uses->counters().failed, 1u);
  std::filesystem::rename(cache.state_dir / "away", file);
  cache.pass(5 * kSecond);
  EXPECT_EQ(cache.uses->counters().written, 1u);
  EXPECT_LE(cache.last_seen(made[0].sid), used);
  EXPECT_GT(cache.last_seen(made[0].sid), used - 2 * kIntervalNs);
}

TEST(UseWriter, OtherProfilesRecordsKeepTheirHints) {
  SlidingCache cache;
  ProfileConfig other;  // no timeout
  cache.configure(other);
  const auto made = cache.create(1, true);
  cache.use(made[0].token);
  cache.pass(3 * kIntervalNs);
  EXPECT_EQ(cache.uses->counters().passes, 0u);
  EXPECT_TRUE(cache.tables.used_since_proof(
      cache.tables.places_of(authcache::shm::key_of(cache.digest_of(made[0].token)))));
}

// Any order of hits, questions, other records that move this one about, and silence: the session never lives
// longer than idle_timeout behind its last use, and ends two intervals (and a turn of the loop) before that
// at most; where no hint arrives, a quarter of idle_timeout.
struct Schedule {
  bool hinted, crashes;
  std::int64_t early_ns;  // that it may end before its time
};

void run_schedules(const Schedule& schedule) {
  const char* given = std::getenv("AUTHCACHE_SEED");
  const unsigned seed = given == nullptr ? 20'26u : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  constexpr int kSessions = 60;
  SCOPED_TRACE("AUTHCACHE_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const auto between = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  int refused = 0, lived = 0;
  SlidingCache cache;
  for (int i = 0; i < kSessions; ++i) {
    const NewSession session = cache.create(1, i % 2 == 0).at(0);
    std::int64_t used = cache.clock.wall;
    for (std::int64_t n = between(0, 12); n > 0; --n) {
      cache.pass(between(0, 1) == 0 ? between(0, kIntervalNs) : between(0, kIdleNs - schedule.early_ns - 1));
      for (std::int64_t m = between(0, 40); m > 0; --m)
        cache.admit("other" + std::to_string(random()), cache.valid());
      ASSERT_EQ(cache.use(session.token, schedule.hinted), Verdict::kValid)
          << "used " << cache.clock.wall - used << " ns ago";
      used = cache.clock.wall;
    }
    if (schedule.crashes) cache.crash();
    const std::int64_t silence = between(kIdleNs / 2, kIdleNs + kIdleNs / 2);
    for (std::int64_t ns = silence; ns > 0; ns -= kTurnNs) {
      cache.turn(std::min(ns, kTurnNs));
      ASSERT_TRUE(cache.clock.wall - used < kIdleNs || cache.seen(session.token) != Verdict::kValid);
    }
    const Verdict verdict = cache.present(session.token);
    if (silence >= kIdleNs) {
      ASSERT_EQ(verdict, Verdict::kInvalid) << silence;
    } else if (!schedule.crashes && silence < kIdleNs - schedule.early_ns) {
      ASSERT_EQ(verdict, Verdict::kValid) << silence;
    }
    ++(verdict == Verdict::kValid ? lived : refused);
  }
  EXPECT_GT(lived, 5);
  EXPECT_GT(refused, 5);
}

TEST(UseWriter, WithHintsASessionEndsTwoIntervalsBeforeIdleTimeoutAtTheEarliestAndNeverBehindIt) {
  run_schedules({.hinted = true, .crashes = false, .early_ns = 2 * kIntervalNs + kTurnNs});
}

TEST(UseWriter, WithoutHintsASessionEndsAQuarterBeforeIdleTimeoutAtTheEarliestAndNeverBehindIt) {
  run_schedules({.hinted = false, .crashes = false, .early_ns = kIdleNs / 4});
}

TEST(UseWriter, ACrashEndsSessionsEarlyAndNeverLate) {
  run_schedules({.hinted = true, .crashes = true, .early_ns = 2 * kIntervalNs + kTurnNs});
}

TEST(UseWriter, ACrashCostsASessionThatIsInUseNoMoreThanTwoIntervals) {
  SlidingCache cache;
  const auto made = cache.create(1, true);
  for (std::int64_t ns = 0; ns < 3 * kIdleNs; ns += kSecond) {
    ASSERT_EQ(cache.use(made[0].token), Verdict::kValid);
    cache.pass(kSecond);
  }
  const std::int64_t used = cache.clock.wall - kSecond;
  cache.crash();
  EXPECT_GE(cache.last_seen(made[0].sid), used - 2 * kIntervalNs - kTurnNs);
  cache.pass(kIdleNs - 3 * kIntervalNs);
  EXPECT_EQ(cache.present(made[0].token), Verdict::kValid);
}

// A record that steps from a slot still to come to one that the pass is done with must not be told as used
// since then.
TEST(UseWriter, ARecordThatMovesDuringAPassIsNotTakenForOneUsedLater) {
  SlidingCache cache;
  const auto made = cache.create(700, true);
  for (const NewSession& session : made) cache.use(session.token);
  const std::int64_t used = cache.clock.wall;
  cache.clock.pass(kIntervalNs);
  cache.uses->tick();  // half a pass: the batch is full
  for (int i = 0; i < 400; ++i) cache.admit("other" + std::to_string(i), cache.valid());
  cache.settle();
  cache.pass(2 * kIntervalNs + 5 * kSecond);
  for (const NewSession& session : made) EXPECT_LE(cache.last_seen(session.sid), used);
}

}  // namespace
