#include "shm/facts.hpp"

#include <gtest/gtest.h>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;

TEST(Facts, EveryFieldReadsBackAlone) {
  for (const std::uint64_t epoch : {std::uint64_t{0}, std::uint64_t{1}, kEpochMax}) {
    for (const Verdict verdict : {Verdict::kValid, Verdict::kInvalid, Verdict::kUnavailable}) {
      for (const Reason reason :
           {Reason::kNone, Reason::kCritical, Reason::kProtocol, static_cast<Reason>(255)}) {
        for (const std::uint16_t flags :
             std::initializer_list<std::uint16_t>{0, kHasConfirmation, kIsJws, 0xfff}) {
          const Facts read = unpack_facts(
              pack_facts({.epoch = epoch, .verdict = verdict, .reason = reason, .flags = flags}));
          EXPECT_EQ(read.epoch, epoch);
          EXPECT_EQ(read.verdict, verdict);
          EXPECT_EQ(read.reason, reason);
          EXPECT_EQ(read.flags, flags);
        }
      }
    }
  }
}

TEST(Facts, TheFieldsTakeTheBitsThatTheFormatNames) {
  EXPECT_EQ(pack_facts({.epoch = kEpochMax, .verdict = {}, .reason = {}, .flags = 0}),
            0x0000'00ff'ffff'ffffU);
  EXPECT_EQ(pack_facts({.epoch = 0, .verdict = {}, .reason = static_cast<Reason>(0xff), .flags = 0}),
            0x0000'ff00'0000'0000U);
  EXPECT_EQ(pack_facts({.epoch = 0, .verdict = static_cast<Verdict>(0xf), .reason = {}, .flags = 0}),
            0x000f'0000'0000'0000U);
  EXPECT_EQ(pack_facts({.epoch = 0, .verdict = {}, .reason = {}, .flags = 0xfff}), 0xfff0'0000'0000'0000U);
}

TEST(Facts, AnEpochBeyondItsBitsIsOlderThanAnyRaiseNotNewer) {
  const Facts read = unpack_facts(
      pack_facts({.epoch = kEpochMax + 1, .verdict = Verdict::kValid, .reason = {}, .flags = 0}));
  EXPECT_EQ(read.epoch, 0U);
  EXPECT_EQ(read.verdict, Verdict::kValid);
}

TEST(Facts, PrincipalsReadBack) {
  for (const std::uint32_t issuer : {0U, 1U, kIssuersMax - 1}) {
    for (const std::uint32_t key : {0U, 1U, kKeysMax - 1}) {
      for (const std::uint16_t audiences : std::initializer_list<std::uint16_t>{0, 1, 0x8000, 0xffff}) {
        const Principals read =
            unpack_principals(pack_principals({.issuer = issuer, .key = key, .audiences = audiences}));
        EXPECT_EQ(read.issuer, issuer);
        EXPECT_EQ(read.key, key);
        EXPECT_EQ(read.audiences, audiences);
      }
    }
  }
}

TEST(Facts, ATextHintReadsBackAndTouchesNothingElse) {
  const Principals said{.issuer = 7, .key = 8, .audiences = 9, .text_hint = text_hint_of(0xab'cdee)};
  const std::uint64_t word = pack_principals(said);
  EXPECT_EQ(unpack_principals(word).text_hint, 0xab'cdefU);
  EXPECT_EQ(principals_without_hint(word), pack_principals({.issuer = 7, .key = 8, .audiences = 9}));
}

TEST(Facts, AUnitBeyondTheHintsBitsHasNone) {
  EXPECT_EQ(text_hint_of(0), 1U);
  EXPECT_EQ(text_hint_of(0xff'fffe), 0xff'ffffU);
  EXPECT_EQ(text_hint_of(0xff'ffff), 0U);
  EXPECT_EQ(text_hint_of(~std::uint64_t{0} - 1), 0U);
}

TEST(Facts, B7_NoWordLeadsOutOfThePrincipalArrays) {
  authcache::shm_test::Numbers numbers(1);
  for (int i = 0; i < 100'000; ++i) {
    const Principals read = unpack_principals(i == 0 ? ~std::uint64_t{0} : numbers.next());
    ASSERT_LT(read.issuer, kIssuersMax);
    ASSERT_LT(read.key, kKeysMax);
  }
}

}  // namespace
