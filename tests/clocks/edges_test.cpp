// B10, B11, P2, P3 with clocks that the test moves: the edges of a record's life, and what the daemon's idea
// of wall time does with steps.
#include <gtest/gtest.h>

#include <random>

#include "daemon/base/clock.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/table_reader.hpp"
#include "tests/crash/counts.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::Rule;
using authcached::RuleKind;
using authcached::RuleSet;
using authcached::WallClock;
using authcached::testing::Cache;
using authcached::testing::FakeClock;
using authcached::testing::kSecond;

constexpr std::int64_t kHour = 3'600 * kSecond;
constexpr std::int64_t kYear = 365 * 24 * kHour;

std::int64_t tick_of(const Cache& cache) {
  return static_cast<std::int64_t>(cache.tables.newest().writer.view().tick_ns);
}

TEST(Edges, B10_ATokenEndsAtItsExpiryAndNotASecondLater) {
  for (const std::int64_t at : {-kSecond, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, kSecond}) {
    Cache cache;
    const std::int64_t life = 100 * kSecond;
    ASSERT_EQ(cache.admit("tok", cache.valid(life)).verdict, Verdict::kValid);
    cache.clock.pass(life + at);
    EXPECT_EQ(cache.seen("tok") == Verdict::kValid, at < -tick_of(cache)) << at << " ns after its expiry";
    EXPECT_NE(cache.admit("again", cache.valid(-at)).verdict, at >= 0 ? Verdict::kValid : Verdict::kMiss);
  }
}

// The readers' clock shows the last tick: at the true end it may still show the tick before.
TEST(Edges, B10_TheDeadlineIsOneTickEarly) {
  Cache cache;
  const std::int64_t life = 100 * kSecond, tick = tick_of(cache);
  ASSERT_GT(tick, 0);
  cache.admit("tok", cache.valid(life));
  cache.clock.pass(life - tick - 1);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  cache.clock.pass(1);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

// The least of the token's end and ttl_max, whatever they are.
TEST(Edges, B10_NoRecordOutlivesTheLeastOfItsBounds) {
  constexpr int kLives = 2'000;
  std::mt19937_64 random(crash::announced_seed("lives of records", kLives));
  Cache cache;
  const std::int64_t ttl_max = std::chrono::nanoseconds(cache.profile->config.ttl_max).count();
  for (int i = 0; i < kLives; ++i) {
    const std::string token = "tok" + std::to_string(i);
    const std::int64_t life =
        1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * ttl_max));
    const auto admitted = cache.admit(token, cache.valid(life));
    if (admitted.verdict != Verdict::kValid) {
      EXPECT_LE(life, 2 * tick_of(cache));
      continue;
    }
    const std::int64_t end = std::min(life, ttl_max);
    cache.clock.pass(end - tick_of(cache));
    EXPECT_NE(cache.seen(token), Verdict::kValid) << life;
  }
}

// A heartbeat of a finer clock than the readers' would be later than their now, and every hit unavailable.
TEST(Heartbeat, B8_TheDaemonsClockIsNeverAheadOfAReaders) {
  const authcached::Clock& daemon = authcached::system_clock();
  std::int64_t latest = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::int64_t beat = daemon.monotonic_ns();
    ASSERT_GE(beat, latest);
    ASSERT_LE(beat, static_cast<std::int64_t>(authcache::shm::coarse_now_ns()));
    latest = beat;
  }
}

TEST(Heartbeat, B11_OneFromTheFutureIsNoSignOfLife) {
  Cache cache;
  const auto& view = cache.tables.newest().writer.view();
  const std::uint64_t now = 1'000 * authcache::shm::kNsPerSecond, timeout = view.heartbeat_timeout_ns;
  using authcache::shm::liveness;
  EXPECT_EQ(liveness(view, now, now), Reason::kNone);
  EXPECT_EQ(liveness(view, now + 1, now), Reason::kTimeNamespace);
  EXPECT_EQ(liveness(view, UINT64_MAX, now), Reason::kTimeNamespace);
  EXPECT_EQ(liveness(view, now - timeout, now), Reason::kNone);
  EXPECT_EQ(liveness(view, now - timeout - 1, now), Reason::kHeartbeatStale);
  EXPECT_EQ(liveness(view, 0, now), Reason::kHeartbeatStale) << "a range given up reads as zeros";
}

TEST(Wall, B11_AStepBackOfUpToADayIsNotFollowedAndALongerOneIs) {
  FakeClock clock;
  WallClock wall(clock);
  const std::int64_t before = wall.now_ns();
  clock.wall -= 24 * kHour;
  EXPECT_EQ(wall.now_ns(), before);
  clock.wall -= 1;
  EXPECT_EQ(wall.now_ns(), clock.wall);
}

TEST(Wall, B11_ItGoesOnWhenTheClockHasCaughtUp) {
  FakeClock clock;
  WallClock wall(clock);
  clock.wall -= kHour;
  const std::int64_t held = wall.now_ns();
  clock.pass(kHour - 1);
  EXPECT_EQ(wall.now_ns(), held);
  clock.pass(2);
  EXPECT_EQ(wall.now_ns(), clock.wall);
}

// A daemon that starts behind a predecessor knows from its table where the clock would be.
TEST(Wall, B11_AStepBackWhileNoDaemonRanIsHeldBackToo) {
  FakeClock clock;
  const std::int64_t expected = clock.wall;
  clock.wall -= 2 * kHour;
  WallClock wall(clock);
  wall.resume(expected);
  EXPECT_EQ(wall.now_ns(), expected);
  WallClock far(clock);
  far.resume(clock.wall + 24 * kHour + 1);
  EXPECT_EQ(far.now_ns(), clock.wall);
  WallClock forward(clock);
  forward.resume(clock.wall - kYear);
  EXPECT_EQ(forward.now_ns(), clock.wall);
}

Rule rule_now(const FakeClock& clock, std::uint64_t change, std::int64_t life) {
  Rule rule;
  rule.change = change;
  rule.kind = RuleKind::kToken;
  rule.value = std::string(32, static_cast<char>('a' + change));
  rule.created_wall_ns = clock.wall;
  rule.created_boot_ns = clock.boot;
  rule.life_ns = life;
  rule.durable = true;
  return rule;
}

TEST(Glitch, B11_AYearForASecondPurgesNoRuleAndRevivesNoToken) {
  Cache cache;
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_now(cache.clock, 1, kHour)));
  const auto good = cache.valid(600 * kSecond);
  const auto ended = cache.valid(0);
  EXPECT_EQ(cache.admit("ended", ended).reason, Reason::kExpired);
  cache.clock.wall += kYear;
  EXPECT_TRUE(rules.purge(cache.clock.wall, cache.clock.boot, 10).empty());
  EXPECT_EQ(cache.admit("good", good).reason, Reason::kExpired);
  cache.clock.pass(kSecond);
  cache.clock.wall -= kYear;
  EXPECT_TRUE(rules.purge(cache.clock.wall, cache.clock.boot, 10).empty());
  EXPECT_EQ(rules.size(), 1u);
  EXPECT_EQ(cache.admit("ended", ended).reason, Reason::kExpired);
  EXPECT_EQ(cache.admit("good", good).verdict, Verdict::kValid) << "more than a day back is followed";
  // It ends by both clocks, and not before.
  cache.clock.pass(kHour);
  EXPECT_EQ(rules.purge(cache.clock.wall, cache.clock.boot, 10), std::vector<std::uint64_t>{1});
}

// Neither clock alone lets a rule go: BOOTTIME stands still while the machine is off, wall time can be set.
TEST(Glitch, B11_ARuleOutlivesStepsEitherWay) {
  for (const std::int64_t step : {-kYear, -25 * kHour, -kHour, kHour, 25 * kHour, kYear}) {
    FakeClock clock;
    RuleSet rules(10);
    ASSERT_TRUE(rules.add(rule_now(clock, 1, kHour)));
    clock.wall += step;
    EXPECT_TRUE(rules.purge(clock.wall, clock.boot, 10).empty()) << step;
    clock.pass(kHour);
    EXPECT_TRUE(rules.purge(clock.wall, clock.boot, 10).empty()) << step;
  }
}

TEST(Glitch, B11_NoNotBeforeIsLaterThanTheClock) {
  FakeClock clock;
  WallClock wall(clock);
  clock.wall += 20 * kHour;
  (void)wall.now_ns();
  clock.wall -= 20 * kHour;
  ASSERT_GT(wall.now_ns(), clock.wall) << "held back";
  EXPECT_EQ(authcached::everything_rule(1, kHour, clock).not_before_ns, clock.wall);
}

}  // namespace
