#include "daemon/token/key_set.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using authcache::shm::Reason;
using authcached::Algorithm;
using authcached::KeyFault;
using authcached::KeySet;

TEST(KeySet, A4_1_OneBadKeyAmongGoodOnesIsSkippedWithItsReason) {
  const auto set =
      KeySet::parse(jwks({p256_key().public_jwk("a"), R"({"kty":"EC","crv":"P-256","kid":"bad"})", "7",
                          R"({"kty":"oct","k":"AAAA","kid":"mac"})", ed25519_key().public_jwk("b")}));
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->keys().size(), 2u);
  ASSERT_EQ(set->skipped().size(), 3u);
  EXPECT_EQ(set->skipped()[0].index, 1u);
  EXPECT_EQ(set->skipped()[0].kid, "bad");
  EXPECT_EQ(set->skipped()[0].fault, KeyFault::kMalformed);
  EXPECT_EQ(set->skipped()[1].fault, KeyFault::kMalformed);
  EXPECT_EQ(set->skipped()[2].fault, KeyFault::kSymmetric);
  EXPECT_FALSE(set->skipped()[2].sentence.empty());
}

TEST(KeySet, ASetWithoutAnyUsableKeyIsAnError) {
  EXPECT_FALSE(KeySet::parse(jwks({})));
  const auto weak = KeySet::parse(jwks({SigningKey::generate_rsa(1024).public_jwk("w")}));
  ASSERT_FALSE(weak);
  EXPECT_NE(weak.error().message.find("1024 bits"), std::string::npos) << weak.error().message;
}

TEST(KeySet, WhatIsNoKeySetIsAnError) {
  for (const char* text :
       {"", "[]", "{}", R"({"keys":{}})", R"({"keys":null})", "<html>", R"({"keys":[]} x)"}) {
    EXPECT_FALSE(KeySet::parse(text)) << text;
  }
}

TEST(KeySet, A1_9_ADuplicateMemberAnywhereRefusesTheWholeSet) {
  const std::string key = p256_key().public_jwk("a");
  EXPECT_TRUE(KeySet::parse(jwks({key})));
  EXPECT_FALSE(KeySet::parse(R"({"keys":[)" + key + R"(],"keys":[]})"));
  EXPECT_FALSE(KeySet::parse(jwks({key, p384_key().public_jwk("b", "", R"("k\u0069d":"c")")})));
}

TEST(KeySet, A4_12_MoreThan100KeysOr512KibAreRefused) {
  std::vector<std::string> many(100, R"({"kty":"none"})");
  many[0] = p256_key().public_jwk("a");
  EXPECT_TRUE(KeySet::parse(jwks(many)));
  many.push_back(R"({"kty":"none"})");
  EXPECT_FALSE(KeySet::parse(jwks(many)));
  const std::string set = jwks({p256_key().public_jwk("a")});
  EXPECT_TRUE(KeySet::parse(set + std::string(512 * 1024 - set.size(), ' ')));
  EXPECT_FALSE(KeySet::parse(set + std::string(512 * 1024 - set.size() + 1, ' ')));
}

TEST(KeySet, A4_7_TwoKeysOfOneKidAndTypeAreBothUnusable) {
  const auto set = KeySet::parse(
      jwks({p256_key().public_jwk("k"), p384_key().public_jwk("k"), ed25519_key().public_jwk("other")}));
  ASSERT_TRUE(set);
  ASSERT_EQ(set->keys().size(), 1u);
  EXPECT_EQ(set->keys()[0].kid, "other");
  ASSERT_EQ(set->skipped().size(), 2u);
  EXPECT_EQ(set->skipped()[0].fault, KeyFault::kAmbiguous);
  EXPECT_EQ(set->skipped()[1].fault, KeyFault::kAmbiguous);
  EXPECT_EQ(set->find("k", Algorithm::kES256).error(), Reason::kUnknownKey);
  EXPECT_FALSE(KeySet::parse(jwks({p256_key().public_jwk("k"), p256_key().public_jwk("k")})));
}

TEST(KeySet, A4_7_OneKidWithTwoTypesIsToldApartByTheAlgorithm) {
  const auto set = KeySet::parse(jwks({p256_key().public_jwk("k"), rsa_key().public_jwk("k", "RS256")}));
  ASSERT_TRUE(set);
  ASSERT_TRUE(set->find("k", Algorithm::kES256));
  EXPECT_EQ((*set->find("k", Algorithm::kES256))->type, authcached::KeyType::kEc);
  ASSERT_TRUE(set->find("k", Algorithm::kRS256));
  EXPECT_EQ((*set->find("k", Algorithm::kRS256))->type, authcached::KeyType::kRsa);
  EXPECT_EQ(set->find("k", Algorithm::kPS256).error(), Reason::kAlgorithm);
}

TEST(KeySet, AKeyThatCannotVerifyDoesNotMakeItsNamesakeAmbiguous) {
  const auto set = KeySet::parse(jwks(
      {p256_key().public_jwk("k", "", R"("use":"sig")"), p384_key().public_jwk("k", "", R"("use":"enc")")}));
  ASSERT_TRUE(set);
  EXPECT_TRUE(set->find("k", Algorithm::kES256));
}

TEST(KeySet, A2_10_AKidMatchesByteForByteOnly) {
  const KeySet& set = all_keys();
  EXPECT_TRUE(set.find("es", Algorithm::kES256));
  for (const char* kid : {"ES", "es ", "e", "../es", "", "es384/"}) {
    EXPECT_EQ(set.find(kid, Algorithm::kES256).error(), Reason::kUnknownKey) << kid;
  }
  EXPECT_EQ(set.find("es", Algorithm::kES384).error(), Reason::kAlgorithm);
}

TEST(KeySet, A2_12_WithoutAKidExactlyOneKeyMustFit) {
  EXPECT_TRUE(all_keys().find(std::nullopt, Algorithm::kES256));
  const auto two =
      KeySet::parse(jwks({rsa_key().public_jwk("a", "RS256"),
                          SigningKey::generate(KeyKind::kRsa).public_jwk("b"), p256_key().public_jwk()}));
  ASSERT_TRUE(two);
  EXPECT_EQ(two->find(std::nullopt, Algorithm::kRS256).error(), Reason::kUnknownKey);  // both fit
  EXPECT_TRUE(two->find(std::nullopt, Algorithm::kPS256));                             // only b does
  EXPECT_TRUE(two->find(std::nullopt, Algorithm::kES256));
  EXPECT_EQ(two->find(std::nullopt, Algorithm::kEdDSA).error(), Reason::kUnknownKey);
  EXPECT_EQ(two->find("", Algorithm::kES256).error(),
            Reason::kUnknownKey);  // a nameless key has no name to match
}

TEST(KeySet, AMutatedSetIsRefusedOrHoldsOnlyKeysThatServeSomething) {
  const unsigned seed = 20'260'102;
  std::mt19937 random(seed);
  const std::string text = jwks({p256_key().public_jwk("a", "ES256", R"("use":"sig","key_ops":["verify"])"),
                                 ed25519_key().public_jwk("b"), rsa_key().public_jwk("c", "PS256")});
  int refused = 0;
  for (int round = 0; round < 3'000; ++round) {
    std::string mutated = text;
    for (int edit = 0; edit < 3; ++edit) {
      const std::size_t at = random() % mutated.size();
      switch (random() % 3) {
        case 0: mutated[at] = static_cast<char>(random() & 0xff); break;
        case 1: mutated.erase(at, 1 + random() % 4); break;
        default: mutated.insert(at, 1, "{}[]\",:\\u0A"[random() % 11]); break;
      }
    }
    const auto set = KeySet::parse(mutated);
    refused += set ? 0 : 1;
    if (!set) continue;
    for (const auto& key : set->keys()) {
      ASSERT_FALSE(key.algorithms.empty()) << "seed " << seed << " round " << round;
      ASSERT_TRUE(set->find(key.kid.empty() ? std::nullopt : std::optional<std::string_view>(key.kid),
                            key.algorithms.front()))
          << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
