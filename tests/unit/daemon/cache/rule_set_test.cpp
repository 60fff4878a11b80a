#include "daemon/cache/rule_set.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace {

using authcached::AdmissionFacts;
using authcached::Rule;
using authcached::RuleKind;
using authcached::RuleSet;
using authcached::Sha256;

Sha256 digest_of(std::uint8_t byte) {
  Sha256 digest{};
  digest.fill(byte);
  return digest;
}

std::string text_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Rule rule_of(std::uint64_t change, RuleKind kind, std::string value, std::int64_t not_before_ns = 0,
             std::string scope = {}) {
  Rule rule;
  rule.change = change;
  rule.kind = kind;
  rule.scope = std::move(scope);
  rule.value = std::move(value);
  rule.not_before_ns = not_before_ns;
  rule.created_wall_ns = 1'000;
  rule.created_boot_ns = 100;
  rule.life_ns = 500;
  return rule;
}

Rule durable(Rule rule) {
  rule.durable = true;
  return rule;
}

AdmissionFacts facts_of(std::optional<std::int64_t> issued_wall_ns) {
  AdmissionFacts facts;
  facts.profile = "web";
  facts.issuer = "https://issuer.example";
  facts.subject = "alice";
  facts.client_id = "app";
  facts.sid = "s1";
  facts.jti = "j1";
  facts.issued_wall_ns = issued_wall_ns;
  return facts;
}

TEST(RuleSet, TokenAndSigningInputAndKeyAndJtiDenyWhateverTheAge) {
  const Sha256 digest = digest_of(7);
  const Sha256 other = digest_of(8);
  for (const RuleKind kind : {RuleKind::kToken, RuleKind::kSigningInput, RuleKind::kKey, RuleKind::kJti}) {
    RuleSet rules(10);
    ASSERT_TRUE(rules.add(rule_of(1, kind, kind == RuleKind::kJti ? "j1" : text_of(digest))));
    AdmissionFacts facts = facts_of(std::numeric_limits<std::int64_t>::max());
    facts.token = kind == RuleKind::kToken ? &digest : &other;
    facts.signing_input = kind == RuleKind::kSigningInput ? &digest : nullptr;
    facts.key = kind == RuleKind::kKey ? &digest : nullptr;
    const Rule* rule = rules.match(facts);
    ASSERT_NE(rule, nullptr) << rule_kind_name(kind);
    EXPECT_EQ(rule->kind, kind);
  }
}

// B5_6: the twin of a revoked ES256 token has other bytes and the same signing input.
TEST(RuleSet, MalleatedTwinOfARevokedTokenIsDeniedByItsSigningInput) {
  RuleSet rules(10);
  const Sha256 token = digest_of(1), twin = digest_of(2), signing_input = digest_of(3);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kToken, text_of(token))));
  AdmissionFacts facts = facts_of(5);
  facts.token = &twin;
  facts.signing_input = &signing_input;
  EXPECT_EQ(rules.match(facts), nullptr);
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSigningInput, text_of(signing_input))));
  EXPECT_NE(rules.match(facts), nullptr);
}

TEST(RuleSet, DigestsOfOneKindDoNotMatchAnother) {
  RuleSet rules(10);
  const Sha256 digest = digest_of(1);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kKey, text_of(digest))));
  AdmissionFacts facts = facts_of(5);
  facts.token = &digest;
  facts.signing_input = &digest;
  EXPECT_EQ(rules.match(facts), nullptr);
}

TEST(RuleSet, BulkRuleDeniesWhatIsNotNewerThanItsNotBefore) {
  const std::pair<RuleKind, const char*> bulk[] = {{RuleKind::kSid, "s1"},
                                                   {RuleKind::kSubject, "alice"},
                                                   {RuleKind::kClient, "app"},
                                                   {RuleKind::kEverything, ""},
                                                   {RuleKind::kIssuer, "https://issuer.example"}};
  for (const auto& [kind, value] : bulk) {
    RuleSet rules(10);
    ASSERT_TRUE(rules.add(rule_of(1, kind, value, 1'000)));
    EXPECT_NE(rules.match(facts_of(999)), nullptr) << rule_kind_name(kind);
    EXPECT_NE(rules.match(facts_of(1'000)), nullptr) << rule_kind_name(kind);
    EXPECT_EQ(rules.match(facts_of(1'001)), nullptr) << rule_kind_name(kind);
    EXPECT_NE(rules.match(facts_of(std::nullopt)), nullptr) << rule_kind_name(kind);
  }
}

TEST(RuleSet, ScopedAndUnscopedRulesAreBothConsulted) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 20, "https://issuer.example")));
  ASSERT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "alice", 30, "web")));
  ASSERT_TRUE(rules.add(rule_of(4, RuleKind::kSubject, "alice", 40, "https://other.example")));
  EXPECT_EQ(rules.size(), 4U);
  EXPECT_EQ(rules.match(facts_of(10))->change, 1U);
  EXPECT_EQ(rules.match(facts_of(20))->change, 2U);
  EXPECT_EQ(rules.match(facts_of(30))->change, 3U);
  EXPECT_EQ(rules.match(facts_of(40)), nullptr);
}

TEST(RuleSet, JtiOfAnotherIssuerIsNotDenied) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kJti, "j1", 0, "https://other.example")));
  EXPECT_EQ(rules.match(facts_of(5)), nullptr);
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kJti, "j1", 0, "https://issuer.example")));
  EXPECT_EQ(rules.match(facts_of(5))->change, 2U);
}

TEST(RuleSet, ScopeAndValueDoNotRunTogether) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "webalice", 10)));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "ce", 10, "webali")));
  EXPECT_EQ(rules.match(facts_of(5)), nullptr);
}

TEST(RuleSet, EarlierNotBeforeNeverReplacesALaterOne) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 100)));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 50)));
  EXPECT_NE(rules.match(facts_of(100)), nullptr);
  rules.mark_durable(1);
  rules.mark_durable(2);
  EXPECT_NE(rules.match(facts_of(100)), nullptr);
  EXPECT_EQ(rules.match(facts_of(101)), nullptr);
  EXPECT_EQ(rules.size(), 1U);
}

TEST(RuleSet, WithdrawalBringsBackTheGreatestPendingNotBefore) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 30)));
  ASSERT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "alice", 20)));
  EXPECT_NE(rules.match(facts_of(30)), nullptr);
  rules.withdraw(2);
  EXPECT_EQ(rules.match(facts_of(30)), nullptr);
  EXPECT_NE(rules.match(facts_of(20)), nullptr);
  rules.withdraw(3);
  EXPECT_EQ(rules.match(facts_of(20)), nullptr);
  EXPECT_NE(rules.match(facts_of(10)), nullptr);
}

TEST(RuleSet, WithdrawalAfterALaterOneIsDurableChangesNothing) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 20)));
  rules.mark_durable(2);
  rules.withdraw(1);
  EXPECT_NE(rules.match(facts_of(20)), nullptr);
  EXPECT_TRUE(rules.match(facts_of(20))->durable);
}

TEST(RuleSet, WithdrawalOfTheLaterOneKeepsThePendingEarlierOne) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 20)));
  rules.withdraw(2);
  ASSERT_NE(rules.match(facts_of(10)), nullptr);
  EXPECT_EQ(rules.match(facts_of(20)), nullptr);
  rules.mark_durable(1);
  EXPECT_TRUE(rules.match(facts_of(10))->durable);
}

TEST(RuleSet, SecondPendingRevokeOfATokenStandsWhenTheFirstCommitFails) {
  RuleSet rules(10);
  const Sha256 token = digest_of(1);
  AdmissionFacts facts = facts_of(5);
  facts.token = &token;
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kToken, text_of(token))));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kToken, text_of(token))));
  rules.withdraw(1);
  ASSERT_NE(rules.match(facts), nullptr);
  EXPECT_EQ(rules.match(facts)->change, 2U);
  rules.withdraw(2);
  EXPECT_EQ(rules.match(facts), nullptr);
  EXPECT_EQ(rules.size(), 0U);
}

TEST(RuleSet, WithdrawnTokenRuleKeepsTheOlderDurableOne) {
  RuleSet rules(10);
  const Sha256 token = digest_of(1);
  AdmissionFacts facts = facts_of(5);
  facts.token = &token;
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kToken, text_of(token)))));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kToken, text_of(token))));
  EXPECT_FALSE(rules.match(facts)->durable);
  rules.withdraw(2);
  ASSERT_NE(rules.match(facts), nullptr);
  EXPECT_EQ(rules.match(facts)->change, 1U);
  EXPECT_TRUE(rules.match(facts)->durable);
}

TEST(RuleSet, DurableRuleCannotBeWithdrawn) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  rules.mark_durable(1);
  rules.withdraw(1);
  EXPECT_NE(rules.match(facts_of(10)), nullptr);
}

TEST(RuleSet, LateNewsOfALiftedChangeDoesNotTouchItsSuccessor) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  EXPECT_TRUE(rules.lift(RuleKind::kSubject, "", "alice"));
  EXPECT_FALSE(rules.lift(RuleKind::kSubject, "", "alice"));
  EXPECT_EQ(rules.match(facts_of(10)), nullptr);
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 20)));
  rules.withdraw(1);
  EXPECT_NE(rules.match(facts_of(20)), nullptr);
}

TEST(RuleSet, LiftTakesEveryPendingChangeOfItsRuleAndNoOther) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 20)));
  ASSERT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "alice", 30, "web")));
  EXPECT_TRUE(rules.lift(RuleKind::kSubject, "", "alice"));
  EXPECT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules.match(facts_of(5))->change, 3U);
  rules.mark_durable(2);
  EXPECT_EQ(rules.size(), 1U);
}

TEST(RuleSet, RefusesBeyondItsBoundAndStillTightensWhatItHas) {
  RuleSet rules(1);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  EXPECT_FALSE(rules.add(rule_of(2, RuleKind::kSubject, "bob", 10)));
  EXPECT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "alice", 20)));
  EXPECT_NE(rules.match(facts_of(20)), nullptr);
  EXPECT_EQ(rules.size(), 1U);
}

TEST(RuleSet, PurgeNeedsBothClocksPastTheRetention) {
  RuleSet rules(10);
  ASSERT_TRUE(
      rules.add(durable(rule_of(4, RuleKind::kSubject, "alice", 10))));  // ends at wall 1500, boot 600
  EXPECT_TRUE(rules.purge(1'501, 600, 10).empty());
  EXPECT_TRUE(rules.purge(1'500, 601, 10).empty());
  EXPECT_TRUE(rules.purge(std::numeric_limits<std::int64_t>::max(), 600, 10).empty());
  EXPECT_EQ(rules.purge(1'501, 601, 10), std::vector<std::uint64_t>{4});
  EXPECT_EQ(rules.size(), 0U);
  EXPECT_EQ(rules.match(facts_of(10)), nullptr);
}

TEST(RuleSet, RuleWithoutALifeIsNeverPurged) {
  RuleSet rules(10);
  Rule rule = durable(rule_of(1, RuleKind::kIssuer, "https://issuer.example", 10));
  rule.life_ns = 0;
  ASSERT_TRUE(rules.add(rule));
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(rules.purge(kEnd, kEnd, 10).empty());
}

TEST(RuleSet, LifeNearTheEndOfTimeDoesNotWrapRound) {
  RuleSet rules(10);
  Rule rule = durable(rule_of(1, RuleKind::kSubject, "alice", 10));
  rule.life_ns = std::numeric_limits<std::int64_t>::max() - 5;
  ASSERT_TRUE(rules.add(rule));
  rule.change = 2;
  rule.created_wall_ns = 2'000;
  ASSERT_TRUE(rules.add(rule));
  EXPECT_TRUE(rules.purge(1'000'000, 1'000'000, 10).empty());
}

TEST(RuleSet, LaterRuleExtendsRetentionAndNeverShortensIt) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  Rule shorter = durable(rule_of(2, RuleKind::kSubject, "alice", 20));
  shorter.created_wall_ns = 1'100;
  shorter.created_boot_ns = 200;
  shorter.life_ns = 1;
  ASSERT_TRUE(rules.add(shorter));
  EXPECT_TRUE(rules.purge(1'500, 601, 10).empty());
  EXPECT_TRUE(rules.purge(1'501, 600, 10).empty());
  Rule longer = shorter;
  longer.change = 3;
  longer.life_ns = 5'000;
  ASSERT_TRUE(rules.add(longer));
  EXPECT_TRUE(rules.purge(6'100, 5'201, 10).empty());
  EXPECT_EQ(rules.purge(6'101, 5'201, 10), std::vector<std::uint64_t>{3});
}

TEST(RuleSet, RetentionFollowsTheSlowerClockOfEitherRule) {
  Rule earlier = rule_of(1, RuleKind::kSubject, "alice");
  Rule later = rule_of(2, RuleKind::kSubject, "alice");
  later.created_wall_ns = 400;  // the wall clock was set back by 600 in between, BOOTTIME went on by 50
  later.created_boot_ns = 150;
  const Rule merged = merged_rule(earlier, later);
  EXPECT_EQ(merged.change, 2U);
  EXPECT_GE(merged.created_wall_ns + merged.life_ns, 1'500);
  EXPECT_GE(merged.created_boot_ns + merged.life_ns, 650);
  earlier.life_ns = 0;
  EXPECT_EQ(merged_rule(earlier, later).life_ns, 0);
  EXPECT_EQ(merged_rule(later, earlier).life_ns, 0);
}

TEST(RuleSet, WithdrawalTakesBackTheRetentionItExtended) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  Rule forever = rule_of(2, RuleKind::kSubject, "alice", 20);
  forever.life_ns = 0;
  ASSERT_TRUE(rules.add(forever));
  EXPECT_TRUE(rules.purge(9'000, 9'000, 10).empty());
  rules.withdraw(2);
  EXPECT_EQ(rules.purge(9'000, 9'000, 10), std::vector<std::uint64_t>{1});
}

TEST(RuleSet, PurgeKeepsWhatIsNotDurableYet) {
  RuleSet rules(10);
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  ASSERT_TRUE(rules.add(durable(rule_of(2, RuleKind::kSubject, "bob", 10))));
  ASSERT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "bob", 20)));
  EXPECT_TRUE(rules.purge(9'000, 9'000, 10).empty());
  rules.mark_durable(3);
  EXPECT_EQ(rules.purge(9'000, 9'000, 10), std::vector<std::uint64_t>{3});
  EXPECT_EQ(rules.size(), 1U);
}

TEST(RuleSet, PurgeInSlicesReachesEveryRuleBehindOnesThatStay) {
  RuleSet rules(1'000);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    Rule rule = durable(rule_of(i, RuleKind::kSubject, std::to_string(i), 10));
    if (i <= 50) rule.created_wall_ns = 1'000'000;
    ASSERT_TRUE(rules.add(rule));
  }
  std::size_t removed = 0;
  for (int slice = 0; slice < 20; ++slice) removed += rules.purge(5'000, 5'000, 10).size();
  EXPECT_EQ(removed, 50U);
  for (int slice = 0; slice < 20; ++slice) removed += rules.purge(2'000'000, 5'000, 10).size();
  EXPECT_EQ(removed, 100U);
}

TEST(RuleSet, ListGoesByChangeAndShowsEachRuleOnce) {
  RuleSet rules(100);
  ASSERT_TRUE(rules.add(rule_of(5, RuleKind::kSubject, "carol", 10)));
  ASSERT_TRUE(rules.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  ASSERT_TRUE(rules.add(rule_of(3, RuleKind::kSubject, "bob", 10)));
  ASSERT_TRUE(rules.add(rule_of(7, RuleKind::kSubject, "alice", 20)));
  const std::vector<Rule> all = rules.list(0, 100);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].value, "bob");
  EXPECT_EQ(all[1].value, "carol");
  EXPECT_EQ(all[2].value, "alice");
  EXPECT_EQ(all[2].not_before_ns, 20);
  const std::vector<Rule> page = rules.list(3, 1);
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].change, 5U);
}

TEST(RuleSet, AThousandTighteningsOfOneRuleLeaveOneRule) {
  RuleSet rules(10);
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    ASSERT_TRUE(rules.add(rule_of(i, RuleKind::kSubject, "alice", static_cast<std::int64_t>(i))));
    rules.mark_durable(i);
  }
  EXPECT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules.list(0, 100).size(), 1U);
  EXPECT_EQ(rules.match(facts_of(1'000))->change, 1'000U);
  EXPECT_EQ(rules.match(facts_of(1'001)), nullptr);
}

TEST(RuleSet, RuleFaultNamesWhatMustNotEnterTheDatabase) {
  EXPECT_FALSE(rule_fault(rule_of(1, RuleKind::kToken, text_of(digest_of(1)))));
  EXPECT_FALSE(rule_fault(rule_of(1, RuleKind::kSubject, "alice", 5)));
  EXPECT_TRUE(rule_fault(rule_of(1, RuleKind::kToken, "short")));
  EXPECT_TRUE(rule_fault(rule_of(0, RuleKind::kSubject, "alice")));
  EXPECT_TRUE(rule_fault(rule_of(1, RuleKind::kEverything, "x")));
  EXPECT_TRUE(rule_fault(rule_of(1, RuleKind::kSubject, "alice", -1)));
  EXPECT_TRUE(rule_fault(rule_of(1, static_cast<RuleKind>(10), "alice")));
  EXPECT_TRUE(rule_fault(rule_of(1, RuleKind::kSubject, std::string(5'000, 'a'))));
}

// Whoever reads a list of rules, the database or a log meets these words.
TEST(RuleSet, EachKindHasANameOfItsOwn) {
  const std::pair<RuleKind, std::string_view> names[] = {
      {RuleKind::kToken, "token"},     {RuleKind::kSigningInput, "signing_input"},
      {RuleKind::kJti, "jti"},         {RuleKind::kSid, "sid"},
      {RuleKind::kSubject, "subject"}, {RuleKind::kClient, "client"},
      {RuleKind::kIssuer, "issuer"},   {RuleKind::kKey, "key"},
      {RuleKind::kEverything, "everything"},
  };
  for (const auto& [kind, name] : names) EXPECT_EQ(rule_kind_name(kind), name);
  EXPECT_EQ(rule_kind_name(static_cast<RuleKind>(0)), "?");
  EXPECT_EQ(rule_kind_name(static_cast<RuleKind>(10)), "?");
}

TEST(RuleSet, WithdrawalOfEveryPendingChangeLeavesNoRule) {
  RuleSet rules(10);
  // One change may be made of several rules, and one rule of several changes: two layers fall with one number.
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 10)));
  ASSERT_TRUE(rules.add(rule_of(1, RuleKind::kSubject, "alice", 20)));
  rules.withdraw(1);
  EXPECT_EQ(rules.size(), 0U);
  EXPECT_EQ(rules.match(facts_of(5)), nullptr);
  EXPECT_TRUE(rules.list(0, 10).empty());
  ASSERT_TRUE(rules.add(rule_of(2, RuleKind::kSubject, "alice", 10)));
  EXPECT_NE(rules.match(facts_of(5)), nullptr);
}

TEST(RuleSet, GoesOnInAnotherPlace) {
  RuleSet first(10);
  ASSERT_TRUE(first.add(durable(rule_of(1, RuleKind::kSubject, "alice", 10))));
  ASSERT_TRUE(first.add(rule_of(2, RuleKind::kSubject, "alice", 20)));
  RuleSet second(std::move(first));
  RuleSet third(1);
  third = std::move(second);
  third.withdraw(2);
  ASSERT_NE(third.match(facts_of(10)), nullptr);
  EXPECT_EQ(third.match(facts_of(11)), nullptr);
  EXPECT_TRUE(third.add(rule_of(3, RuleKind::kSubject, "bob", 10))) << "the bound came along";
}

// The clock may have been wrong by centuries when one of them was made.
TEST(RuleSet, RetentionsOfClocksFarApartMergeIntoTheLongest) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  Rule early = rule_of(1, RuleKind::kSubject, "alice", 10);
  early.created_wall_ns = kMax - 100;
  Rule late = rule_of(2, RuleKind::kSubject, "alice", 20);
  late.created_wall_ns = std::numeric_limits<std::int64_t>::min() + 100;
  const Rule merged = merged_rule(early, late);
  EXPECT_EQ(merged.life_ns, kMax);
  const Rule back = merged_rule(late, [&] {
    Rule later = early;
    later.change = 3;
    return later;
  }());
  EXPECT_EQ(back.life_ns, 500) << "the end of the earlier one lies far in the past";
}

}  // namespace
