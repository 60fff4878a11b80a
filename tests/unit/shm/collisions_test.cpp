// Keys that share both buckets, found by search: what is compared is the key, never where it stands.
#include <gtest/gtest.h>

#include <map>

#include "shm/buckets.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::TempTable;

// Numbers of `count` keys that share both buckets of a small table.
std::vector<std::uint64_t> crowd(const TableView& view, std::size_t count) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<std::uint64_t>> by_buckets;
  for (std::uint64_t number = 0;; ++number) {
    BucketPair pair = buckets_of(numbered_key(number), view.secret.data(), view.geometry.buckets);
    if (pair.first > pair.second) std::swap(pair.first, pair.second);
    auto& same = by_buckets[{pair.first, pair.second}];
    same.push_back(number);
    if (same.size() == count) return same;
  }
}

std::int64_t version_of(const TempTable& table, std::uint64_t number) {
  const BucketPair pair =
      buckets_of(numbered_key(number), table.view().secret.data(), table.view().geometry.buckets);
  Found found;
  if (!find(table.view(), numbered_key(number), pair, likely_slot(table.view(), numbered_key(number), pair),
            found))
    return -1;
  EXPECT_EQ(found.record.key, numbered_key(number));
  return load_cold(table.view().cold(found.slot)).expires_wall_ns;
}

TEST(Collisions, B1_KeysOfOneBucketPairNeverCross) {
  TempTable table;
  const auto numbers = crowd(table.view(), 7);
  for (std::size_t round = 0; round < 50; ++round) {
    for (const std::uint64_t number : numbers) {
      ASSERT_TRUE(table.writer().insert(
          numbered_spec(table.writer(), number, static_cast<std::int64_t>(number)), kNowNs));
      int found = 0;
      for (const std::uint64_t other : numbers) {
        const std::int64_t version = version_of(table, other);
        ASSERT_TRUE(version == -1 || version == static_cast<std::int64_t>(other));
        found += version == -1 ? 0 : 1;
      }
      ASSERT_NE(version_of(table, number), -1) << "what was said last is there";
      ASSERT_LE(found, 4) << "two buckets of two";
    }
  }
}

TEST(Collisions, B5_KillingOneOfACrowdLeavesTheOthers) {
  TempTable table;
  const auto numbers = crowd(table.view(), 4);
  for (const std::uint64_t number : numbers)
    table.writer().insert(numbered_spec(table.writer(), number, static_cast<std::int64_t>(number)), kNowNs);
  for (const std::uint64_t number : numbers)
    ASSERT_EQ(version_of(table, number), static_cast<std::int64_t>(number)) << "four fit";
  table.writer().kill(numbered_key(numbers[1]), SlotState::kRevoked);
  for (const std::uint64_t number : numbers) {
    EXPECT_EQ(version_of(table, number), number == numbers[1] ? -1 : static_cast<std::int64_t>(number));
  }
}

TEST(Collisions, B2_ACrowdOfNegativesLeavesThePositiveOfTheirBuckets) {
  TempTable table;
  const auto numbers = crowd(table.view(), 7);
  table.writer().insert(numbered_spec(table.writer(), numbers[0], 5), kNowNs);
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = 1; i < numbers.size(); ++i)
      table.writer().insert(negative_spec(table.writer(), numbers[i]), kNowNs);
  }
  EXPECT_EQ(version_of(table, numbers[0]), 5);
}

// Two of the three words of the key equal, the same slot: only the third tells them apart.
TEST(Collisions, B1_AKeyThatDiffersInOneWordIsAnotherKey) {
  TempTable table;
  const auto place = table.writer().insert(numbered_spec(table.writer(), 1), kNowNs);
  for (std::size_t word = 0; word < 3; ++word) {
    Key near = numbered_key(1);
    near[word] += 1;
    HotRecord record;
    EXPECT_EQ(read_slot(table.view().slot(place->slot), near, record), SlotRead::kOther);
  }
}

}  // namespace
