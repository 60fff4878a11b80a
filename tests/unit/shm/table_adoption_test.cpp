#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "shm/buckets.hpp"
#include "shm/checksum.hpp"
#include "shm/table_writer.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::TempTable;
using A = StdAtomics;

bool keep_all(std::uint64_t, const HotRecord&, const ColdRecord&, std::string_view) { return true; }

struct Placed : SlotObserver {
  void placed(std::uint64_t slot) override { slots.insert(slot); }
  void removed(std::uint64_t slot) override { slots.erase(slot); }
  std::set<std::uint64_t> slots;
};

// The next daemon: another mapping of the file, and a writer that knows only what lies in it.
struct Successor {
  explicit Successor(const TempTable& table, const TableWriter::Keep& keep = keep_all,
                     std::uint64_t now_ns = kNowNs)
      : writer(table.open_again(true)) {
    writer.set_observer(&placed);
    report = writer.adopt(now_ns, keep);
  }
  [[nodiscard]] bool has(std::uint64_t number) const {
    Found found;
    return writer.find(numbered_key(number), found) && is_current(writer.view(), found.record, kNowNs);
  }
  TableWriter writer;
  Placed placed;
  AdoptionReport report;
};

Place insert(TempTable& table, std::uint64_t number, std::string_view text = "text of it") {
  RecordSpec spec = numbered_spec(table.writer(), number, static_cast<std::int64_t>(number));
  spec.text = text;
  return table.writer().insert(spec, kNowNs).value();
}

TEST(TableAdoption, EverythingWholeIsKeptAndCounted) {
  TempTable table;
  for (std::uint64_t i = 0; i < 500; ++i) insert(table, i);
  for (std::uint64_t i = 500; i < 550; ++i) table.writer().insert(negative_spec(table.writer(), i), kNowNs);
  const Successor next(table);
  EXPECT_EQ(next.report.kept, table.writer().live());
  EXPECT_EQ(next.report.dropped_checksum + next.report.dropped_duplicate + next.report.dropped_policy +
                next.report.dropped_busy,
            0U);
  EXPECT_EQ(next.writer.live(), table.writer().live());
  EXPECT_EQ(next.writer.negative(), 50U);
  EXPECT_EQ(next.placed.slots.size(), next.writer.live());
  EXPECT_EQ(A::load_relaxed(next.writer.view().header().live), next.writer.live());
  Found found;
  ASSERT_TRUE(next.writer.find(numbered_key(7), found));
  EXPECT_EQ(text_at(next.writer.view(), found), "text of it");
}

TEST(TableAdoption, ABusySlotIsGivenUpAndItsSequenceKept) {
  TempTable table;
  const Place place = insert(table, 1);
  table.writer().kill(numbered_key(1), SlotState::kExpired);
  begin_publish(table.view().slot(place.slot));
  Successor next(table);
  EXPECT_EQ(next.report.dropped_busy, 1U);
  const std::uint64_t control = A::load_relaxed(table.view().slot(place.slot).control);
  EXPECT_NE(control_state(control), SlotState::kBusy);
  EXPECT_NE(control_state(control), SlotState::kLive);
  EXPECT_EQ(control_sequence(control), place.sequence + 1);
  EXPECT_EQ(begin_publish(table.view().slot(place.slot)), place.sequence + 2);
}

// B6: a stray write to any word of a record that is believed.
TEST(TableAdoption, B6_ADamagedWordOfAnyPartDropsTheRecord) {
  using Word = A::Word;
  const std::pair<const char*, std::function<Word&(const TableView&, std::uint64_t)>> words[] = {
      {"key 0", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).key[0]; }},
      {"key 1", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).key[1]; }},
      {"key 2", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).key[2]; }},
      {"facts", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).facts; }},
      {"principals", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).principals; }},
      {"grants", [](const TableView& v, std::uint64_t s) -> Word& { return v.slot(s).grants; }},
      {"place of text", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).text; }},
      {"expires", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).expires_wall_ns; }},
      {"issued", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).issued_wall_ns; }},
      {"profile", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).profile_id; }},
      {"token 0", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).token[0]; }},
      {"token 2", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).token[2]; }},
      {"checksum", [](const TableView& v, std::uint64_t s) -> Word& { return v.cold(s).checksum; }},
      {"text",
       [](const TableView& v, std::uint64_t s) -> Word& {
         return v.text_word(load_cold(v.cold(s)).text_unit * 8);
       }},
  };
  for (const auto& [name, word_of] : words) {
    SCOPED_TRACE(name);
    TempTable table;
    const Place place = insert(table, 1);
    insert(table, 2);
    Word& word = word_of(table.view(), place.slot);
    A::store_relaxed(word, A::load_relaxed(word) ^ (std::uint64_t{1} << 7));
    const Successor next(table);
    EXPECT_EQ(next.report.dropped_checksum, 1U);
    EXPECT_EQ(next.report.kept, 1U);
    EXPECT_FALSE(next.has(1));
    EXPECT_TRUE(next.has(2));
    EXPECT_EQ(control_sequence(A::load_relaxed(table.view().slot(place.slot).control)), place.sequence);
  }
}

// Recomputes the checksum, so that what is refused is refused for what it says.
void seal(const TableView& view, std::uint64_t slot, const TableWriter& writer) {
  alignas(8) std::uint64_t buffer[kTextMax / 8];
  ColdRecord cold = load_cold(view.cold(slot));
  const HotRecord hot = writer.peek(slot);
  std::string_view text;
  if (text_in_bounds(view.geometry, cold)) {
    copy_text(view, cold, buffer);
    text = {reinterpret_cast<const char*>(buffer), cold.text_bytes};
  }
  A::store_relaxed(view.cold(slot).checksum, record_checksum(hot, cold, text, view.secret));
}

TEST(TableAdoption, B7_AHostileTextPlaceDropsTheRecordAndReadsNothingOutside) {
  TempTable probe;
  const std::uint64_t units = probe.view().geometry.text_bytes / kTextUnitBytes;
  const std::uint64_t places[] = {
      pack_text(units, 1),        pack_text(units - 1, 65), pack_text((std::uint64_t{1} << 40) - 1, 1),
      pack_text(0, kTextMax + 1), pack_text(0, 0xff'ffff),  ~std::uint64_t{0},
      pack_text(units, 0),        pack_text(1, 100)};
  for (const std::uint64_t place : places) {
    TempTable table;
    const Place one = insert(table, 1);
    A::store_relaxed(table.view().cold(one.slot).text, place);
    seal(table.view(), one.slot, table.writer());
    const Successor next(table);
    EXPECT_EQ(next.report.kept, 0U) << std::hex << place;
    EXPECT_EQ(next.report.dropped_checksum, 1U) << std::hex << place;
  }
}

TEST(TableAdoption, TwoRecordsThatShareATextAreNotBothKept) {
  TempTable table;
  const Place one = insert(table, 1);
  const Place two = insert(table, 2);
  A::store_relaxed(table.view().cold(two.slot).text, A::load_relaxed(table.view().cold(one.slot).text));
  seal(table.view(), two.slot, table.writer());
  const Successor next(table);
  EXPECT_EQ(next.report.kept, 1U);
}

void copy_record(const TableView& view, std::uint64_t from, std::uint64_t to, const TableWriter& writer) {
  const std::uint64_t sequence = begin_publish(view.slot(to));
  const Cold& source = view.cold(from);
  Cold& target = view.cold(to);
  A::store_release(target.text, A::load_relaxed(source.text));
  A::store_release(target.expires_wall_ns, A::load_relaxed(source.expires_wall_ns));
  A::store_release(target.issued_wall_ns, A::load_relaxed(source.issued_wall_ns));
  A::store_release(target.profile_id, A::load_relaxed(source.profile_id));
  for (std::size_t i = 0; i < 3; ++i) A::store_release(target.token[i], A::load_relaxed(source.token[i]));
  A::store_release(target.checksum, A::load_relaxed(source.checksum));
  end_publish(view.slot(to), writer.peek(from), sequence);
}

TEST(TableAdoption, AMoveThatWasCutOffLeavesOneCopyWithItsText) {
  TempTable table;
  const Place place = insert(table, 1);
  const BucketPair pair =
      buckets_of(numbered_key(1), table.view().secret.data(), table.view().geometry.buckets);
  const std::uint64_t bucket = place.slot / kSlotsPerBucket == pair.first ? pair.second : pair.first;
  copy_record(table.view(), place.slot, bucket * kSlotsPerBucket, table.writer());
  ASSERT_EQ(live_copies(table.view(), numbered_key(1)), 2);
  const Successor next(table);
  EXPECT_EQ(next.report.kept, 1U);
  EXPECT_EQ(next.report.dropped_duplicate, 1U);
  EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 1);
  Found found;
  ASSERT_TRUE(next.writer.find(numbered_key(1), found));
  EXPECT_EQ(text_at(table.view(), found), "text of it");
}

TEST(TableAdoption, ARecordOutsideItsBucketsIsDropped) {
  TempTable table;
  const Place place = insert(table, 1);
  const BucketPair pair =
      buckets_of(numbered_key(1), table.view().secret.data(), table.view().geometry.buckets);
  std::uint64_t bucket = 0;
  while (bucket == pair.first || bucket == pair.second) ++bucket;
  copy_record(table.view(), place.slot, bucket * kSlotsPerBucket, table.writer());
  kill_slot(table.view().slot(place.slot), SlotState::kMoved);
  const Successor next(table);
  EXPECT_EQ(next.report.kept, 0U);
  EXPECT_EQ(next.report.dropped_duplicate, 1U);
  EXPECT_EQ(live_copies(table.view(), numbered_key(1)), 0);
}

TEST(TableAdoption, ATextThatOnlyTheDeadDaemonHeldEndsItsRecord) {
  TempTable table;
  RecordSpec spec = numbered_spec(table.writer(), 1);
  spec.text_too_large = true;
  table.writer().insert(spec, kNowNs);
  const Successor next(table);
  EXPECT_EQ(next.report.dropped_policy, 1U);
  EXPECT_FALSE(next.has(1));
}

TEST(TableAdoption, B25_KeepDecidesOnWhatIsWhole) {
  TempTable table;
  for (std::uint64_t i = 0; i < 10; ++i) insert(table, i);
  const Successor next(
      table, [](std::uint64_t, const HotRecord& hot, const ColdRecord& cold, std::string_view text) {
        EXPECT_EQ(text, "text of it");
        EXPECT_EQ(hot.key, cold.token);
        return cold.expires_wall_ns % 2 == 0;
      });
  EXPECT_EQ(next.report.kept, 5U);
  EXPECT_EQ(next.report.dropped_policy, 5U);
  for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(next.has(i), i % 2 == 0);
}

TEST(TableAdoption, B25_SpentAndVoidRecordsAreDropped) {
  TempTable table;
  insert(table, 1);
  table.writer().raise_all();
  insert(table, 2);
  EXPECT_EQ(Successor(table).report.dropped_policy, 1U);
  EXPECT_EQ(Successor(table, keep_all, kNowNs + kLifeNs).report.kept, 0U);
}

TEST(TableAdoption, IssuersAndKeysKeepTheirIndicesAndEpochs) {
  TempTable table;
  RecordSpec spec = numbered_spec(table.writer(), 1);
  spec.issuer = principal(5);
  spec.signing_key = principal(6);
  table.writer().insert(spec, kNowNs);
  Successor next(table);
  ASSERT_TRUE(next.has(1));
  next.writer.raise_key(principal(77));
  next.writer.raise_issuer(principal(77));
  EXPECT_TRUE(next.has(1)) << "a new name takes a free index";
  next.writer.raise_key(principal(6));
  EXPECT_FALSE(next.has(1));
}

TEST(TableAdoption, WorkGoesOnAndNoTextIsWrittenOver) {
  TempTable table;
  for (std::uint64_t i = 0; i < 300; ++i) insert(table, i, "text " + std::to_string(i));
  for (std::uint64_t i = 0; i < 300; i += 3) table.writer().kill(numbered_key(i), SlotState::kRevoked);
  Successor next(table);
  for (std::uint64_t i = 1000; i < 1300; ++i) {
    RecordSpec spec = numbered_spec(next.writer, i);
    const std::string text = "text " + std::to_string(i);
    spec.text = text;
    next.writer.insert(spec, kNowNs);
  }
  for (std::uint64_t i = 0; i < 1300; ++i) {
    Found found;
    if (!next.writer.find(numbered_key(i), found)) continue;
    ASSERT_EQ(text_at(next.writer.view(), found), "text " + std::to_string(i));
  }
}

TEST(TableAdoption, NoSequenceGoesBack) {
  TempTable table;
  for (std::uint64_t i = 0; i < 900; ++i) insert(table, i % 300);
  std::vector<std::uint64_t> before;
  for (std::uint64_t slot = 0; slot < table.view().geometry.slots; ++slot) {
    if (slot % 7 == 0 && control_state(table.writer().peek(slot).control) != SlotState::kLive)
      begin_publish(table.view().slot(slot));
    if (slot % 11 == 0) A::store_relaxed(table.view().cold(slot).checksum, 1);
    before.push_back(table.writer().peek(slot).sequence());
  }
  Successor next(table);
  EXPECT_GT(next.report.dropped_busy, 0U);
  for (std::uint64_t slot = 0; slot < before.size(); ++slot)
    EXPECT_EQ(next.writer.peek(slot).sequence(), before[slot]);
}

// A stray write to the counter that all epochs come from: raising it would void nothing, or wrap.
TEST(TableAdoption, ACounterBehindItsEpochsOrAtItsEndKeepsNoRecord) {
  for (const std::uint64_t counter : {std::uint64_t{0}, kEpochMax, ~std::uint64_t{0}}) {
    TempTable table;
    table.writer().raise_all();
    ASSERT_TRUE(table.writer().insert(numbered_spec(table.writer(), 1), kNowNs));
    A::store_relaxed(table.view().header().epoch_counter, counter);
    Successor next(table);
    EXPECT_EQ(next.report.kept, 0u) << counter;
    EXPECT_EQ(next.report.dropped_checksum, 1u) << counter;
    ASSERT_TRUE(next.writer.insert(numbered_spec(next.writer, 2), kNowNs));
    EXPECT_TRUE(next.has(2)) << counter;
    next.writer.raise_all();
    EXPECT_FALSE(next.has(2)) << counter;
  }
}

TEST(TableAdoption, ARecordOfAnEpochThatWasNeverGivenOutIsDropped) {
  TempTable table;
  RecordSpec spec = numbered_spec(table.writer(), 1);
  spec.epoch = table.writer().epoch() + 1;
  ASSERT_TRUE(table.writer().insert(spec, kNowNs));
  const Successor next(table);
  EXPECT_EQ(next.report.dropped_checksum, 1u);
  EXPECT_FALSE(next.has(1));
}

}  // namespace
