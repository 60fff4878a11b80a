#include "daemon/cache/clock_offsets.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcached::clock_offsets;
using authcached::stepped;
using authcached::testing::FakeClock;
using authcached::testing::kSecond;

TEST(ClockOffsets, B11_TimePassingIsNoStep) {
  FakeClock clock;
  const auto before = clock_offsets(clock);
  clock.pass(86'400 * kSecond);
  EXPECT_FALSE(stepped(before, clock_offsets(clock)));
}

TEST(ClockOffsets, B11_AStepEitherWayAndASuspendAreSeen) {
  for (const std::int64_t step : {-kSecond, kSecond}) {
    FakeClock clock;
    const auto before = clock_offsets(clock);
    clock.wall += step;
    EXPECT_TRUE(stepped(before, clock_offsets(clock)));
  }
  FakeClock clock;
  const auto before = clock_offsets(clock);
  clock.boot += kSecond;
  clock.wall += kSecond;
  EXPECT_TRUE(stepped(before, clock_offsets(clock)));
}

TEST(ClockOffsets, B11_SmallStepsAddUpAgainstTheFirstLook) {
  FakeClock clock;
  const auto before = clock_offsets(clock);
  clock.wall += kSecond * 3 / 10;
  EXPECT_FALSE(stepped(before, clock_offsets(clock)));
  clock.wall += kSecond * 3 / 10;
  EXPECT_TRUE(stepped(before, clock_offsets(clock)));
}

}  // namespace
