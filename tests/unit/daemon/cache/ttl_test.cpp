#include "daemon/cache/ttl.hpp"

#include <gtest/gtest.h>

namespace {

using authcache::shm::Verdict;
using authcached::ProfileConfig;
using authcached::Proof;
using authcached::record_life_ns;
constexpr std::int64_t kMillisecond = 1'000'000;

Proof proof_of(Verdict verdict) {
  Proof proof;
  proof.verdict = verdict;
  return proof;
}

TEST(RecordLife, B10_IsTheLeastOfTokenEndAndPolicy) {
  ProfileConfig profile;
  profile.ttl_max = std::chrono::milliseconds(500);
  Proof proof = proof_of(Verdict::kValid);
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 500 * kMillisecond);
  proof.expires_wall_ns = 1'000 + 7;
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 7);
  EXPECT_EQ(record_life_ns(proof, profile, 1'007), 0);
  EXPECT_EQ(record_life_ns(proof, profile, 1'008), -1);
}

TEST(RecordLife, B10_EndsAtTheEdgesOfTimeDoNotWrap) {
  const ProfileConfig profile;
  Proof proof = proof_of(Verdict::kValid);
  proof.expires_wall_ns = INT64_MIN;
  EXPECT_LE(record_life_ns(proof, profile, INT64_MAX), 0);
  proof.expires_wall_ns = INT64_MAX;
  EXPECT_EQ(record_life_ns(proof, profile, -1), std::chrono::nanoseconds(profile.ttl_max).count());
}

TEST(RecordLife, B10_EndsWithWhatProvedIt) {
  ProfileConfig profile;
  profile.ttl_max = std::chrono::milliseconds(500);
  Proof proof = proof_of(Verdict::kValid);
  proof.expires_wall_ns = 1'000 + 70;
  proof.keep_until_wall_ns = 1'000 + 9;
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 9);
  proof.keep_until_wall_ns = 1'000 + 90;
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 70);
  proof.keep_until_wall_ns = INT64_MIN;
  EXPECT_LE(record_life_ns(proof, profile, INT64_MAX), 0);
}

TEST(RecordLife, B12_ANegativeLivesUntilItsAnswerMayChangeAndIgnoresTheTokensEnd) {
  ProfileConfig profile;
  profile.negative_ttl = std::chrono::milliseconds(2);
  Proof proof = proof_of(Verdict::kInvalid);
  proof.expires_wall_ns = 0;
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 2 * kMillisecond);
  proof.retry_wall_ns = 1'500;
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 500);
  profile.negative_ttl = std::chrono::milliseconds(0);
  EXPECT_EQ(record_life_ns(proof, profile, 1'000), 0);
}

}  // namespace
