#include "daemon/cache/miss_budget.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::MissBudget;
constexpr std::int64_t kSecond = 1'000'000'000;

TEST(MissBudget, GivesItsBurstThenItsRate) {
  MissBudget budget(2, 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.take(1, 0));
  EXPECT_FALSE(budget.take(1, 0));
  EXPECT_TRUE(budget.take(1, kSecond / 2));
  EXPECT_FALSE(budget.take(1, kSecond / 2));
}

TEST(MissBudget, NeverGathersMoreThanItsBurst) {
  MissBudget budget(1'000, 2);
  EXPECT_TRUE(budget.take(1, 0));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(budget.take(1, 100 * kSecond));
  EXPECT_FALSE(budget.take(1, 100 * kSecond));
}

TEST(MissBudget, B13_MoreUidsThanItKnowsFailClosedUntilSomeAreFullAgain) {
  MissBudget budget(1, 1);
  for (uid_t uid = 0; uid < 4'096; ++uid) ASSERT_TRUE(budget.take(uid, 0));
  EXPECT_FALSE(budget.take(5'000, 0));
  EXPECT_TRUE(budget.take(5'000, 2 * kSecond));
}

TEST(MissBudget, ALoweredBurstTakesBackWhatWasGathered) {
  MissBudget budget(1, 100);
  EXPECT_TRUE(budget.take(1, 0));
  budget.set_limits(1, 1);
  EXPECT_TRUE(budget.take(1, 0));
  EXPECT_FALSE(budget.take(1, 0));
}

TEST(MissBudget, AClockThatStandsOrGoesBackGivesNothing) {
  MissBudget budget(1'000, 1);
  EXPECT_TRUE(budget.take(1, kSecond));
  EXPECT_FALSE(budget.take(1, kSecond));
  EXPECT_FALSE(budget.take(1, 0));
}

}  // namespace
