#include "daemon/io/http/breaker.hpp"

#include <gtest/gtest.h>

#include "daemon/io/http/backoff.hpp"
#include "daemon/io/http/latency_histogram.hpp"

namespace {

using authcached::Breaker;
using authcached::LatencyHistogram;

constexpr std::uint64_t kMs = 1'000'000;

void fail_times(Breaker& breaker, unsigned times, std::uint64_t now) {
  for (unsigned i = 0; i < times; ++i) breaker.failure(now, 0);
}

TEST(Breaker, OpensAfterFailuresInARowOnly) {
  Breaker breaker;
  for (int i = 0; i < 100; ++i) {
    fail_times(breaker, Breaker::kFailuresToOpen - 1, 0);
    breaker.success();
  }
  EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
  EXPECT_TRUE(breaker.admit(0));
  fail_times(breaker, Breaker::kFailuresToOpen, 0);
  EXPECT_EQ(breaker.state(), Breaker::State::kOpen);
  EXPECT_FALSE(breaker.admit(0));
  EXPECT_EQ(breaker.opened(), 1U);
}

TEST(Breaker, AfterThePauseOneProbeAsksAndClosesIt) {
  Breaker breaker;
  fail_times(breaker, Breaker::kFailuresToOpen, 0);
  EXPECT_FALSE(breaker.admit(Breaker::kFirstPause_ns - 1));
  EXPECT_EQ(breaker.wait_ns(Breaker::kFirstPause_ns - 1), 1U);
  EXPECT_TRUE(breaker.admit(Breaker::kFirstPause_ns));
  EXPECT_EQ(breaker.state(), Breaker::State::kHalfOpen);
  EXPECT_FALSE(breaker.admit(Breaker::kFirstPause_ns)) << "a second probe";
  breaker.success();
  EXPECT_TRUE(breaker.admit(Breaker::kFirstPause_ns));
  EXPECT_EQ(breaker.failures(), 0U);
}

TEST(Breaker, EachFailedProbeDoublesThePauseUpToTheLongest) {
  Breaker breaker;
  std::uint64_t now = 0;
  fail_times(breaker, Breaker::kFailuresToOpen, now);
  std::uint64_t wanted = Breaker::kFirstPause_ns;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(breaker.wait_ns(now), wanted);
    now += wanted;
    ASSERT_TRUE(breaker.admit(now));
    breaker.failure(now, 0);
    wanted = std::min(wanted * 2, Breaker::kLongestPause_ns);
  }
  now += wanted;
  ASSERT_TRUE(breaker.admit(now));
  breaker.success();
  fail_times(breaker, Breaker::kFailuresToOpen, now);
  EXPECT_EQ(breaker.wait_ns(now), Breaker::kFirstPause_ns) << "a new outage begins with the short pause";
}

TEST(Breaker, AProbeThatNeverEndsDoesNotKeepEverybodyOut) {
  Breaker breaker;
  fail_times(breaker, Breaker::kFailuresToOpen, 0);
  const std::uint64_t then = Breaker::kFirstPause_ns;
  ASSERT_TRUE(breaker.admit(then));
  EXPECT_FALSE(breaker.admit(then + Breaker::kProbePatience_ns - 1));
  EXPECT_TRUE(breaker.admit(then + Breaker::kProbePatience_ns));
}

TEST(Breaker, AProbeThatToldNothingLetsTheNextOneAsk) {
  Breaker breaker;
  breaker.probe_told_nothing();
  EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
  fail_times(breaker, Breaker::kFailuresToOpen, 0);
  ASSERT_TRUE(breaker.admit(Breaker::kFirstPause_ns));
  breaker.probe_told_nothing();
  EXPECT_EQ(breaker.state(), Breaker::State::kOpen);
  EXPECT_TRUE(breaker.admit(Breaker::kFirstPause_ns));
  EXPECT_FALSE(breaker.admit(Breaker::kFirstPause_ns)) << "again one only";
}

TEST(Breaker, FailuresOfWhatWasUnderWayDoNotLengthenThePause) {
  Breaker breaker;
  fail_times(breaker, Breaker::kFailuresToOpen + 100, 0);
  EXPECT_EQ(breaker.wait_ns(0), Breaker::kFirstPause_ns);
  EXPECT_EQ(breaker.opened(), 1U);
}

TEST(Breaker, JitterShortensThePauseByAQuarterAtMost) {
  Breaker breaker;
  for (unsigned i = 0; i < Breaker::kFailuresToOpen; ++i) breaker.failure(0, 0.999);
  EXPECT_LT(breaker.wait_ns(0), Breaker::kFirstPause_ns);
  EXPECT_GE(breaker.wait_ns(0), Breaker::kFirstPause_ns * 3 / 4);
}

TEST(Backoff, DoublesWithJitterUpToItsMost) {
  EXPECT_EQ(authcached::backoff_ns(1, 0), 25 * kMs);
  EXPECT_LE(authcached::backoff_ns(1, 0.999), 50 * kMs);
  EXPECT_EQ(authcached::backoff_ns(2, 0), 50 * kMs);
  EXPECT_EQ(authcached::backoff_ns(3, 0), 100 * kMs);
  for (const unsigned failed : {10U, 40U, 1000U}) {
    EXPECT_GE(authcached::backoff_ns(failed, 0), authcached::kBackoffMax_ns / 2);
    EXPECT_LE(authcached::backoff_ns(failed, 0.999), authcached::kBackoffMax_ns);
  }
}

TEST(LatencyHistogram, TellsAPercentileWithinAQuarter) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile_us(0.5), 0U);
  for (std::uint64_t us = 1; us <= 1000; ++us) histogram.add(us * 1000);
  EXPECT_GE(histogram.percentile_us(0.5), 500U);
  EXPECT_LE(histogram.percentile_us(0.5), 640U);
  EXPECT_GE(histogram.percentile_us(0.99), 990U);
  EXPECT_LE(histogram.percentile_us(0.99), 1280U);
}

TEST(LatencyHistogram, ForgetsTheDistantPastAndTakesAnyLatency) {
  LatencyHistogram histogram;
  histogram.add(0);
  histogram.add(UINT64_MAX);
  EXPECT_GT(histogram.percentile_us(1), 100'000'000U);
  for (int i = 0; i < 4000; ++i) histogram.add(1'000'000'000);
  for (int i = 0; i < 40'000; ++i) histogram.add(1'000'000);
  EXPECT_LE(histogram.percentile_us(0.99), 1280U);
}

}  // namespace
