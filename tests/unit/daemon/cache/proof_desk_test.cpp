// A8.3: the way of a proof through the daemon, its steps taken one by one.
#include "daemon/cache/proof_desk.hpp"

#include <gtest/gtest.h>

#include "daemon/token/base64url.hpp"
#include "shm/digest.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache::shm::wire::Prove;
using authcache::shm::wire::ProveReply;
using authcache_test::KeyKind;
using authcache_test::SigningKey;
using authcached::testing::Cache;
using authcached::testing::kSecond;
using authcached::testing::ManualExecutor;
namespace wire = authcache::shm::wire;

constexpr uid_t kUser = 1'000;
constexpr std::string_view kUrl = "https://api.example/orders";
constexpr std::int64_t kSoonSeconds = 6;  // after the start: past what a predecessor may have taken

const SigningKey& key() {
  static const SigningKey made = SigningKey::generate(KeyKind::kP256);
  return made;
}

// Payload of a prove frame.
std::string payload_of(const Prove& prove) {
  std::string frame;
  wire::append_prove(frame, 1, prove);
  return frame.substr(wire::kHeadBytes);
}

struct Desk {
  explicit Desk(LimitsConfig limits = {})
      : cache(100, limits), desk({&pool}, turns, cache.resolver, cache.clock, wall) {
    cache.clock.pass(kSoonSeconds * kSecond);
  }

  std::string proof(std::string_view jti) const {
    const auto token = authcache::shm::plain_digest("token");
    authcache_test::Claims claims("", "", cache.clock.wall / kSecond);
    claims.without("iss").without("aud").without("sub").without("client_id").without("exp");
    claims.text("jti", jti).text("htm", "GET").text("htu", kUrl);
    claims.text("ath", base64url_encode({reinterpret_cast<const char*>(token.data()), token.size()}));
    return mint(key(), "ES256", R"({"typ":"dpop+jwt","alg":"ES256","jwk":)" + key().public_jwk() + "}",
                claims.json());
  }
  static Prove question(std::string_view proof, std::uint32_t timeout_ms = 1'000) {
    return {.timeout_ms = timeout_ms,
            .nonce_asked = false,
            .token = authcache::shm::plain_digest("token"),
            .method = "GET",
            .url = kUrl,
            .nonce = {},
            .proof = proof};
  }
  void ask(std::string_view proof, std::uint32_t timeout_ms = 1'000, uid_t uid = kUser) {
    desk.prove(payload_of(question(proof, timeout_ms)), uid,
               [this](const ProveReply& reply) { replies.push_back(reply); });
  }
  // Asks, and takes every turn.
  Reason asked(std::string_view proof, std::uint32_t timeout_ms = 1'000, uid_t uid = kUser) {
    ask(proof, timeout_ms, uid);
    settle();
    return replies.back().reason;
  }
  void settle() {
    while (pool.run_all() + turns.run_all() > 0) continue;
  }

  Cache cache;
  WallClock wall{cache.clock};
  ManualExecutor pool, turns;
  ProofDesk desk;
  std::vector<ProveReply> replies;
};

TEST(ProofDesk, A8_3_AGoodProofIsTakenOnceAndNamesItsKey) {
  Desk desk;
  const std::string proof = desk.proof("one");
  EXPECT_EQ(desk.asked(proof), Reason::kNone);
  EXPECT_EQ(desk.replies[0].verdict, Verdict::kValid);
  EXPECT_EQ(desk.replies[0].question, authcache::shm::plain_digest(payload_of(Desk::question(proof))));
  EXPECT_NE(desk.replies[0].thumbprint, authcache::shm::Digest{});
  EXPECT_EQ(desk.asked(proof), Reason::kProofReplayed);
  EXPECT_EQ(desk.replies[1].verdict, Verdict::kInvalid);
  EXPECT_EQ(desk.replies[1].thumbprint, authcache::shm::Digest{}) << "nothing to bind";
  EXPECT_EQ(desk.desk.counters().taken, 1u);
  EXPECT_EQ(desk.desk.counters().replayed, 1u);
}

TEST(ProofDesk, A8_3_OfManyAtOnceExactlyOneIsTaken) {
  Desk desk;
  const std::string proof = desk.proof("one"), twin = malleated_twin(key(), proof);
  for (int i = 0; i < 50; ++i) desk.ask(i % 2 == 0 ? proof : twin, 1'000, kUser + static_cast<uid_t>(i));
  desk.settle();
  ASSERT_EQ(desk.replies.size(), 50u);
  EXPECT_EQ(std::ranges::count(desk.replies, Verdict::kValid, &ProveReply::verdict), 1);
  EXPECT_EQ(std::ranges::count(desk.replies, Reason::kProofReplayed, &ProveReply::reason), 49);
}

TEST(ProofDesk, A8_3_AProofThatIsBadInAnythingElseIsNotRemembered) {
  Desk desk;
  const std::string proof = desk.proof("one");
  const std::string unsigned_one = proof.substr(0, proof.rfind('.') + 1) + std::string(86, 'A');
  EXPECT_EQ(desk.asked(unsigned_one), Reason::kBadSignature);
  Prove wrong = Desk::question(proof);
  wrong.method = "PUT";
  desk.desk.prove(payload_of(wrong), kUser, [&](const ProveReply& reply) { desk.replies.push_back(reply); });
  desk.settle();
  EXPECT_EQ(desk.replies.back().reason, Reason::kProofMethod);
  EXPECT_EQ(desk.desk.remembered(), 0u);
  EXPECT_EQ(desk.asked(proof), Reason::kNone) << "and may still be used for what it is";
}

TEST(ProofDesk, A8_3_TheFirstSecondsAfterAStartNothingCanBeTold) {
  Cache cache;
  WallClock wall{cache.clock};
  ManualExecutor pool, turns;
  ProofDesk desk({&pool}, turns, cache.resolver, cache.clock, wall);
  Desk other;  // only to make proofs
  other.cache.clock.wall = cache.clock.wall;
  std::vector<ProveReply> replies;
  const auto ask = [&](std::string_view jti) {
    other.cache.clock.wall = cache.clock.wall;
    desk.prove(payload_of(Desk::question(other.proof(jti))), kUser,
               [&](const ProveReply& reply) { replies.push_back(reply); });
    while (pool.run_all() + turns.run_all() > 0) continue;
    return replies.back();
  };
  for (int second = 0; second <= 5; ++second) {
    const ProveReply reply = ask("early-" + std::to_string(second));
    EXPECT_EQ(reply.verdict, Verdict::kUnavailable);
    EXPECT_EQ(reply.reason, Reason::kCatchingUp);
    cache.clock.pass(kSecond);
  }
  EXPECT_EQ(ask("then").verdict, Verdict::kValid);
}

TEST(ProofDesk, StructureIsJudgedBeforeTheBudgetAndTheBudgetBeforeTheWork) {
  LimitsConfig limits;
  limits.misses_per_second_per_uid = 1;
  limits.miss_burst_per_uid = 2;
  Desk desk(limits);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(desk.asked("no proof"), Reason::kMalformed);
  EXPECT_EQ(desk.asked(desk.proof("one")), Reason::kNone);
  EXPECT_EQ(desk.asked(desk.proof("two")), Reason::kNone);
  desk.ask(desk.proof("three"));
  ASSERT_EQ(desk.replies.size(), 13u) << "at once";
  EXPECT_EQ(desk.pool.size(), 0u);
  EXPECT_EQ(desk.replies.back().verdict, Verdict::kUnavailable);
  EXPECT_EQ(desk.replies.back().reason, Reason::kOverBudget);
  EXPECT_EQ(desk.cache.resolver.counters().over_budget, 1u);
  EXPECT_EQ(desk.asked(desk.proof("four"), 1'000, kUser + 1), Reason::kNone) << "another's budget";
}

TEST(ProofDesk, AQuestionWhoseAskerGaveUpUsesNothingUp) {
  Desk desk;
  const std::string proof = desk.proof("one");
  desk.ask(proof.substr(0, proof.size() - 86) + std::string(86, 'A'), 100);  // its signature is not looked at
  desk.cache.clock.pass(kSecond);
  desk.settle();
  EXPECT_EQ(desk.replies.back().reason, Reason::kTimeout) << "before it was judged";
  desk.ask(proof, 100);
  desk.pool.run_all();
  desk.cache.clock.pass(kSecond);
  desk.settle();
  EXPECT_EQ(desk.replies.back().reason, Reason::kTimeout) << "after it was judged";
  EXPECT_EQ(desk.replies.back().verdict, Verdict::kUnavailable);
  EXPECT_EQ(desk.desk.remembered(), 0u);
  EXPECT_EQ(desk.asked(proof), Reason::kNone);
}

TEST(ProofDesk, WhatWaitsIsBounded) {
  LimitsConfig limits;
  limits.misses_per_second_per_uid = limits.miss_burst_per_uid = 1'000'000;
  Desk desk(limits);
  const std::string proof = desk.proof("one");
  while (desk.replies.empty() && desk.pool.size() < 100'000) desk.ask(proof);
  EXPECT_EQ(desk.pool.size(), 512u);
  ASSERT_EQ(desk.replies.size(), 1u);
  EXPECT_EQ(desk.replies[0].reason, Reason::kOverloaded);
  EXPECT_EQ(desk.replies[0].verdict, Verdict::kUnavailable);
  desk.pool.run_one();
  desk.turns.run_all();
  EXPECT_EQ(desk.replies.back().verdict, Verdict::kValid);
  desk.ask(desk.proof("two"));
  EXPECT_EQ(desk.pool.size(), 512u) << "there is room again";
}

// D5: the daemon's own idea of the time, which does not go back with the host's clock.
TEST(ProofDesk, TheTimeIsTheDaemonsOwn) {
  Desk desk;
  const std::string proof = desk.proof("one");
  ASSERT_EQ(desk.asked(desk.proof("before")), Reason::kNone);
  desk.cache.clock.pass(3'600 * kSecond);
  ASSERT_EQ(desk.asked(proof), Reason::kExpired);
  desk.cache.clock.wall -= 3'600 * kSecond;
  EXPECT_EQ(desk.asked(proof), Reason::kExpired);
}

}  // namespace
