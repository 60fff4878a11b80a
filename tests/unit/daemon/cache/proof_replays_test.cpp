// A8.3: a proof is taken once, whatever the clocks do and however many there are.
#include "daemon/cache/proof_replays.hpp"

#include <gtest/gtest.h>

#include "daemon/base/sha256.hpp"

namespace {

using authcache::shm::Reason;
using authcached::DpopProof;
using authcached::kProofAgeMaxNs;
using authcached::kProofAheadMaxNs;
using authcached::kProofLifeNs;
using authcached::ProofReplays;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kStart = 1'700'000'000 * kSecond;
constexpr uid_t kUser = 1'000, kOther = 1'001;

DpopProof proof(int number, std::int64_t issued) {
  return {authcached::sha256("key"), authcached::sha256("proof " + std::to_string(number)), issued};
}

// A clock that runs: monotonic 0 at kStart.
struct Scene {
  ProofReplays replays{kStart - kProofAheadMaxNs - kSecond};
  std::int64_t monotonic = 0;
  Reason take(int number, std::int64_t issued, uid_t uid = kUser) {
    return replays.take(proof(number, issued), uid, monotonic);
  }
};

TEST(ProofReplays, A8_3_TheSameProofIsTakenOnce) {
  Scene scene;
  EXPECT_EQ(scene.take(1, kStart), Reason::kNone);
  EXPECT_EQ(scene.take(1, kStart), Reason::kProofReplayed);
  EXPECT_EQ(scene.take(1, kStart, kOther), Reason::kProofReplayed) << "whoever asks";
  EXPECT_EQ(scene.take(1, kStart + kSecond), Reason::kProofReplayed) << "under another iat";
  EXPECT_EQ(scene.take(2, kStart), Reason::kNone);
  EXPECT_EQ(scene.replays.size(), 2u);
}

TEST(ProofReplays, A8_3_AProofIsRememberedForAsLongAsItsAgeWouldPass) {
  Scene scene;
  const std::int64_t latest = kStart + kProofAheadMaxNs;  // the youngest that is taken at kStart
  ASSERT_EQ(scene.take(1, latest), Reason::kNone);
  scene.monotonic = kProofAheadMaxNs + kProofAgeMaxNs - 1;
  EXPECT_EQ(scene.take(1, latest), Reason::kProofReplayed);
  scene.monotonic += 1;
  EXPECT_NE(scene.take(1, latest), Reason::kNone) << "forgotten, and too old by now";
  EXPECT_EQ(scene.replays.size(), 0u);
}

TEST(ProofReplays, A8_3_WhatIsForgottenIsRefusedAlsoWhenTheClockWentBack) {
  Scene scene;
  ASSERT_EQ(scene.take(1, kStart), Reason::kNone);
  scene.monotonic = 2 * kProofLifeNs;
  // Somebody sets the clock back, and the proof looks young again.
  EXPECT_EQ(scene.take(1, kStart), Reason::kCatchingUp);
  EXPECT_EQ(scene.take(2, kStart - 1), Reason::kCatchingUp);
  EXPECT_EQ(scene.take(3, kStart + 1), Reason::kNone) << "no proof as young was ever taken";
}

TEST(ProofReplays, A8_3_ProofsFromBeforeTheStartAreRefused) {
  ProofReplays replays(kStart);
  EXPECT_EQ(replays.take(proof(1, kStart - kSecond), kUser, 0), Reason::kCatchingUp);
  EXPECT_EQ(replays.take(proof(1, kStart), kUser, 0), Reason::kCatchingUp);
  EXPECT_EQ(replays.take(proof(1, kStart + kProofAheadMaxNs), kUser, 0), Reason::kCatchingUp)
      << "a predecessor may have taken what was issued ahead of its clock";
  EXPECT_EQ(replays.take(proof(1, kStart + kProofAheadMaxNs + 1), kUser, 0), Reason::kNone);
}

TEST(ProofReplays, A8_3_WhenFullItRefusesAndForgetsNothing) {
  ProofReplays replays(kStart - kProofAheadMaxNs - kSecond, 4, 4);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(replays.take(proof(i, kStart), kUser, i), Reason::kNone);
  EXPECT_EQ(replays.take(proof(9, kStart), kUser, 4), Reason::kOverloaded);
  EXPECT_EQ(replays.take(proof(9, kStart), kOther, 4), Reason::kOverloaded);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(replays.take(proof(i, kStart), kUser, 4), Reason::kProofReplayed);
  EXPECT_EQ(replays.take(proof(9, kStart + kProofLifeNs), kUser, kProofLifeNs), Reason::kNone)
      << "the oldest is gone by now";
  EXPECT_EQ(replays.take(proof(8, kStart + kProofLifeNs), kUser, kProofLifeNs), Reason::kOverloaded);
}

TEST(ProofReplays, A8_3_OneUserLeavesRoomForTheOthers) {
  ProofReplays replays(kStart - kProofAheadMaxNs - kSecond, 4, 2);
  ASSERT_EQ(replays.take(proof(1, kStart), kUser, 0), Reason::kNone);
  ASSERT_EQ(replays.take(proof(2, kStart), kUser, 0), Reason::kNone);
  EXPECT_EQ(replays.take(proof(3, kStart), kUser, 0), Reason::kOverloaded);
  EXPECT_EQ(replays.take(proof(3, kStart), kOther, 0), Reason::kNone);
  EXPECT_EQ(replays.take(proof(4, kStart + kProofLifeNs), kUser, kProofLifeNs), Reason::kNone)
      << "its share is free again";
}

TEST(ProofReplays, ManyComeAndGo) {
  Scene scene;
  constexpr int kProofs = 100'000;
  for (int i = 0; i < kProofs; ++i) {
    scene.monotonic = i * (kProofLifeNs / 10'000);
    ASSERT_EQ(scene.take(i, kStart + scene.monotonic), Reason::kNone) << i;
    ASSERT_EQ(scene.take(i, kStart + scene.monotonic), Reason::kProofReplayed) << i;
  }
  EXPECT_EQ(scene.replays.size(), 10'000u);
}

}  // namespace
