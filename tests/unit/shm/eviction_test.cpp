// What goes when the table is full: through the writer, with hints as clients set them.
#include "shm/eviction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "shm/table_writer.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::TempTable;
using A = StdAtomics;

// A table with hints, and clients that set them on a hit.
class Cache {
 public:
  Cache() : hints_(table_.view().geometry.slots) { writer().set_recency(hints_.data()); }

  TableWriter& writer() { return table_.writer(); }
  std::vector<std::uint8_t>& hints() { return hints_; }
  std::uint64_t killed_evicted() { return A::load_relaxed(table_.view().header().killed_evicted); }
  std::uint64_t killed_expired() { return A::load_relaxed(table_.view().header().killed_expired); }

  void insert(std::uint64_t number) {
    ASSERT_TRUE(writer().insert(numbered_spec(writer(), number), kNowNs)) << number;
  }
  void fill() {
    for (std::uint64_t i = 0; i < kCapacityMin; ++i) insert(i);
  }
  bool holds(std::uint64_t number) {
    Found found;
    return writer().find(numbered_key(number), found);
  }
  // As a client's lookup does; true for a hit.
  bool use(std::uint64_t number) {
    Found found;
    if (!writer().find(numbered_key(number), found)) return false;
    hints_[found.slot] = 1;
    return true;
  }

 private:
  TempTable table_;
  std::vector<std::uint8_t> hints_;
};

TEST(Eviction, WhatHasExpiredGoesFirst) {
  Cache cache;
  const std::uint64_t soon = kNowNs + kNsPerSecond;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i) {
    RecordSpec spec = numbered_spec(cache.writer(), i);
    if (i % 4 == 0) spec.deadline = soon;
    ASSERT_TRUE(cache.writer().insert(spec, kNowNs));
    // The expired ones were in use; nobody uses the others.
    if (i % 4 == 0) cache.use(i);
  }
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(cache.writer().insert(numbered_spec(cache.writer(), 10'000 + i), soon));
  }
  EXPECT_EQ(cache.killed_evicted(), 0U);
  EXPECT_GE(cache.killed_expired(), 20U) << "and what stood in the way of a path";
}

TEST(Eviction, WhatIsVoidGoesFirst) {
  Cache cache;
  cache.fill();
  cache.writer().raise_all();
  for (std::uint64_t i = 0; i < kCapacityMin / 2; ++i) cache.insert(10'000 + i);
  EXPECT_EQ(cache.killed_evicted(), 0U);
  for (std::uint64_t i = 0; i < kCapacityMin / 2; ++i) EXPECT_TRUE(cache.holds(10'000 + i)) << i;
}

TEST(Eviction, ANegativeRecordGoesBeforeAPositiveOne) {
  Cache cache;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i) {
    const bool negative = i % 10 == 0;
    ASSERT_TRUE(cache.writer().insert(
        negative ? negative_spec(cache.writer(), i) : numbered_spec(cache.writer(), i), kNowNs));
  }
  const std::uint64_t before = cache.writer().negative();
  ASSERT_GT(before, 50U);
  for (std::uint64_t i = 0; i < 10; ++i) cache.insert(10'000 + i);
  EXPECT_LE(cache.writer().negative(), before - 8) << "the hand may meet none once, not three times in ten";
}

TEST(Eviction, WhatWasNeverUsedGoesBeforeWhatWasUsed) {
  Cache cache;
  cache.fill();
  for (std::uint64_t i = 0; i < kCapacityMin; i += 2) cache.use(i);
  for (std::uint64_t i = 0; i < 200; ++i) cache.insert(10'000 + i);
  for (std::uint64_t i = 0; i < kCapacityMin; i += 2) EXPECT_TRUE(cache.holds(i)) << i;
}

// A refresh is the same key again. It is no use: the record is as old as it was.
TEST(Eviction, ARefreshMakesNoRecordYoung) {
  Cache cache;
  cache.fill();
  for (std::uint64_t i = 500; i < kCapacityMin; ++i) cache.use(i);
  for (std::uint64_t i = 0; i < 50; ++i) cache.insert(10'000 + i);
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    if (!cache.holds(i)) continue;
    ++before;
    cache.insert(i);
  }
  for (std::uint64_t i = 50; i < 300; ++i) cache.insert(10'000 + i);
  std::uint64_t kept = 0;
  for (std::uint64_t i = 0; i < 100; ++i) kept += cache.holds(i) ? 1 : 0;
  ASSERT_GT(before, 30U);
  EXPECT_LT(kept, before / 2) << "never used, and the oldest";
}

TEST(Eviction, ARefreshTakesTheHintWithIt) {
  Cache cache;
  cache.fill();
  for (std::uint64_t i = 0; i < 100; ++i) cache.use(i);
  for (std::uint64_t i = 0; i < 100; ++i) cache.insert(i);
  EXPECT_EQ(std::ranges::count(cache.hints(), std::uint8_t{0}), std::ssize(cache.hints()));
  for (std::uint64_t i = 0; i < 300; ++i) cache.insert(10'000 + i);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_TRUE(cache.holds(i)) << i;
}

// The plain order of use would miss every time.
TEST(Eviction, ALoopThatDoesNotFitHitsAllTheSame) {
  Cache cache;
  std::uint64_t hits = 0;
  constexpr std::uint64_t kRounds = 40;
  constexpr std::uint64_t kLoop = kCapacityMin * 6 / 5;
  for (std::uint64_t i = 0; i < kRounds * kLoop; ++i) {
    if (cache.use(i % kLoop)) {
      ++hits;
    } else {
      cache.insert(i % kLoop);
    }
  }
  EXPECT_GT(hits, kRounds * kLoop / 2);
}

// And where the plain order of use is right, nobody departs from it: keys come, are used ten times over a
// while that is short beside a stay in the table, and never again.
TEST(Eviction, KeysThatComeAndGoAreKeptWhileTheyLast) {
  Cache cache;
  std::uint64_t hits = 0;
  std::uint64_t requests = 0;
  for (std::uint64_t newest = 400; newest < 20'000; ++newest) {
    for (std::uint64_t back = 0; back < 400; back += 40, ++requests) {
      if (cache.use(newest - back)) {
        ++hits;
      } else {
        cache.insert(newest - back);
      }
    }
  }
  EXPECT_GE(hits, requests * 89 / 100) << "nine in ten are uses of a key seen lately";
}

TEST(Eviction, NonsenseInEveryHintStopsNoInsertAndCountsForNothingElse) {
  Cache cache;
  Numbers numbers(4);
  for (std::uint64_t i = 0; i < 5 * kCapacityMin; ++i) {
    for (std::uint8_t& hint : cache.hints()) hint = static_cast<std::uint8_t>(numbers.next());
    cache.insert(i);
    ASSERT_TRUE(cache.holds(i));
    ASSERT_LE(cache.writer().live(), kCapacityMin);
  }
  EXPECT_EQ(cache.killed_evicted(), 4 * kCapacityMin) << "one for one";
}

TEST(Eviction, TheHandTakesAtMost64HintsForAnInsert) {
  Cache cache;
  for (std::uint64_t i = 0; i < 3 * kCapacityMin; ++i) {
    std::ranges::fill(cache.hints(), std::uint8_t{1});
    cache.insert(i);
    ASSERT_LE(std::ranges::count(cache.hints(), std::uint8_t{0}), 64 + 1) << "and the new record's own";
  }
}

TEST(Eviction, B13_ANegativeRecordTakesNoHintsAndNoRoom) {
  Cache cache;
  cache.fill();
  std::ranges::fill(cache.hints(), std::uint8_t{1});
  for (std::uint64_t i = 0; i < 500; ++i)
    EXPECT_FALSE(cache.writer().insert(negative_spec(cache.writer(), 10'000 + i), kNowNs));
  EXPECT_EQ(std::ranges::count(cache.hints(), std::uint8_t{0}), 0);
  for (std::uint64_t i = 0; i < kCapacityMin; ++i) EXPECT_TRUE(cache.holds(i)) << i;
}

// Moments wrap after 65 lifetimes: a record must not grow young again.
TEST(Eviction, AnOldRecordStaysOldForEver) {
  Eviction eviction(1178, kCapacityMin);
  eviction.placed(0, numbered_key(0), std::nullopt);
  for (std::uint64_t i = 1; i < 150 * kCapacityMin; ++i) {
    const std::uint64_t slot = 1 + i % 1000;
    eviction.placed(slot, numbered_key(i % 64), std::nullopt);
    eviction.begin_round();
    eviction.show(slot);
    eviction.show(0);
    if (i > 10) {
      ASSERT_EQ(eviction.end_round(), 0U) << i;
    }
  }
}

TEST(Eviction, ARoundThatShowedNothingNamesNobody) {
  Eviction eviction(1178, kCapacityMin);
  eviction.begin_round();
  EXPECT_EQ(eviction.end_round(), std::nullopt);
}

}  // namespace
