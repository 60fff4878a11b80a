// B13: distinct, well-formed junk tokens as fast as they can be sent, beside good ones. AUTHCACHE_JUNK_TOKENS
// sets how many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

namespace wire = authcache::shm::wire;

constexpr std::uint64_t kFloodTokens = 100'000;
constexpr std::uint64_t kBatch = 500;
constexpr std::size_t kGrowthMax = 64u << 20;

std::uint64_t flood_tokens() {
  const char* const wanted = std::getenv("AUTHCACHE_JUNK_TOKENS");
  return wanted == nullptr ? kFloodTokens : std::strtoull(wanted, nullptr, 10);
}

struct Flood {
  std::uint64_t invalid = 0, over_budget = 0, other = 0;
};

Flood send_junk(const Scene& scene, std::uint64_t tokens) {
  Flood flood;
  RawConnection connection(scene.daemon.runtime_dir() / "authcached.sock");
  for (std::uint64_t sent = 0; sent < tokens; sent += kBatch) {
    std::string frames;
    for (std::uint64_t i = 0; i < kBatch; ++i) frames += validate_frame(sent + i, "sessions", random_token());
    if (!connection.send(frames)) break;
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      const auto frame = connection.receive();
      const auto reply = frame ? wire::decode_validate_reply(frame->payload) : std::nullopt;
      if (!reply) return flood;
      using authcache::shm::Verdict;
      const bool budget =
          reply->verdict == Verdict::kUnavailable && reply->reason == authcache::shm::Reason::kOverBudget;
      ++(reply->verdict == Verdict::kInvalid ? flood.invalid : budget ? flood.over_budget : flood.other);
    }
  }
  return flood;
}

void expect_good_tokens_to_be_served(const std::string& limits, bool budget_holds) {
  const std::uint64_t tokens = flood_tokens();
  Scene scene({.capacity = 20'000, .limits = limits});
  scene.start();
  std::vector<Question> questions;
  for (const std::string& token : scene.create_sessions(1'000)) questions.push_back(session(token));
  SpinningReaders readers(scene.daemon.runtime_dir(), questions, 1);
  ASSERT_TRUE(readers.warm());
  (void)send_junk(scene, 5'000);  // what is allocated once is allocated
  const std::size_t before = scene.daemon.resident_bytes();
  const std::int64_t asked = scene.daemon.stat("daemon", "upstream_questions");
  const auto begun = std::chrono::steady_clock::now();
  const Flood flood = send_junk(scene, tokens);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun).count() + 1;
  EXPECT_EQ(flood.invalid + flood.over_budget + flood.other, (tokens + kBatch - 1) / kBatch * kBatch);
  const std::size_t after = scene.daemon.resident_bytes();
  EXPECT_LT(after, before + kGrowthMax);
  const std::int64_t questions_asked = scene.daemon.stat("daemon", "upstream_questions") - asked;
  if (budget_holds) {
    // 1 000 at once, and 1 000 in each second.
    EXPECT_LE(questions_asked, 1'000 + 1'000 * (seconds + 1));
    EXPECT_GT(flood.over_budget, tokens / 2);
  } else {
    EXPECT_LE(questions_asked, static_cast<std::int64_t>(tokens));
    EXPECT_EQ(flood.over_budget, 0u);
  }
  EXPECT_TRUE(readers.finish());
  const Tally& tally = readers.tally();
  EXPECT_EQ(tally.invalid + tally.forbidden + tally.failed, 0u) << tally.text();
  EXPECT_LE(tally.miss + tally.unavailable, (tally.valid + tally.miss + tally.unavailable) / 100)
      << tally.text();
  EXPECT_LE(scene.daemon.stat("table", "negative"), 20'000 / 2);
}

TEST(Junk, B13_BeyondTheBudgetItReachesNoUpstreamAndDisturbsNobody) {
  expect_good_tokens_to_be_served("misses_per_second_per_uid = 1_000\nmiss_burst_per_uid = 1_000\n", true);
}

TEST(Junk, B13_WithoutABudgetItEvictsNoGoodToken) {
  expect_good_tokens_to_be_served("misses_per_second_per_uid = 10_000_000\nmiss_burst_per_uid = 10_000_000\n",
                                  false);
}

}  // namespace
}  // namespace authcache_test
