#include "shm/ways.hpp"

#include <gtest/gtest.h>

#include "shm/table_reader.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::TempTable;
using A = StdAtomics;

BucketPair pair_of(const TableView& view, const Key& key) {
  return buckets_of(key, view.secret.data(), view.geometry.buckets);
}

void fill(TempTable& table, std::uint64_t count) {
  for (std::uint64_t number = 0; number < count; ++number)
    ASSERT_TRUE(table.writer().insert(numbered_spec(table.writer(), number, 0), kNowNs));
}

std::uint64_t found_among(const TempTable& table, std::uint64_t first, std::uint64_t count) {
  std::uint64_t found = 0;
  for (std::uint64_t number = first; number < first + count; ++number) {
    const Key key = numbered_key(number);
    const BucketPair pair = pair_of(table.view(), key);
    Found out;
    if (!find(table.view(), key, pair, likely_slot(table.view(), key, pair), out)) continue;
    EXPECT_EQ(out.record.key, key);
    ++found;
  }
  return found;
}

TEST(Ways, ACellPointsAtTheSlotThatItsKeysRecordWasPutInto) {
  TempTable table;
  for (std::uint64_t number = 0; number < kCapacityMin; ++number) {
    const Key key = numbered_key(number);
    const auto place = table.writer().insert(numbered_spec(table.writer(), number, 0), kNowNs);
    ASSERT_TRUE(place);
    ASSERT_EQ(likely_slot(table.view(), key, pair_of(table.view(), key)), place->slot) << number;
  }
}

// Moves store the way too: without that, a third of a full table's records would be looked for in the wrong
// place.
TEST(Ways, NineInTenRecordsOfAFullTableStandWhereTheirCellsPoint) {
  TempTable table;
  fill(table, kCapacityMin);
  std::uint64_t right = 0;
  for (std::uint64_t number = 0; number < kCapacityMin; ++number) {
    const Key key = numbered_key(number);
    const std::uint64_t slot = likely_slot(table.view(), key, pair_of(table.view(), key));
    right += A::load_relaxed(table.view().slot(slot).key[0]) == key[0] ? 1 : 0;
  }
  EXPECT_GT(A::load_relaxed(table.view().header().moved), 0U);
  EXPECT_GE(right, kCapacityMin * 85 / 100);
}

TEST(Ways, WhateverTheCellsHoldEveryRecordIsFoundAndNothingElse) {
  TempTable table;
  fill(table, kCapacityMin);
  const TableView& view = table.view();
  Numbers numbers(13);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t word = 0; word * kWayCellsPerWord < view.geometry.way_cells; ++word)
      A::store_relaxed(view.way_word(word), numbers.next());
    ASSERT_EQ(found_among(table, 0, kCapacityMin), kCapacityMin);
    ASSERT_EQ(found_among(table, kCapacityMin, kCapacityMin), 0U);
  }
}

// The slot that is looked at first may hold what the same key's record was before: the live one stands
// elsewhere.
TEST(Ways, ADeadRecordOfTheSameKeyAtTheLikelySlotHidesNoLiveOne) {
  TempTable table;
  const Key key = numbered_key(1);
  const BucketPair pair = pair_of(table.view(), key);
  const auto old = table.writer().insert(numbered_spec(table.writer(), 1, 1), kNowNs);
  ASSERT_TRUE(old);
  table.writer().kill(key, SlotState::kEvicted);
  const std::uint64_t other = pair.slot(0) == old->slot ? pair.slot(1) : pair.slot(0);
  Slot& slot = table.view().slot(other);
  const std::uint64_t sequence = begin_publish(slot);
  HotRecord record = table.writer().peek(old->slot);
  record.key = key;
  end_publish(slot, record, sequence);
  Found out;
  ASSERT_TRUE(find(table.view(), key, pair, old->slot, out));
  EXPECT_EQ(out.slot, other);
}

}  // namespace
