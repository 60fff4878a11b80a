#include "shm/slot.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "tests/unit/shm/scripted_atomics.hpp"

namespace {

using namespace authcache::shm;
using authcache::shm_test::ScriptedAtomics;
using ScriptedSlot = BasicSlot<ScriptedAtomics>;

constexpr Key kKey = {11, 12, 13};

// Every word tells the version, so that a mix of two records shows.
HotRecord record(std::uint64_t version, const Key& key = kKey) {
  return {.control = 0,
          .deadline = version * 10,
          .key = key,
          .facts = version * 100,
          .principals = version * 1000,
          .grants = version};
}

bool is_whole(const HotRecord& read) {
  const std::uint64_t version = read.grants;
  return read.deadline == version * 10 && read.facts == version * 100 && read.principals == version * 1000 &&
         read.key == kKey;
}

template <class A>
std::uint64_t publish(BasicSlot<A>& slot, const HotRecord& made) {
  const std::uint64_t sequence = begin_publish(slot);
  end_publish(slot, made, sequence);
  return sequence;
}

// What a reader finds: a version, or nothing.
std::optional<std::uint64_t> version_in(const ScriptedSlot& slot) {
  HotRecord read;
  if (read_slot(slot, kKey, read) != SlotRead::kRead) return std::nullopt;
  EXPECT_TRUE(is_whole(read));
  return read.grants;
}

TEST(Slot, APublishedRecordReadsBackWhole) {
  Slot slot{};
  publish(slot, record(3));
  HotRecord read;
  ASSERT_EQ(read_slot(slot, kKey, read), SlotRead::kRead);
  EXPECT_TRUE(is_whole(read));
  EXPECT_EQ(read.sequence(), 1U);
  EXPECT_TRUE(still_live(slot, read.control));
}

TEST(Slot, AnotherKeyIsNotFoundWhicheverWordDiffers) {
  Slot slot{};
  publish(slot, record(3));
  HotRecord read;
  for (std::size_t word = 0; word < kKey.size(); ++word) {
    for (const std::uint64_t flip : {std::uint64_t{1}, std::uint64_t{1} << 63}) {
      Key other = kKey;
      other[word] ^= flip;
      EXPECT_EQ(read_slot(slot, other, read), SlotRead::kOther);
    }
  }
}

TEST(Slot, OnlyLiveIsReadForEveryValueOfTheStateByte) {
  Slot slot{};
  publish(slot, record(3));
  HotRecord read;
  for (std::uint64_t state = 0; state <= 0xff; ++state) {
    StdAtomics::store_relaxed(slot.control, make_control(1, static_cast<SlotState>(state)));
    const auto expected =
        state == static_cast<std::uint64_t>(SlotState::kLive) ? SlotRead::kRead : SlotRead::kOther;
    EXPECT_EQ(read_slot(slot, kKey, read), expected) << state;
  }
}

TEST(Slot, TheSequenceRisesWithEachReuseAndNeverFalls) {
  Slot slot{};
  std::uint64_t last = 0;
  for (std::uint64_t version = 1; version <= 100; ++version) {
    EXPECT_EQ(publish(slot, record(version)), last + 1);
    ++last;
    EXPECT_EQ(control_sequence(StdAtomics::load_relaxed(slot.control)), last);
    kill_slot(slot, version % 2 == 0 ? SlotState::kRevoked : SlotState::kMoved);
    EXPECT_EQ(control_sequence(StdAtomics::load_relaxed(slot.control)), last);
  }
}

TEST(Slot, TheSequenceGoesOnAfterABusySlotWasGivenUp) {
  Slot slot{};
  publish(slot, record(1));
  kill_slot(slot, SlotState::kExpired);
  EXPECT_EQ(begin_publish(slot), 2U);  // a writer died here
  kill_slot(slot, SlotState::kEvicted);
  EXPECT_EQ(publish(slot, record(2)), 3U);
}

TEST(Slot, TheSequenceFillsFiftySixBits) {
  Slot slot{};
  const std::uint64_t high = (std::uint64_t{1} << 56) - 2;
  StdAtomics::store_relaxed(slot.control, make_control(high, SlotState::kExpired));
  EXPECT_EQ(publish(slot, record(1)), high + 1);
  EXPECT_EQ(control_state(StdAtomics::load_relaxed(slot.control)), SlotState::kLive);
}

TEST(Slot, ADeadlineGrowsOnlyForTheLiveRecordOfThatSequence) {
  Slot slot{};
  const std::uint64_t sequence = publish(slot, record(3));
  EXPECT_FALSE(extend_deadline(slot, sequence, 29));
  EXPECT_FALSE(extend_deadline(slot, sequence + 1, 40));
  EXPECT_FALSE(extend_deadline(slot, sequence - 1, 40));
  EXPECT_EQ(StdAtomics::load_relaxed(slot.deadline), 30U);
  EXPECT_TRUE(extend_deadline(slot, sequence, 40));
  EXPECT_EQ(StdAtomics::load_relaxed(slot.deadline), 40U);
  kill_slot(slot, SlotState::kRevoked);
  EXPECT_FALSE(extend_deadline(slot, sequence, 50));
  EXPECT_EQ(StdAtomics::load_relaxed(slot.deadline), 40U);
  begin_publish(slot);
  EXPECT_FALSE(extend_deadline(slot, sequence + 1, 50)) << "busy is not live";
}

// B6: a reader between any two stores, which is also what is left of a writer killed there.
TEST(Slot, B6_EveryPrefixOfAPublicationLeavesNothingOrTheNewRecord) {
  int points = 0;
  for (int at = 0;; ++at, ++points) {
    ScriptedSlot slot{};
    publish(slot, record(1));
    kill_slot(slot, SlotState::kExpired);
    std::optional<std::uint64_t> seen;
    ScriptedAtomics::before_operation(at, [&] { seen = version_in(slot); });
    publish(slot, record(2));
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_EQ(seen, std::nullopt) << "before operation " << at;
    EXPECT_EQ(version_in(slot), 2U);
  }
  EXPECT_EQ(points, 10);  // a load and nine stores
}

TEST(Slot, B6_EveryPrefixOfAKillLeavesTheOldRecordOrNothing) {
  for (int at = 0;; ++at) {
    ScriptedSlot slot{};
    publish(slot, record(1));
    std::optional<std::uint64_t> seen;
    ScriptedAtomics::before_operation(at, [&] { seen = version_in(slot); });
    kill_slot(slot, SlotState::kRevoked);
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_EQ(seen, 1U) << "before operation " << at;
    EXPECT_EQ(version_in(slot), std::nullopt);
  }
}

TEST(Slot, B6_EveryPrefixOfAMoveLeavesOneOfTwoEqualCopies) {
  for (int at = 0;; ++at) {
    ScriptedSlot from{};
    ScriptedSlot to{};
    publish(to, record(9, {1, 2, 3}));
    kill_slot(to, SlotState::kExpired);
    publish(from, record(1));
    bool found = false;
    ScriptedAtomics::before_operation(at, [&] {
      for (const ScriptedSlot* slot : {&from, &to}) {
        if (const auto version = version_in(*slot)) {
          found = true;
          EXPECT_EQ(*version, 1U);
        }
      }
    });
    publish(to, record(1));
    kill_slot(from, SlotState::kMoved);
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_TRUE(found) << "before operation " << at;
  }
}

TEST(Slot, B6_EveryPrefixOfAnExtensionLeavesTheOldOrTheNewDeadline) {
  for (int at = 0;; ++at) {
    ScriptedSlot slot{};
    const std::uint64_t sequence = publish(slot, record(1));
    HotRecord read;
    ScriptedAtomics::before_operation(at, [&] { EXPECT_EQ(read_slot(slot, kKey, read), SlotRead::kRead); });
    EXPECT_TRUE(extend_deadline(slot, sequence, 99));
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_TRUE(read.deadline == 10 || read.deadline == 99);
  }
}

// The other side: a whole rewrite of the slot between any two loads of a reader.
TEST(Slot, B6_AReaderUnderARewriteSeesChangedOrOneWholeRecord) {
  int changed = 0;
  for (int at = 0;; ++at) {
    ScriptedSlot slot{};
    publish(slot, record(1));
    ScriptedAtomics::before_operation(at, [&] {
      kill_slot(slot, SlotState::kEvicted);
      publish(slot, record(2));
    });
    HotRecord read;
    const SlotRead result = read_slot(slot, kKey, read);
    if (!ScriptedAtomics::was_reached()) break;
    if (result == SlotRead::kRead) {
      EXPECT_TRUE(is_whole(read));
      EXPECT_EQ(at, 0);
    } else {
      EXPECT_EQ(result, SlotRead::kChanged) << "before load " << at;
      ++changed;
    }
  }
  EXPECT_EQ(changed, 8);
}

TEST(Slot, AReaderUnderARewriteByAnotherKeyNeverTakesItForItsOwn) {
  for (int at = 0;; ++at) {
    ScriptedSlot slot{};
    publish(slot, record(1));
    ScriptedAtomics::before_operation(at, [&] {
      kill_slot(slot, SlotState::kEvicted);
      publish(slot, record(2, {11, 12, 99}));
    });
    HotRecord read;
    const SlotRead result = read_slot(slot, kKey, read);
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_NE(result, SlotRead::kRead) << "before load " << at;
  }
}

TEST(Slot, B5_AKillBetweenTheLoadsIsSeen) {
  for (int at = 1;; ++at) {
    ScriptedSlot slot{};
    publish(slot, record(1));
    ScriptedAtomics::before_operation(at, [&] { kill_slot(slot, SlotState::kRevoked); });
    HotRecord read;
    const SlotRead result = read_slot(slot, kKey, read);
    if (!ScriptedAtomics::was_reached()) break;
    EXPECT_EQ(result, SlotRead::kChanged) << "before load " << at;
  }
}

}  // namespace
