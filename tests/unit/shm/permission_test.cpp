// Permissions that roles grant, from the writer's record to a reader's verdict: bits where there are any, text where not.
#include <gtest/gtest.h>

#include "shm/dictionary.hpp"
#include "shm/evaluate.hpp"
#include "shm/role_granted.hpp"
#include "shm/table_reader.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using authcache_test::TempTable;
using Strings = std::vector<std::string>;

constexpr std::uint64_t kNow = 1'000'000'000;
constexpr std::uint64_t kProfile = 7;

class Permissions : public testing::Test {
 protected:
  Permissions() { table.writer().set_profiles({{.name = "p", .id = kProfile, .audience = {}}}); }

  // A record with these facts and what its roles grant; the text holds what has no bit, as an admission writes it.
  HotRecord admit(const Strings& permissions, const Strings& role_grants) {
    TextBuilder builder;
    for (const std::string& permission : permissions) builder.add(TextField::kPermissions, permission);
    for (const std::string& grant : role_grants) {
      if (!table.writer().intern_role_grant(grant)) builder.add(TextField::kRoleGrant, grant);
    }
    text = builder.bytes();
    RecordSpec spec;
    spec.key = {++last_key, 2, 3};
    spec.deadline = kNow * 100;
    spec.profile_id = kProfile;
    spec.permissions = permissions;
    spec.role_grants = role_grants;
    spec.text = text;
    const auto place = table.writer().insert(spec, kNow);
    EXPECT_TRUE(place);
    return table.writer().peek(place->slot);
  }

  [[nodiscard]] Terms compile(const Strings& asked) const {
    const std::uint64_t config = StdAtomics::load_acquire(table.view().header().config);
    const std::uint64_t dictionary = StdAtomics::load_acquire(table.view().header().dictionary);
    return compile_terms(table.view(), config, dictionary, {.profile = "p", .permissions = asked});
  }
  bool holds(const HotRecord& record, const Strings& asked) {
    const Terms terms = compile(asked);
    const Asked question{.permissions = asked, .view = &table.view()};
    const PackedTerms packed{pack_terms(terms)};
    by_bits = met_by_bits(record, packed, false);
    Evaluation made = evaluate(record, terms, question, std::nullopt);
    needed_text = made.needs_text;
    if (made.needs_text) made = evaluate(record, terms, question, text);
    EXPECT_TRUE(made.verdict == Verdict::kValid || made.reason == Reason::kPermission);
    EXPECT_TRUE(!by_bits || made.verdict == Verdict::kValid);
    return made.verdict == Verdict::kValid;
  }
  void fill_dictionary() {
    for (std::uint32_t i = 0; i < kGrantBits; ++i) (void)table.writer().intern_role_grant("filler." + std::to_string(i));
  }

  TempTable table;
  std::uint64_t last_key = 0;
  std::string text;
  bool by_bits = false, needed_text = false;
};

TEST_F(Permissions, WhatARoleGrantsIsABitTestLikeWhatTheTokenSays) {
  const HotRecord record = admit({"own"}, {"reports.read", "documents/42:read"});
  EXPECT_TRUE(holds(record, {"own", "reports.read", "documents/42:read"}));
  EXPECT_TRUE(by_bits);
  EXPECT_FALSE(holds(record, {"own", "reports.write"}));
  EXPECT_FALSE(needed_text);
}

TEST_F(Permissions, APatternCoversWhatNobodyNamed) {
  const HotRecord record = admit({}, {"documents/*:read"});
  EXPECT_TRUE(holds(record, {"documents/42:read"}));
  EXPECT_TRUE(by_bits) << "the pattern's bit is asked for";
  EXPECT_TRUE(holds(record, {"documents/1:read", "documents/2:read"}));
  EXPECT_FALSE(holds(record, {"documents/42:write"}));
  EXPECT_FALSE(holds(record, {"documents/42:read", "documents/42:write"}));
}

TEST_F(Permissions, APatternStillCoversWhatGetsABitOfItsOwnLater) {
  const HotRecord record = admit({}, {"documents/*:read"});
  const HotRecord other = admit({"documents/42:read"}, {});  // a token's own permission
  EXPECT_TRUE(holds(record, {"documents/42:read"}));
  EXPECT_FALSE(by_bits);
  EXPECT_FALSE(needed_text);
  EXPECT_TRUE(holds(other, {"documents/42:read"}));
  EXPECT_FALSE(holds(other, {"documents/43:read"}));
}

TEST_F(Permissions, OneOfSeveralPatternsIsEnough) {
  const HotRecord by_document = admit({}, {"documents/42:*"});
  const HotRecord by_action = admit({}, {"documents/*:read"});
  for (const HotRecord& record : {by_document, by_action}) EXPECT_TRUE(holds(record, {"documents/42:read"}));
  EXPECT_FALSE(holds(by_document, {"documents/43:read"}));
  EXPECT_FALSE(holds(by_action, {"documents/42:write"}));
}

TEST_F(Permissions, AStarInATokensOwnPermissionIsAName) {
  const HotRecord record = admit({"documents/*:read"}, {});
  EXPECT_FALSE(holds(record, {"documents/42:read"}));
  EXPECT_TRUE(holds(record, {"documents/*:read"}));
  (void)admit({}, {"documents/*:read"});  // now there is such a pattern
  EXPECT_FALSE(holds(record, {"documents/42:read"}));
}

TEST_F(Permissions, WithoutBitsTheTextDecides) {
  fill_dictionary();
  const HotRecord record = admit({"own"}, {"reports.read", "documents/*:read"});
  EXPECT_EQ(record.grants, 0u);
  EXPECT_TRUE(holds(record, {"own", "reports.read", "documents/9:read"}));
  EXPECT_TRUE(needed_text);
  EXPECT_FALSE(holds(record, {"reports.write"}));
  EXPECT_FALSE(holds(record, {"documents/9:write"}));
}

TEST_F(Permissions, APatternInTheTextCoversWhatHasABit) {
  (void)admit({"documents/42:read"}, {});
  fill_dictionary();
  const HotRecord record = admit({}, {"documents/*:read"});
  EXPECT_TRUE(holds(record, {"documents/42:read"}));
  EXPECT_TRUE(needed_text);
  const HotRecord none = admit({"other"}, {});
  EXPECT_FALSE(holds(none, {"documents/42:read"}));
  EXPECT_FALSE(needed_text);
}

TEST_F(Permissions, ARecordWithoutRolesIsRefusedByItsBitsAlone) {
  (void)admit({}, {"reports.read"});
  const HotRecord record = admit({"own"}, {});
  EXPECT_FALSE(holds(record, {"reports.read"}));
  EXPECT_FALSE(needed_text);
}

TEST_F(Permissions, WhatRolesGrantIsShownOnceFromBitsAndText) {
  const auto shown = [&](const HotRecord& record) {
    Strings all;
    each_role_grant(table.view(), StdAtomics::load_acquire(table.view().header().dictionary), record.grants, text,
                    [&](std::string_view grant) { all.emplace_back(grant); });
    return all;
  };
  EXPECT_EQ(shown(admit({"own", "a"}, {"a", "documents/*:read", "reports.read"})), (Strings{"documents/*:read", "reports.read"}));
  fill_dictionary();
  EXPECT_EQ(shown(admit({"own"}, {"reports.read", "b", "c/*:d"})), (Strings{"reports.read", "b", "c/*:d"}));
}

}  // namespace
