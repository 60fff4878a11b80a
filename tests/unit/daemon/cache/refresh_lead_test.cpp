#include "daemon/cache/refresh_lead.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::RefreshLead;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

TEST(RefreshLead, ItIsTwiceWhatTheSlowestAnswersTakeWithinItsBounds) {
  RefreshLead lead;
  EXPECT_EQ(lead.lead_ns(300 * kSecond), RefreshLead::kLeastNs);
  for (int i = 0; i < 100; ++i) lead.measured(400 * kMs);
  EXPECT_EQ(lead.lead_ns(300 * kSecond), 800 * kMs);
  EXPECT_EQ(lead.lead_ns(kSecond), kSecond / 2) << "never more than half of what the record has";
  EXPECT_EQ(lead.lead_ns(100 * kMs), 50 * kMs);
}

TEST(RefreshLead, ItFollowsTheUpstreamBothWays) {
  RefreshLead lead;
  for (std::size_t i = 0; i < RefreshLead::kSamples; ++i) lead.measured(2 * kSecond);
  EXPECT_EQ(lead.lead_ns(300 * kSecond), 4 * kSecond);
  for (std::size_t i = 0; i < RefreshLead::kSamples; ++i) lead.measured(150 * kMs);
  EXPECT_EQ(lead.lead_ns(300 * kSecond), 300 * kMs);
}

TEST(RefreshLead, OneSlowAnswerInAHundredAndTwentyEightIsNoMeasure) {
  RefreshLead lead;
  for (std::size_t i = 1; i < RefreshLead::kSamples; ++i) lead.measured(200 * kMs);
  lead.measured(20 * kSecond);
  EXPECT_EQ(lead.lead_ns(300 * kSecond), 400 * kMs);
  lead.measured(20 * kSecond);
  EXPECT_EQ(lead.lead_ns(300 * kSecond), 40 * kSecond) << "two are";
}

TEST(RefreshLead, JitterIsBoundedAndReachesItsBound) {
  const RefreshLead lead;
  const std::uint64_t now = 77 * kSecond, deadline = now + 80 * kSecond;
  std::uint64_t earliest = UINT64_MAX, latest = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::uint64_t look = lead.look_ns(now, deadline, i * 0x9e37'79b9'7f4a'7c15);
    earliest = std::min(earliest, look);
    latest = std::max(latest, look);
  }
  EXPECT_LE(latest, deadline - RefreshLead::kLeastNs);
  EXPECT_GE(latest, deadline - RefreshLead::kLeastNs - 20 * kMs);
  EXPECT_GE(earliest, deadline - RefreshLead::kLeastNs - 10 * kSecond);
  EXPECT_LE(earliest, deadline - RefreshLead::kLeastNs - 10 * kSecond + 20 * kMs);
}

TEST(RefreshLead, ARecordThatHasNoTimeIsLookedAtByItsDeadline) {
  const RefreshLead lead;
  EXPECT_EQ(lead.look_ns(100, 100, 5), 100u);
  EXPECT_EQ(lead.look_ns(100, 40, 5), 40u);
  EXPECT_LE(lead.look_ns(100, 101, 5), 101u);
}

}  // namespace
