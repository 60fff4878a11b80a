#include "shm/layout.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "shm/buckets.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using authcache::shm_test::Numbers;

constexpr std::uint64_t kDocumentedTextBytes = 256;

struct Extent {
  std::uint64_t offset;
  std::uint64_t bytes;
  bool operator==(const Extent&) const = default;
};
using Extents = std::map<std::string, Extent>;

#define AUTHCACHE_FIELD(map, prefix, Type, field) \
  map[prefix "." #field] = {offsetof(Type, field), sizeof(Type::field)}

void add_header(Extents& code) {
#define AUTHCACHE_HEADER(field) AUTHCACHE_FIELD(code, "header", Header, field)
  AUTHCACHE_HEADER(magic);
  AUTHCACHE_HEADER(version);
  AUTHCACHE_HEADER(file_bytes);
  AUTHCACHE_HEADER(generation);
  AUTHCACHE_HEADER(boot_id);
  AUTHCACHE_HEADER(capacity);
  AUTHCACHE_HEADER(text_bytes_per_record);
  AUTHCACHE_HEADER(heartbeat_timeout_ns);
  AUTHCACHE_HEADER(tick_ns);
  AUTHCACHE_HEADER(database_uuid);
  AUTHCACHE_HEADER(negative_max);
  AUTHCACHE_HEADER(reserved_fixed);
  AUTHCACHE_HEADER(secret);
  AUTHCACHE_HEADER(reserved_secret);
  AUTHCACHE_HEADER(state);
  AUTHCACHE_HEADER(heartbeat_ns);
  AUTHCACHE_HEADER(all_epoch);
  AUTHCACHE_HEADER(config);
  AUTHCACHE_HEADER(dictionary);
  AUTHCACHE_HEADER(reserved_hot);
  AUTHCACHE_HEADER(epoch_counter);
  AUTHCACHE_HEADER(durable_change);
  AUTHCACHE_HEADER(wall_offset_ns);
  AUTHCACHE_HEADER(boot_offset_ns);
  AUTHCACHE_HEADER(live);
  AUTHCACHE_HEADER(negative);
  AUTHCACHE_HEADER(inserted);
  AUTHCACHE_HEADER(replaced);
  AUTHCACHE_HEADER(extended);
  AUTHCACHE_HEADER(killed_revoked);
  AUTHCACHE_HEADER(killed_expired);
  AUTHCACHE_HEADER(killed_evicted);
  AUTHCACHE_HEADER(moved);
  AUTHCACHE_HEADER(negative_refused);
  AUTHCACHE_HEADER(text_refused);
  AUTHCACHE_HEADER(text_used_bytes);
  AUTHCACHE_HEADER(reserved_writer);
#undef AUTHCACHE_HEADER
}

void add_entries(Extents& code) {
  AUTHCACHE_FIELD(code, "slot", Slot, control);
  AUTHCACHE_FIELD(code, "slot", Slot, deadline);
  AUTHCACHE_FIELD(code, "slot", Slot, key);
  AUTHCACHE_FIELD(code, "slot", Slot, facts);
  AUTHCACHE_FIELD(code, "slot", Slot, principals);
  AUTHCACHE_FIELD(code, "slot", Slot, grants);
  AUTHCACHE_FIELD(code, "cold", Cold, text);
  AUTHCACHE_FIELD(code, "cold", Cold, expires_wall_ns);
  AUTHCACHE_FIELD(code, "cold", Cold, issued_wall_ns);
  AUTHCACHE_FIELD(code, "cold", Cold, profile_id);
  AUTHCACHE_FIELD(code, "cold", Cold, token);
  AUTHCACHE_FIELD(code, "cold", Cold, checksum);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, id);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, state);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, sizes);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, reserved);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, name);
  AUTHCACHE_FIELD(code, "profile", ProfileEntry, audiences);
  AUTHCACHE_FIELD(code, "dictionary", DictionaryEntry, words);
  AUTHCACHE_FIELD(code, "principal", PrincipalEntry, id);
}

Extents extents_of_code() {
  Extents code;
  add_header(code);
  add_entries(code);
  const Geometry g = make_geometry(kCapacityMin, kTextBytesPerRecordMin);
  code["file.header"] = {0, sizeof(Header)};
  code["file.issuer_epochs"] = {g.issuer_epochs, g.key_epochs - g.issuer_epochs};
  code["file.key_epochs"] = {g.key_epochs, g.issuers - g.key_epochs};
  code["file.issuers"] = {g.issuers, g.keys - g.issuers};
  code["file.keys"] = {g.keys, g.dictionary - g.keys};
  code["file.dictionary"] = {g.dictionary, g.profiles - g.dictionary};
  code["file.profiles"] = {g.profiles, 2 * kProfilesMax * sizeof(ProfileEntry)};
  return code;
}

// The cells of a row of a markdown table, trimmed.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("|")) return cells;
  std::istringstream row(line.substr(1));
  for (std::string cell; std::getline(row, cell, '|');) {
    const auto first = cell.find_first_not_of(" `");
    const auto last = cell.find_last_not_of(" `");
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

class Format : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(std::string(AUTHCACHE_SOURCE_DIR) + "/shm/FORMAT.md");
    ASSERT_TRUE(file) << "shm/FORMAT.md is missing";
    for (std::string line; std::getline(file, line);) rows_.push_back(cells_of(line));
  }
  std::vector<std::vector<std::string>> rows_;
};

TEST_F(Format, TheOffsetTableIsThatOfTheCode) {
  Extents documented;
  for (const auto& row : rows_) {
    if (row.size() < 3 || row[0].find('.') == std::string::npos || !is_number(row[1]) || !is_number(row[2]))
      continue;
    EXPECT_TRUE(documented.emplace(row[0], Extent{std::stoull(row[1]), std::stoull(row[2])}).second)
        << row[0] << " stands twice";
  }
  const Extents code = extents_of_code();
  for (const auto& [name, extent] : code) {
    const auto told = documented.find(name);
    if (told == documented.end()) {
      ADD_FAILURE() << "FORMAT.md does not tell " << name;
      continue;
    }
    EXPECT_EQ(told->second.offset, extent.offset) << name;
    EXPECT_EQ(told->second.bytes, extent.bytes) << name;
  }
  for (const auto& [name, extent] : documented)
    EXPECT_TRUE(code.contains(name)) << "FORMAT.md invents " << name;
}

TEST_F(Format, TheOffsetTableOfTheHeaderHasNoHoles) {
  Extents header;
  add_header(header);
  std::map<std::uint64_t, std::uint64_t> by_offset;
  for (const auto& [name, extent] : header) by_offset[extent.offset] = extent.bytes;
  std::uint64_t end = 0;
  for (const auto& [offset, bytes] : by_offset) {
    EXPECT_EQ(offset, end);
    end = offset + bytes;
  }
  EXPECT_EQ(end, sizeof(Header));
}

TEST_F(Format, TheArithmeticIsThatOfTheCode) {
  int examples = 0;
  for (const auto& row : rows_) {
    if (row.size() < 7 || !is_number(row[0])) continue;
    const Geometry g = make_geometry(std::stoull(row[0]), kDocumentedTextBytes);
    const std::uint64_t expected[] = {g.slots, g.hot, g.cold, g.ways, g.text, g.file_bytes};
    for (std::size_t i = 0; i < std::size(expected); ++i)
      EXPECT_EQ(row[i + 1], std::to_string(expected[i])) << row[0];
    ++examples;
  }
  EXPECT_EQ(examples, 5);
}

TEST(Layout, ReadersAndTheWriterHaveLinesOfTheirOwn) {
  EXPECT_EQ(offsetof(Header, state) % 128, 0U);
  EXPECT_EQ(offsetof(Header, epoch_counter) % 128, 0U);
  EXPECT_EQ(offsetof(Header, epoch_counter) / 128, offsetof(Header, reserved_hot) / 128 + 1);
}

TEST(Layout, PartsNeitherOverlapNorLeaveTheFileForAnyPermittedSize) {
  std::vector<std::uint64_t> capacities = {kCapacityMin, kCapacityMin + 1, 27'853,      100'000,
                                           1'000'000,    kCapacityMax - 1, kCapacityMax};
  Numbers numbers(4);
  for (int i = 0; i < 1000; ++i)
    capacities.push_back(kCapacityMin + numbers.below(kCapacityMax - kCapacityMin));
  for (const std::uint64_t capacity : capacities) {
    for (const std::uint64_t text :
         {kTextBytesPerRecordMin, kTextBytesPerRecordMin + 1, kTextBytesPerRecordMax}) {
      const Geometry g = make_geometry(capacity, text);
      ASSERT_GE(g.slots * kLoadPercent, capacity * 100) << capacity << " records at more than the load";
      ASSERT_LT((g.slots - kSlotsPerBucket) * kLoadPercent, capacity * 100) << "a bucket too many";
      ASSERT_LT(g.buckets, std::uint64_t{1} << 32) << "the bucket choice takes 32 bits";
      ASSERT_GE(g.hot, g.profiles + 2 * kProfilesMax * sizeof(ProfileEntry));
      ASSERT_GE(g.cold, g.hot + g.slots * sizeof(Slot));
      ASSERT_GE(g.ways, g.cold + g.slots * sizeof(Cold));
      ASSERT_LE(g.way_cells, std::uint64_t{1} << 32) << "the choice of a way cell takes 32 bits";
      ASSERT_GE(g.text, g.ways + (g.way_cells + kWayCellsPerWord - 1) / kWayCellsPerWord * 8);
      ASSERT_GE(g.text_bytes, capacity * text);
      ASSERT_EQ(g.text_bytes % (64 * 1024), 0U) << "the text area is made of whole pages of 64 KiB";
      ASSERT_EQ(g.file_bytes, g.text + g.text_bytes);
      ASSERT_EQ(g.hot % 128, 0U) << "a bucket is one aligned pair of lines";
      for (const std::uint64_t part : {g.hot, g.cold, g.ways, g.text, g.file_bytes})
        ASSERT_EQ(part % kPageBytes, 0U);
      ASSERT_LT(g.text_bytes / kTextUnitBytes, std::uint64_t{1} << 40) << "a text's place takes 40 bits";
    }
  }
}

TEST(Layout, TheTwoBucketsOfAKeyAlwaysDiffer) {
  std::array<std::uint64_t, kSecretWords> secret{};
  Numbers numbers(5);
  for (auto& word : secret) word = numbers.next();
  for (const std::uint64_t buckets : {2, 3, 4, 7, 589}) {
    for (int i = 0; i < 20'000; ++i) {
      const BucketPair pair =
          buckets_of({numbers.next(), numbers.next(), numbers.next()}, secret.data(), buckets);
      ASSERT_LT(pair.first, buckets);
      ASSERT_LT(pair.second, buckets);
      ASSERT_NE(pair.first, pair.second) << buckets;
      const std::set<std::uint64_t> choices{pair.slot(0), pair.slot(1), pair.slot(2), pair.slot(3)};
      ASSERT_EQ(choices, (std::set<std::uint64_t>{pair.first * 2, pair.first * 2 + 1, pair.second * 2,
                                                  pair.second * 2 + 1}));
      ASSERT_EQ(pair.slot(0) / 2, pair.first);
      ASSERT_EQ(pair.slot(1) / 2, pair.first);
    }
  }
}

// 200 000 keys over 1000 buckets, both choices: mean 400, deviation 20; every bucket within seven of them.
TEST(Layout, KeysThatDifferInOneBitSpreadOverAllBuckets) {
  std::array<std::uint64_t, kSecretWords> secret{};
  Numbers numbers(6);
  for (auto& word : secret) word = numbers.next();
  std::vector<int> chosen(1000);
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    const BucketPair pair = buckets_of({i, 0, 0}, secret.data(), chosen.size());
    ++chosen[pair.first];
    ++chosen[pair.second];
  }
  for (const int count : chosen) {
    EXPECT_GT(count, 260);
    EXPECT_LT(count, 540);
  }
}

TEST(Layout, B2_AnotherSecretGivesOtherBuckets) {
  std::array<std::uint64_t, kSecretWords> one{};
  std::array<std::uint64_t, kSecretWords> other{};
  Numbers numbers(7);
  for (auto& word : one) word = numbers.next();
  for (auto& word : other) word = numbers.next();
  int same = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    same += buckets_of({i, 1, 2}, one.data(), 1'000'000).first ==
                    buckets_of({i, 1, 2}, other.data(), 1'000'000).first
                ? 1
                : 0;
  }
  EXPECT_LT(same, 5);
}

}  // namespace
