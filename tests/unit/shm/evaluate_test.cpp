#include "shm/evaluate.hpp"

#include <gtest/gtest.h>

#include "shm/facts.hpp"
#include "shm/text.hpp"

namespace {

using authcache::shm::Asked;
using authcache::shm::evaluate;
using authcache::shm::Evaluation;
using authcache::shm::Terms;
using authcache::shm::Reason;
using authcache::shm::Verdict;
namespace shm = authcache::shm;

constexpr Evaluation kValid{Verdict::kValid, Reason::kNone};
constexpr Evaluation kAudience{Verdict::kInvalid, Reason::kAudience};
constexpr Evaluation kScope{Verdict::kForbidden, Reason::kScope};
constexpr Evaluation kPermission{Verdict::kForbidden, Reason::kPermission};
constexpr Evaluation kConfirmation{Verdict::kForbidden, Reason::kConfirmationRequired};

shm::HotRecord record(std::uint64_t grants = 0, std::uint16_t audiences = 0, std::uint16_t flags = 0) {
  shm::HotRecord made;
  made.facts =
      shm::pack_facts({.epoch = 1, .verdict = Verdict::kValid, .reason = Reason::kNone, .flags = flags});
  made.principals = shm::pack_principals({.issuer = 0, .key = 0, .audiences = audiences});
  made.grants = grants;
  return made;
}

std::string text(std::initializer_list<std::pair<shm::TextField, std::string>> fields) {
  shm::TextBuilder builder;
  for (const auto& [field, value] : fields) builder.add(field, value);
  return std::string(builder.bytes());
}

shm::Thumbprint thumbprint(std::uint32_t kind, std::uint8_t fill) {
  shm::Thumbprint made{.kind = kind, .bytes = {}};
  made.bytes.fill(fill);
  return made;
}

TEST(Evaluate, NothingAskedOfAPlainRecordIsValid) {
  EXPECT_EQ(evaluate(record(), {}, {}, std::nullopt), kValid);
}

TEST(Evaluate, ANegativeRecordGivesItsReasonWhateverIsAsked) {
  shm::HotRecord negative;
  negative.facts = shm::pack_facts(
      {.epoch = 1, .verdict = Verdict::kInvalid, .reason = Reason::kBadSignature, .flags = 0});
  Terms terms;
  terms.scopes = 1;
  EXPECT_EQ(evaluate(negative, terms, {}, std::nullopt),
            (Evaluation{Verdict::kInvalid, Reason::kBadSignature}));
}

TEST(Evaluate, ARecordWithAVerdictThatNoWriterStoresIsNotValid) {
  for (const auto verdict :
       {Verdict::kMiss, Verdict::kForbidden, Verdict::kUnavailable, static_cast<Verdict>(9)}) {
    shm::HotRecord odd;
    odd.facts = shm::pack_facts({.epoch = 1, .verdict = verdict, .reason = Reason::kNone, .flags = 0});
    EXPECT_EQ(evaluate(odd, {}, {}, std::nullopt).verdict, Verdict::kUnavailable);
  }
}

TEST(Evaluate, EveryAskedScopeAndPermissionMustBeThere) {
  for (std::uint64_t held = 0; held < 16; ++held) {
    Terms terms;
    terms.scopes = 0b0011;
    terms.permissions = 0b1100;
    const Evaluation expected = (held & 0b0011) != 0b0011   ? kScope
                                : (held & 0b1100) != 0b1100 ? kPermission
                                                            : kValid;
    EXPECT_EQ(evaluate(record(held), terms, {}, std::nullopt), expected) << held;
  }
}

TEST(Evaluate, AnyAskedAudienceSuffices) {
  for (std::uint16_t held = 0; held < 8; ++held) {
    Terms terms;
    terms.audience_asked = true;
    terms.audiences = 0b110;
    EXPECT_EQ(evaluate(record(0, held), terms, {}, std::nullopt), (held & 0b110) != 0 ? kValid : kAudience)
        << held;
  }
}

TEST(Evaluate, AStringWithoutABitIsRefusedWhereEveryGrantOfTheRecordHasOne) {
  Terms terms;
  terms.scope_without_bit = true;
  EXPECT_EQ(evaluate(record(~0ull), terms, {}, std::nullopt), kScope);
  terms = {};
  terms.permission_without_bit = true;
  EXPECT_EQ(evaluate(record(~0ull), terms, {}, std::nullopt), kPermission);
  terms = {};
  terms.audience_asked = true;
  terms.audience_without_bit = true;
  EXPECT_EQ(evaluate(record(0, 0xffff), terms, {}, std::nullopt), kAudience);
}

TEST(Evaluate, AStringWithoutABitIsLookedForInTheText) {
  const std::vector<std::string> rare = {"rare"};
  Terms terms;
  terms.scope_without_bit = true;
  const Asked asked{.scopes = rare};
  const auto flagged = record(0, 0, shm::kGrantsInText);
  EXPECT_TRUE(evaluate(flagged, terms, asked, std::nullopt).needs_text);
  EXPECT_EQ(evaluate(flagged, terms, asked, text({{shm::TextField::kScopes, "rare"}})), kValid);
  EXPECT_EQ(evaluate(flagged, terms, asked, text({{shm::TextField::kScopes, "rarer"}})), kScope);
  EXPECT_EQ(evaluate(flagged, terms, asked, text({{shm::TextField::kPermissions, "rare"}})), kScope);
  EXPECT_EQ(evaluate(flagged, terms, asked, ""), kScope);
}

TEST(Evaluate, AnAudienceWithoutABitIsLookedForInTheText) {
  const std::vector<std::string> rare = {"one", "rare"};
  Terms terms;
  terms.audience_asked = true;
  terms.audience_without_bit = true;
  const Asked asked{.audiences = rare};
  const auto flagged = record(0, 0, shm::kAudienceInText);
  EXPECT_TRUE(evaluate(flagged, terms, asked, std::nullopt).needs_text);
  EXPECT_EQ(evaluate(flagged, terms, asked, text({{shm::TextField::kAudience, "rare"}})), kValid);
  EXPECT_EQ(evaluate(flagged, terms, asked, text({{shm::TextField::kAudience, "another"}})), kAudience);
}

TEST(Evaluate, A8_1_ABoundTokenIsNeverValidWithoutItsThumbprint) {
  const auto bound = record(0, 0, shm::kHasConfirmation);
  const auto right = thumbprint(shm::kThumbprintCertificate, 7);
  const std::string field = std::string(1, 2) + std::string(32, 7);
  const std::string with_field = text({{shm::TextField::kConfirmation, field}});

  EXPECT_EQ(evaluate(bound, {}, {}, std::nullopt), kConfirmation);
  EXPECT_EQ(evaluate(bound, {}, {}, with_field), kConfirmation);
  EXPECT_TRUE(evaluate(bound, {}, {.thumbprint = &right}, std::nullopt).needs_text);
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &right}, with_field), kValid);
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &right}, ""), kConfirmation);
}

TEST(Evaluate, A8_4_AThumbprintMustMatchInKindAndEveryByte) {
  const auto bound = record(0, 0, shm::kHasConfirmation);
  const std::string field = std::string(1, 2) + std::string(32, 7);
  const std::string with_field = text({{shm::TextField::kConfirmation, field}});
  const auto other_kind = thumbprint(shm::kThumbprintJkt, 7);
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &other_kind}, with_field), kConfirmation);
  for (std::size_t i = 0; i < 32; ++i) {
    auto wrong = thumbprint(shm::kThumbprintCertificate, 7);
    wrong.bytes[i] ^= 1;
    EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &wrong}, with_field), kConfirmation) << i;
  }
  const auto right = thumbprint(shm::kThumbprintCertificate, 7);
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &right},
                     text({{shm::TextField::kConfirmation, field.substr(0, 32)}})),
            kConfirmation);
}

TEST(Evaluate, TwoConfirmationsAreNotMetByOneThumbprint) {
  const auto bound = record(0, 0, shm::kHasConfirmation);
  const auto right = thumbprint(shm::kThumbprintCertificate, 7);
  const std::string both = text({{shm::TextField::kConfirmation, std::string(1, 2) + std::string(32, 7)},
                                 {shm::TextField::kConfirmation, std::string(1, 1) + std::string(32, 9)}});
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &right}, both), kConfirmation);
}

TEST(Evaluate, ATextThatBreaksOffConfirmsNothing) {
  const auto bound = record(0, 0, shm::kHasConfirmation);
  const auto right = thumbprint(shm::kThumbprintCertificate, 7);
  std::string broken = text({{shm::TextField::kConfirmation, std::string(1, 2) + std::string(32, 7)}});
  broken += "\x0a";
  EXPECT_EQ(evaluate(bound, {}, {.thumbprint = &right}, broken), kConfirmation);
}

TEST(Evaluate, A8_2_ADpopProofVouchesOnlyForATokenThatNamesItsKey) {
  const auto jkt = thumbprint(shm::kThumbprintJkt, 7);
  const auto certificate = thumbprint(shm::kThumbprintCertificate, 7);
  EXPECT_EQ(evaluate(record(), {}, {.thumbprint = &jkt}, std::nullopt), kConfirmation);
  EXPECT_EQ(evaluate(record(), {}, {.thumbprint = &certificate}, std::nullopt), kValid);
}

TEST(Evaluate, TheFirstFailedCheckNamesTheReason) {
  Terms terms;
  terms.audience_asked = true;
  terms.audiences = 1;
  terms.scopes = 1;
  terms.permissions = 2;
  EXPECT_EQ(evaluate(record(0, 0, shm::kHasConfirmation), terms, {}, std::nullopt), kConfirmation);
  EXPECT_EQ(evaluate(record(0, 0), terms, {}, std::nullopt), kAudience);
  EXPECT_EQ(evaluate(record(0, 1), terms, {}, std::nullopt), kScope);
  EXPECT_EQ(evaluate(record(1, 1), terms, {}, std::nullopt), kPermission);
  EXPECT_EQ(evaluate(record(3, 1), terms, {}, std::nullopt), kValid);
}

}  // namespace
