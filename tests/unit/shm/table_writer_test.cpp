#include "shm/table_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "shm/buckets.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::small_table_spec;
using authcache_test::TempTable;
using A = StdAtomics;

bool is_hit(const TableWriter& writer, std::uint64_t number, std::uint64_t now_ns = kNowNs) {
  Found found;
  return writer.find(numbered_key(number), found) && is_current(writer.view(), found.record, now_ns);
}

std::uint64_t counter(const TempTable& table, A::Word Header::*member) {
  return A::load_relaxed(table.view().header().*member);
}

// Follows the calls and refuses ones that cannot be.
class Follower : public SlotObserver {
 public:
  void placed(std::uint64_t slot) override {
    EXPECT_TRUE(live_.insert(slot).second) << slot << " placed twice";
  }
  void removed(std::uint64_t slot) override {
    EXPECT_EQ(live_.erase(slot), 1U) << slot << " removed, but not there";
  }
  void expect_equal(const TableView& view) const {
    std::set<std::uint64_t> live;
    for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
      if (control_state(A::load_relaxed(view.slot(slot).control)) == SlotState::kLive) live.insert(slot);
    }
    EXPECT_EQ(live_, live);
  }

 private:
  std::set<std::uint64_t> live_;
};

TEST(TableWriter, AnInsertedRecordIsFoundWithItsText) {
  TempTable table;
  RecordSpec spec = numbered_spec(table.writer(), 1, 42);
  spec.text = "some text";
  const auto place = table.writer().insert(spec, kNowNs);
  ASSERT_TRUE(place);
  Found found;
  ASSERT_TRUE(table.writer().find(numbered_key(1), found));
  EXPECT_EQ(found.slot, place->slot);
  EXPECT_EQ(found.record.sequence(), place->sequence);
  EXPECT_EQ(place->generation, table.view().generation);
  EXPECT_EQ(text_at(table.view(), found), "some text");
  EXPECT_EQ(load_cold(table.view().cold(found.slot)).expires_wall_ns, 42);
}

TEST(TableWriter, TheHintNamesTheTextsUnit) {
  TempTable table;
  for (const std::uint64_t number : {1, 2}) {
    RecordSpec spec = numbered_spec(table.writer(), number);
    spec.text = "some text";
    const std::uint64_t slot = table.writer().insert(spec, kNowNs).value().slot;
    const ColdRecord cold = load_cold(table.view().cold(slot));
    EXPECT_EQ(unpack_principals(table.writer().peek(slot).principals).text_hint, cold.text_unit + 1);
  }
  const std::uint64_t slot = table.writer().insert(numbered_spec(table.writer(), 3), kNowNs).value().slot;
  EXPECT_EQ(unpack_principals(table.writer().peek(slot).principals).text_hint, 0U);
}

TEST(TableWriter, B10_TheDeadlineIsStoredOneTickEarly) {
  TempTable table;
  table.writer().insert(numbered_spec(table.writer(), 1), kNowNs);
  const std::uint64_t last = kNowNs + kLifeNs - table.view().tick_ns;
  EXPECT_TRUE(is_hit(table.writer(), 1, last - 1));
  EXPECT_FALSE(is_hit(table.writer(), 1, last));
  RecordSpec past = numbered_spec(table.writer(), 2);
  past.deadline = 1;
  table.writer().insert(past, kNowNs);
  EXPECT_FALSE(is_hit(table.writer(), 2, 0));
}

TEST(TableWriter, ANewRecordReplacesTheOldOneInEverySlot) {
  TempTable table;
  for (std::int64_t version = 0; version < 20; ++version) {
    table.writer().insert(numbered_spec(table.writer(), 1, version), kNowNs);
    EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 1);
    Found found;
    ASSERT_TRUE(table.writer().find(numbered_key(1), found));
    EXPECT_EQ(load_cold(table.view().cold(found.slot)).expires_wall_ns, version);
  }
  EXPECT_EQ(table.writer().live(), 1U);
  EXPECT_EQ(counter(table, &Header::replaced), 19U);
}

// Writes a live copy by hand, as a writer that died in the middle of a move leaves it.
std::uint64_t plant_copy(const TableView& view, std::uint64_t from) {
  const Slot& source = view.slot(from);
  const Key key = {A::load_relaxed(source.key[0]), A::load_relaxed(source.key[1]),
                   A::load_relaxed(source.key[2])};
  const BucketPair pair = buckets_of(key, view.secret.data(), view.geometry.buckets);
  const std::uint64_t bucket = from / kSlotsPerBucket == pair.first ? pair.second : pair.first;
  const std::uint64_t to = bucket * kSlotsPerBucket;
  Slot& target = view.slot(to);
  const std::uint64_t sequence = begin_publish(target);
  const Cold& cold = view.cold(from);
  Cold& copy = view.cold(to);
  A::store_release(copy.text, A::load_relaxed(cold.text));
  A::store_release(copy.profile_id, A::load_relaxed(cold.profile_id));
  A::store_release(copy.expires_wall_ns, A::load_relaxed(cold.expires_wall_ns));
  A::store_release(copy.issued_wall_ns, A::load_relaxed(cold.issued_wall_ns));
  for (std::size_t i = 0; i < 3; ++i) A::store_release(copy.token[i], A::load_relaxed(cold.token[i]));
  A::store_release(copy.checksum, A::load_relaxed(cold.checksum));
  const HotRecord hot{.control = 0,
                      .deadline = A::load_relaxed(source.deadline),
                      .key = key,
                      .facts = A::load_relaxed(source.facts),
                      .principals = A::load_relaxed(source.principals),
                      .grants = A::load_relaxed(source.grants)};
  end_publish(target, hot, sequence);
  return to;
}

TEST(TableWriter, B5_AKillEndsEveryCopy) {
  TempTable table;
  const auto place = table.writer().insert(numbered_spec(table.writer(), 1), kNowNs);
  plant_copy(table.view(), place->slot);
  ASSERT_EQ(live_copies(table.view(), numbered_key(1)), 2);
  EXPECT_TRUE(table.writer().kill(numbered_key(1), SlotState::kRevoked));
  EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 0);
  EXPECT_FALSE(table.writer().kill(numbered_key(1), SlotState::kRevoked));
}

TEST(TableWriter, B5_AnInsertEndsEveryOtherCopy) {
  TempTable table;
  table.writer().insert(numbered_spec(table.writer(), 2), kNowNs);
  const auto place = table.writer().insert(numbered_spec(table.writer(), 1, 1), kNowNs);
  plant_copy(table.view(), place->slot);
  table.writer().insert(numbered_spec(table.writer(), 1, 2), kNowNs);
  EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 1);
}

class TableWriterOracle : public ::testing::TestWithParam<std::uint64_t> {};

// Random work at up to the full capacity beside a map that forgets nothing. The table may forget (eviction);
// what it answers must be the newest thing said about the key, and its counts and its observer must agree
// with its slots.
TEST_P(TableWriterOracle, WhatIsFoundIsTheNewestThatWasSaid) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Numbers numbers(GetParam());
  TempTable table;
  TableWriter& writer = table.writer();
  Follower follower;
  writer.set_observer(&follower);
  struct Said {
    std::int64_t version;
    std::uint64_t deadline;
    std::uint64_t epoch;
    bool negative;
    std::string text;
  };
  std::unordered_map<std::uint64_t, Said> said;
  std::uint64_t now_ns = kNowNs;
  std::uint64_t void_below = 0;
  constexpr std::uint64_t kKeys = 1'100;
  for (std::int64_t version = 1; version <= 30'000; ++version) {
    const std::uint64_t number = numbers.below(kKeys);
    const std::uint64_t what = numbers.below(1000);
    now_ns += numbers.below(20) * 1'000'000;
    if (what < 850) {
      const bool negative = numbers.below(10) == 0;
      RecordSpec spec =
          negative ? negative_spec(writer, number, version) : numbered_spec(writer, number, version);
      spec.deadline = now_ns + 1 + numbers.below(4 * kLifeNs);
      const std::string text(numbers.below(numbers.below(8) == 0 ? 3000 : 300),
                             static_cast<char>('a' + version % 26));
      spec.text = text;
      const auto place = writer.insert(spec, now_ns);
      ASSERT_TRUE(place || negative) << "a positive record was refused";
      said.erase(number);
      if (place) said[number] = {version, spec.deadline - table.view().tick_ns, spec.epoch, negative, text};
    } else if (what < 950) {
      writer.kill(numbered_key(number), SlotState::kRevoked);
      ASSERT_EQ(live_copies(table.view(), numbered_key(number)), 0);
      said.erase(number);
    } else if (what < 998) {
      writer.sweep(now_ns, 100);
    } else if (what == 998) {
      writer.raise_all();
      void_below = writer.epoch();
    } else {
      writer.kill_negatives();
      ASSERT_EQ(writer.negative(), 0U);
      std::erase_if(said, [](const auto& each) { return each.second.negative; });
    }
    ASSERT_LE(writer.live(), table.view().geometry.capacity);
    ASSERT_LE(writer.negative(), small_table_spec().negative_max);
    const std::uint64_t asked = numbers.below(kKeys);
    Found found;
    if (writer.find(numbered_key(asked), found) && is_current(table.view(), found.record, now_ns)) {
      const auto newest = said.find(asked);
      ASSERT_TRUE(newest != said.end()) << "found a record that was ended";
      ASSERT_EQ(load_cold(table.view().cold(found.slot)).expires_wall_ns, newest->second.version);
      ASSERT_LT(now_ns, newest->second.deadline);
      ASSERT_GE(newest->second.epoch, void_below);
      if ((unpack_facts(found.record.facts).flags & kTextOnSocket) == 0) {
        ASSERT_EQ(text_at(table.view(), found), newest->second.text);
      }
    }
    if (version % 5'000 == 0) {
      follower.expect_equal(table.view());
      std::set<Key> keys;
      std::uint64_t negatives = 0;
      std::uint64_t live = 0;
      for (std::uint64_t slot = 0; slot < table.view().geometry.slots; ++slot) {
        const HotRecord hot = writer.peek(slot);
        if (control_state(hot.control) != SlotState::kLive) continue;
        ASSERT_TRUE(keys.insert(hot.key).second) << "two copies";
        ++live;
        negatives += unpack_facts(hot.facts).verdict != Verdict::kValid ? 1 : 0;
      }
      ASSERT_EQ(live, writer.live());
      ASSERT_EQ(negatives, writer.negative());
      ASSERT_EQ(counter(table, &Header::live), live);
      ASSERT_EQ(counter(table, &Header::negative), negatives);
    }
  }
  EXPECT_GT(counter(table, &Header::moved), 0U) << "the run never displaced a record";
  EXPECT_GT(counter(table, &Header::killed_expired), 0U);
  EXPECT_EQ(counter(table, &Header::inserted), writer.live() + counter(table, &Header::killed_revoked) +
                                                   counter(table, &Header::killed_expired) +
                                                   counter(table, &Header::killed_evicted));
  for (std::uint64_t number = 0; number < kKeys; ++number)
    writer.kill(numbered_key(number), SlotState::kEvicted);
  EXPECT_EQ(writer.live(), 0U);
  writer.insert(numbered_spec(writer, 1), now_ns);
  EXPECT_EQ(counter(table, &Header::text_used_bytes), 0U) << "text room leaked";
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableWriterOracle, ::testing::Values(1, 2, 3));

// Without expiry, every one of `capacity` different records finds a place, and all are still there.
TEST(TableWriter, AFullTableHoldsItsWholeCapacity) {
  TempTable table;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i)
    ASSERT_TRUE(table.writer().insert(numbered_spec(table.writer(), i), kNowNs));
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i) found += is_hit(table.writer(), i) ? 1 : 0;
  EXPECT_GE(found, kCapacityMin * 99 / 100);
  EXPECT_EQ(found, table.writer().live());
}

TEST(TableWriter, AFullTableEvictsAndNeverRefusesAPositive) {
  TempTable table;
  for (std::uint64_t i = 0; i < 5 * kCapacityMin; ++i) {
    ASSERT_TRUE(table.writer().insert(numbered_spec(table.writer(), i), kNowNs)) << i;
    ASSERT_TRUE(is_hit(table.writer(), i)) << i;
    ASSERT_LE(table.writer().live(), kCapacityMin);
  }
  EXPECT_GE(table.writer().live(), kCapacityMin * 95 / 100) << "never clears";
}

TEST(TableWriter, WhatIsSpentInItsBucketsMakesRoomWithoutAnEviction) {
  TempTable table;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i)
    table.writer().insert(numbered_spec(table.writer(), i), kNowNs);
  const std::uint64_t evicted = counter(table, &Header::killed_evicted);
  const std::uint64_t later = kNowNs + kLifeNs;
  table.writer().sweep(later, table.view().geometry.slots / 2);
  for (std::uint64_t i = 0; i < kCapacityMin / 2; ++i) {
    RecordSpec spec = numbered_spec(table.writer(), kCapacityMin + i);
    spec.deadline = later + kLifeNs;
    ASSERT_TRUE(table.writer().insert(spec, later));
  }
  EXPECT_EQ(counter(table, &Header::killed_evicted), evicted);
}

TEST(TableWriter, B13_NegativesStayWithinTheirQuotaAndEvictNoPositive) {
  TempTable table;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i)
    table.writer().insert(numbered_spec(table.writer(), i), kNowNs);
  std::set<std::uint64_t> before;
  for (std::uint64_t i = 0; i < kCapacityMin; ++i) {
    if (is_hit(table.writer(), i)) before.insert(i);
  }
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    table.writer().insert(negative_spec(table.writer(), 100'000 + i), kNowNs);
    ASSERT_LE(table.writer().negative(), small_table_spec().negative_max);
  }
  for (const std::uint64_t i : before) ASSERT_TRUE(is_hit(table.writer(), i)) << i;
}

TEST(TableWriter, B13_TheOldestNegativesGiveWayToNewOnes) {
  TempTable table;
  const std::uint64_t max = small_table_spec().negative_max;
  for (std::uint64_t i = 0; i < max + 10; ++i)
    ASSERT_TRUE(table.writer().insert(negative_spec(table.writer(), i), kNowNs));
  EXPECT_EQ(table.writer().negative(), max);
  for (std::uint64_t i = 0; i < max + 10; ++i) EXPECT_EQ(is_hit(table.writer(), i), i >= 10) << i;
}

// The queue of negatives keeps entries of records replaced since; they cost no live one its place.
TEST(TableWriter, ANegativeSaidAgainAndAgainDisplacesNoOther) {
  TempTable table;
  for (std::uint64_t i = 0; i < 5; ++i) table.writer().insert(negative_spec(table.writer(), i), kNowNs);
  for (int i = 0; i < 5'000; ++i) table.writer().insert(negative_spec(table.writer(), 99), kNowNs);
  EXPECT_EQ(table.writer().negative(), 6U);
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_TRUE(is_hit(table.writer(), i)) << i;
}

TEST(TableWriter, ANegativeMaximumOfZeroStoresNoneButEndsWhatStood) {
  TableSpec spec = small_table_spec();
  spec.negative_max = 0;
  TempTable table(spec);
  table.writer().insert(numbered_spec(table.writer(), 1), kNowNs);
  EXPECT_FALSE(table.writer().insert(negative_spec(table.writer(), 1), kNowNs));
  EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 0);
  EXPECT_EQ(counter(table, &Header::negative_refused), 1U);
}

TEST(TableWriter, B12_KillingNegativesLeavesPositives) {
  TempTable table;
  for (std::uint64_t i = 0; i < 50; ++i) {
    table.writer().insert(numbered_spec(table.writer(), i), kNowNs);
    table.writer().insert(negative_spec(table.writer(), 1000 + i), kNowNs);
  }
  EXPECT_EQ(table.writer().kill_negatives(), 50U);
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_TRUE(is_hit(table.writer(), i));
    EXPECT_FALSE(is_hit(table.writer(), 1000 + i));
  }
}

TEST(TableWriter, ATextTooLargeIsFlaggedAndTheRecordStands) {
  TempTable table;
  RecordSpec spec = numbered_spec(table.writer(), 1);
  const std::string text(kTextMax + 1, 'x');
  spec.text = text;
  ASSERT_TRUE(table.writer().insert(spec, kNowNs));
  Found found;
  ASSERT_TRUE(table.writer().find(numbered_key(1), found));
  EXPECT_EQ(unpack_facts(found.record.facts).flags, kTextOnSocket);
  EXPECT_EQ(text_at(table.view(), found), "");
  EXPECT_EQ(counter(table, &Header::text_refused), 1U);
}

TEST(TableWriter, AFullTextAreaIsFlaggedAndRoomComesBack) {
  TempTable table;
  const std::string text(kTextMax, 'x');
  std::uint64_t flagged = 0;
  for (std::uint64_t i = 0; i < 30; ++i) {
    RecordSpec spec = numbered_spec(table.writer(), i);
    spec.text = text;
    const HotRecord hot = table.writer().peek(table.writer().insert(spec, kNowNs).value().slot);
    flagged += (unpack_facts(hot.facts).flags & kTextOnSocket) != 0 ? 1 : 0;
  }
  EXPECT_EQ(flagged, 30 - table.view().geometry.text_bytes / kTextMax);
  table.writer().kill(numbered_key(0), SlotState::kRevoked);
  RecordSpec spec = numbered_spec(table.writer(), 99);
  spec.text = text;
  table.writer().insert(spec, kNowNs);
  Found found;
  ASSERT_TRUE(table.writer().find(numbered_key(99), found));
  EXPECT_EQ(text_at(table.view(), found), text);
}

TEST(TableWriter, RaisingAllVoidsWhatBeganBeforeAndNothingAfter) {
  TempTable table;
  table.writer().insert(numbered_spec(table.writer(), 1), kNowNs);
  const RecordSpec in_flight = numbered_spec(table.writer(), 2);
  table.writer().raise_all();
  table.writer().insert(in_flight, kNowNs);
  table.writer().insert(numbered_spec(table.writer(), 3), kNowNs);
  EXPECT_FALSE(is_hit(table.writer(), 1));
  EXPECT_FALSE(is_hit(table.writer(), 2)) << "its flight began before the raise";
  EXPECT_TRUE(is_hit(table.writer(), 3));
}

TEST(TableWriter, RaisingAnIssuerOrAKeyVoidsOnlyItsRecords) {
  TempTable table;
  const auto insert = [&](std::uint64_t number, std::uint64_t issuer, std::uint64_t key) {
    RecordSpec spec = numbered_spec(table.writer(), number);
    if (issuer != 0) spec.issuer = principal(issuer);
    if (key != 0) spec.signing_key = principal(key);
    table.writer().insert(spec, kNowNs);
  };
  insert(1, 10, 20);
  insert(2, 11, 20);
  insert(3, 11, 21);
  insert(4, 0, 0);
  table.writer().raise_issuer(principal(10));
  EXPECT_FALSE(is_hit(table.writer(), 1));
  EXPECT_TRUE(is_hit(table.writer(), 2));
  table.writer().raise_key(principal(20));
  EXPECT_FALSE(is_hit(table.writer(), 2));
  EXPECT_TRUE(is_hit(table.writer(), 3));
  table.writer().raise_key(principal(99));
  table.writer().raise_issuer(principal(99));
  EXPECT_TRUE(is_hit(table.writer(), 3));
  EXPECT_TRUE(is_hit(table.writer(), 4)) << "a record of no issuer and no key is covered by none";
}

// More issuers than indices: whoever shares an index with a later one must not live under its epoch.
TEST(TableWriter, B5_AReusedIndexVoidsWhatItNamedBefore) {
  TempTable table;
  const auto insert = [&](std::uint64_t number, bool by_key) {
    RecordSpec spec = numbered_spec(table.writer(), number);
    (by_key ? spec.signing_key : spec.issuer) = principal(number + 1);
    table.writer().insert(spec, kNowNs);
  };
  for (const bool by_key : {false, true}) {
    const std::uint64_t max = by_key ? kKeysMax : kIssuersMax;
    insert(0, by_key);
    for (std::uint64_t number = 1; number < max - 1; ++number) insert(number, by_key);
    insert(0, by_key);  // evicted meanwhile in the larger case
    ASSERT_TRUE(is_hit(table.writer(), 0));
    const RecordSpec in_flight = [&] {
      RecordSpec spec = numbered_spec(table.writer(), 777'777);
      (by_key ? spec.signing_key : spec.issuer) = principal(1);
      return spec;
    }();
    insert(max, by_key);  // takes index 1, which named principal 1
    EXPECT_FALSE(is_hit(table.writer(), 0));
    table.writer().insert(in_flight, kNowNs);
    EXPECT_FALSE(is_hit(table.writer(), 777'777)) << "its flight began before its index was taken away";
    insert(max, by_key);
    EXPECT_TRUE(is_hit(table.writer(), max)) << "the next admission stands";
    table.writer().raise_all();
  }
}

TEST(TableWriter, ASweepKillsWhatIsSpentSliceBySlice) {
  TempTable table;
  for (std::uint64_t i = 0; i < 400; ++i) {
    RecordSpec spec = numbered_spec(table.writer(), i);
    if (i % 2 == 0) spec.deadline = kNowNs + table.view().tick_ns + 5;
    table.writer().insert(spec, kNowNs);
  }
  std::uint64_t kills = 0;
  for (std::uint64_t done = 0; done < table.view().geometry.slots; done += 100)
    kills += table.writer().sweep(kNowNs + 10, 100);
  EXPECT_EQ(kills, 200U);
  EXPECT_EQ(table.writer().live(), 200U);
  EXPECT_EQ(counter(table, &Header::killed_expired), 200U);
}

TEST(TableWriter, RecordsUsedLatelySurviveAFlood) {
  TempTable table;
  std::vector<std::uint8_t> recency(table.view().geometry.slots);
  table.writer().set_recency(recency.data());
  for (std::uint64_t i = 0; i < kCapacityMin; ++i)
    table.writer().insert(numbered_spec(table.writer(), i), kNowNs);
  constexpr std::uint64_t kHot = 100;
  const auto touch = [&] {
    for (std::uint64_t i = 0; i < kHot; ++i) {
      Found found;
      if (table.writer().find(numbered_key(i), found)) recency[found.slot] = 1;
    }
  };
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    if (i % 50 == 0) touch();
    table.writer().insert(numbered_spec(table.writer(), 10'000 + i), kNowNs);
  }
  std::uint64_t kept = 0;
  for (std::uint64_t i = 0; i < kHot; ++i) kept += is_hit(table.writer(), i) ? 1 : 0;
  EXPECT_GE(kept, kHot * 9 / 10);
}

TEST(TableWriter, HintsThatSaySoOfEveryRecordStopNoInsert) {
  TempTable table;
  std::vector<std::uint8_t> recency(table.view().geometry.slots);
  table.writer().set_recency(recency.data());
  for (std::uint64_t i = 0; i < 3 * kCapacityMin; ++i) {
    std::ranges::fill(recency, std::uint8_t{0xff});
    ASSERT_TRUE(table.writer().insert(numbered_spec(table.writer(), i), kNowNs));
    const auto passed_over = std::ranges::count(recency, std::uint8_t{0});
    ASSERT_LE(passed_over, 64 + 1) << "at most 64 steps of the hand, and the new record";
  }
}

TEST(TableWriter, ANewRecordDoesNotInheritTheHintOfTheOneBefore) {
  TempTable table;
  std::vector<std::uint8_t> recency(table.view().geometry.slots, 1);
  table.writer().set_recency(recency.data());
  EXPECT_EQ(recency[table.writer().insert(numbered_spec(table.writer(), 1), kNowNs).value().slot], 0);
}

TEST(TableWriter, ASuccessorGoesOnWhereTheOldOneStands) {
  TempTable old;
  TableSpec spec = small_table_spec();
  spec.generation = 2;
  TempTable next(spec);
  old.writer().set_profiles({{.name = "main", .id = 5, .audience = {"api"}}});
  old.writer().set_durable_change(17);
  old.writer().raise_issuer(principal(1));
  old.writer().raise_all();
  RecordSpec in_flight = numbered_spec(old.writer(), 1);
  in_flight.issuer = principal(1);
  old.writer().raise_issuer(principal(1));
  next.writer().inherit(old.writer());
  EXPECT_EQ(next.writer().epoch(), old.writer().epoch());
  EXPECT_EQ(counter(next, &Header::durable_change), 17U);
  EXPECT_EQ(read_profiles(next.view())[0].name, "main");
  next.writer().insert(in_flight, kNowNs);
  EXPECT_FALSE(is_hit(next.writer(), 1)) << "its issuer was raised in the old table";
  in_flight.epoch = next.writer().epoch();
  next.writer().insert(in_flight, kNowNs);
  EXPECT_TRUE(is_hit(next.writer(), 1));
}

TEST(TableWriter, APlaceNeverComesToMeanAnotherRecord) {
  TempTable table;
  std::set<std::pair<std::uint64_t, std::uint64_t>> places;
  Numbers numbers(9);
  for (int i = 0; i < 20'000; ++i) {
    const auto place = table.writer().insert(numbered_spec(table.writer(), numbers.below(1500)), kNowNs);
    ASSERT_TRUE(places.emplace(place->slot, place->sequence).second);
  }
}

}  // namespace
