#include "daemon/cache/token_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/temp_table.hpp"

namespace {

using authcache::shm::Key;
using authcache::shm::SlotState;

TEST(TokenIndex, FollowsInsertsKillsMovesAndEvictionsExactly) {
  authcache_test::TempTable table;
  authcached::TokenIndex index(table.view());
  table.writer().set_observer(&index);
  std::mt19937_64 random(42);
  const auto now = std::uint64_t{1};
  // Far more than the table holds, few tokens, all in three chains.
  const auto token_at = [](std::uint64_t i) { return Key{i % 3, i, 7}; };
  for (int round = 0; round < 6'000; ++round) {
    const std::uint64_t key = random() % 3'000;
    if (random() % 4 == 0) {
      table.writer().kill({key, key, key}, SlotState::kRevoked);
    } else {
      authcache::shm::RecordSpec spec;
      spec.key = {key, key, key};
      spec.deadline = UINT64_MAX / 2;
      spec.token = token_at(key % 50);
      (void)table.writer().insert(spec, now);
    }
  }
  std::map<Key, std::vector<std::uint64_t>> expected;
  for (std::uint64_t slot = 0; slot < table.view().geometry.slots; ++slot) {
    const auto control = table.writer().peek(slot).control;
    if (authcache::shm::control_state(control) == SlotState::kLive) {
      expected[authcache::shm::load_cold(table.view().cold(slot)).token].push_back(slot);
    }
  }
  ASSERT_FALSE(expected.empty());
  for (std::uint64_t i = 0; i < 50; ++i) {
    auto slots = index.slots_of(token_at(i));
    std::ranges::sort(slots);
    EXPECT_EQ(slots, expected[token_at(i)]) << i;
  }
  EXPECT_TRUE(index.slots_of({0, 999, 999}).empty());
}

}  // namespace
