// The model against the textbook: what C++ allows and forbids in the shapes that matter here.
#include "tests/explorer/weak_memory.hpp"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace {

using namespace authcache::explorer;

constexpr std::size_t kData = 0;
constexpr std::size_t kFlag = 1;
using Outcomes = std::set<std::pair<std::uint64_t, std::uint64_t>>;

// Every pair that a thread reads from two locations, in this order.
Outcomes reads(const WeakMemory& memory, std::size_t first, Order first_order, std::size_t second) {
  Outcomes outcomes;
  Choices choices;
  do {
    View view;
    const auto load = [&](std::size_t location, Order order) {
      return memory.load(location, choices.pick(memory.readable(location, view)), order, view);
    };
    const std::uint64_t one = load(first, first_order);
    outcomes.insert({one, load(second, Order::kRelaxed)});
  } while (choices.next());
  return outcomes;
}

TEST(WeakMemory, AMessagePassedByReleaseAndAcquireBringsWhatWasStoredBefore) {
  WeakMemory memory;
  View writer;
  memory.store(kData, 1, Order::kRelaxed, writer);
  memory.store(kFlag, 1, Order::kRelease, writer);
  EXPECT_EQ(reads(memory, kFlag, Order::kAcquire, kData), (Outcomes{{0, 0}, {0, 1}, {1, 1}}));
}

TEST(WeakMemory, WithoutEitherOrderItDoesNot) {
  for (const auto& [store, load] :
       {std::pair{Order::kRelaxed, Order::kAcquire}, std::pair{Order::kRelease, Order::kRelaxed}}) {
    WeakMemory memory;
    View writer;
    memory.store(kData, 1, Order::kRelaxed, writer);
    memory.store(kFlag, 1, store, writer);
    EXPECT_EQ(reads(memory, kFlag, load, kData), (Outcomes{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  }
}

TEST(WeakMemory, AThreadNeverReadsOneWordBackwards) {
  WeakMemory memory;
  View writer;
  memory.store(kData, 1, Order::kRelaxed, writer);
  memory.store(kData, 2, Order::kRelaxed, writer);
  EXPECT_EQ(reads(memory, kData, Order::kRelaxed, kData),
            (Outcomes{{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}}));
}

TEST(WeakMemory, AReleaseStoreKeepsLaterStoresBackNowhere) {
  WeakMemory memory;
  View writer;
  memory.store(kFlag, 1, Order::kRelease, writer);
  memory.store(kData, 1, Order::kRelaxed, writer);
  // The later store may be seen and the earlier one not.
  EXPECT_TRUE(reads(memory, kData, Order::kAcquire, kFlag).contains({1, 0}));
}

TEST(WeakMemory, ARelaxedStoreContinuesAReleaseSequenceOnlyBeforeCxx20) {
  for (const bool continued : {false, true}) {
    WeakMemory memory;
    memory.continue_release_sequences(continued);
    View writer;
    memory.store(kData, 1, Order::kRelaxed, writer);
    memory.store(kFlag, 1, Order::kRelease, writer);
    memory.store(kFlag, 2, Order::kRelaxed, writer);
    EXPECT_EQ(reads(memory, kFlag, Order::kAcquire, kData).contains({2, 0}), !continued);
  }
}

TEST(WeakMemory, WhatOneReaderTellsAnotherIsBehindIt) {
  WeakMemory memory;
  View writer;
  memory.store(kData, 1, Order::kRelease, writer);
  View one, two;
  EXPECT_EQ(memory.load(kData, 1, Order::kAcquire, one), 1U);
  EXPECT_EQ(memory.readable(kData, two), 2U);
  two.join(one);
  EXPECT_EQ(memory.readable(kData, two), 1U);
}

TEST(Choices, EveryBranchIsTakenOnce) {
  Choices choices;
  std::multiset<unsigned> seen;
  do {
    const unsigned first = choices.pick(3);
    seen.insert(first * 10 + (first == 1 ? choices.pick(2) : 0));
  } while (choices.next());
  EXPECT_EQ(seen, (std::multiset<unsigned>{0, 10, 11, 20}));
}

TEST(Choices, ARunThatAsksOtherwiseThanItsReplayIsNoticed) {
  Choices choices;
  (void)choices.pick(2);
  ASSERT_TRUE(choices.next());
  EXPECT_THROW((void)choices.pick(3), std::logic_error);
}

}  // namespace
