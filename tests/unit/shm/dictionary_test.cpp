#include "shm/dictionary.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using authcache_test::TempTable;

std::uint64_t word_of(const TableView& view) { return StdAtomics::load_acquire(view.header().dictionary); }

TEST(Dictionary, AnEntryIsFoundByKindAndWholeText) {
  TempTable table;
  write_entry(table.view(), DictionaryKind::kScope, 0, "read");
  write_entry(table.view(), DictionaryKind::kPermission, 1, "read");
  write_entry(table.view(), DictionaryKind::kAudience, 0, "api");
  const std::uint64_t word = pack_dictionary({.grants = 2, .audiences = 1});
  EXPECT_EQ(find_bit(table.view(), word, DictionaryKind::kScope, "read"), 0U);
  EXPECT_EQ(find_bit(table.view(), word, DictionaryKind::kPermission, "read"), 1U);
  EXPECT_EQ(find_bit(table.view(), word, DictionaryKind::kAudience, "api"), 0U);
  EXPECT_FALSE(find_bit(table.view(), word, DictionaryKind::kScope, "rea"));
  EXPECT_FALSE(find_bit(table.view(), word, DictionaryKind::kScope, "read "));
  EXPECT_FALSE(find_bit(table.view(), word, DictionaryKind::kScope, ""));
  EXPECT_FALSE(find_bit(table.view(), word, DictionaryKind::kScope, "api"));
}

TEST(Dictionary, OnlyWhatTheWordCountsIsSeen) {
  TempTable table;
  write_entry(table.view(), DictionaryKind::kScope, 0, "read");
  EXPECT_FALSE(
      find_bit(table.view(), pack_dictionary({.grants = 0, .audiences = 5}), DictionaryKind::kScope, "read"));
}

TEST(Dictionary, B7_AHostileWordCountsNoMoreThanThereIs) {
  TempTable table;
  const DictionarySizes sizes = unpack_dictionary(~std::uint64_t{0});
  EXPECT_EQ(sizes.grants, kGrantBits);
  EXPECT_EQ(sizes.audiences, kAudienceBits);
  EXPECT_FALSE(find_bit(table.view(), ~std::uint64_t{0}, DictionaryKind::kAudience, "api"));
}

TEST(Dictionary, TheLongestTextFitsAndALongerOneHasNoBit) {
  TempTable table;
  const std::string longest(kDictionaryTextMax, 'x');
  write_entry(table.view(), DictionaryKind::kScope, kGrantBits - 1, longest);
  const std::uint64_t word = pack_dictionary({.grants = kGrantBits, .audiences = 0});
  EXPECT_EQ(find_bit(table.view(), word, DictionaryKind::kScope, longest), kGrantBits - 1);
  EXPECT_FALSE(find_bit(table.view(), word, DictionaryKind::kScope, longest + "x"));
  EXPECT_EQ(dictionary_text(table.view(), false, kGrantBits - 1).text, longest);
}

TEST(Dictionary, AnOverflowIsFlaggedAndTheBitsStaySingle) {
  TempTable table;
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < kGrantBits + 3; ++i) {
    const std::vector<std::string> scopes = {"scope-" + std::to_string(i)};
    RecordSpec spec = authcache::shm_test::numbered_spec(table.writer(), i);
    spec.scopes = scopes;
    const auto place = table.writer().insert(spec, authcache::shm_test::kNowNs);
    ASSERT_TRUE(place);
    const HotRecord hot = table.writer().peek(place->slot);
    const bool in_text = (unpack_facts(hot.facts).flags & kGrantsInText) != 0;
    EXPECT_EQ(in_text, i >= kGrantBits);
    if (in_text) {
      EXPECT_EQ(hot.grants, 0U);
    } else {
      EXPECT_TRUE(seen.insert(hot.grants).second);
      EXPECT_EQ(find_bit(table.view(), word_of(table.view()), DictionaryKind::kScope, scopes[0]), i);
    }
  }
}

TEST(Dictionary, AudiencesOverflowByThemselves) {
  TempTable table;
  std::vector<std::string> audience;
  for (std::uint32_t i = 0; i <= kAudienceBits; ++i) audience.push_back("aud-" + std::to_string(i));
  RecordSpec spec = authcache::shm_test::numbered_spec(table.writer(), 1);
  spec.audience = audience;
  const auto place = table.writer().insert(spec, authcache::shm_test::kNowNs);
  const HotRecord hot = table.writer().peek(place.value().slot);
  EXPECT_EQ(unpack_principals(hot.principals).audiences, 0xffff);
  EXPECT_EQ(unpack_facts(hot.facts).flags, kAudienceInText);
}

TEST(Dictionary, AScopeTooLongForAnEntryIsFlagged) {
  TempTable table;
  const std::vector<std::string> scopes = {std::string(kDictionaryTextMax + 1, 's'), "short"};
  RecordSpec spec = authcache::shm_test::numbered_spec(table.writer(), 1);
  spec.scopes = scopes;
  const HotRecord hot =
      table.writer().peek(table.writer().insert(spec, authcache::shm_test::kNowNs).value().slot);
  EXPECT_EQ(unpack_facts(hot.facts).flags, kGrantsInText);
  EXPECT_EQ(hot.grants, 1U);
}

}  // namespace
