#include "daemon/cache/admission.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::testing::Cache;
using authcached::testing::kSecond;

TEST(Admission, B10_ARecordEndsWithItsTokenAndNeverLater) {
  Cache cache;
  cache.admit("tok", cache.valid(5 * kSecond));
  cache.clock.pass(5 * kSecond - 20'000'000);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  cache.clock.pass(20'000'000);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Admission, B10_TtlMaxBoundsWhatTheTokenAllows) {
  Cache cache;
  cache.admit("tok", cache.valid(3'000 * kSecond));
  cache.clock.pass(300 * kSecond);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Admission, AnEndedTokenIsInvalidWhateverItsUpstreamSaid) {
  Cache cache;
  EXPECT_EQ(cache.admit("tok", cache.valid(0)).reason, Reason::kExpired);
  EXPECT_NE(cache.seen("tok"), Verdict::kValid);
}

// Valid with less than a tick to live would name a place where the waiter finds nothing.
TEST(Admission, ATokenThatEndsBeforeItsRecordCouldBeReadIsExpired) {
  Cache cache;
  const auto tick = static_cast<std::int64_t>(cache.tables.newest().writer.view().tick_ns);
  EXPECT_EQ(cache.admit("last", cache.valid(2 * tick)).reason, Reason::kExpired);
  EXPECT_EQ(cache.admit("later", cache.valid(2 * tick + 1)).verdict, Verdict::kValid);
  EXPECT_EQ(cache.seen("later"), Verdict::kValid);
}

TEST(Admission, B11_AClockSetBackDoesNotRaiseAnExpiredToken) {
  Cache cache;
  const auto proof = cache.valid(10 * kSecond);
  cache.clock.wall += 20 * kSecond;
  EXPECT_EQ(cache.admit("tok", proof).reason, Reason::kExpired);
  cache.clock.wall -= 3'600 * kSecond;
  EXPECT_EQ(cache.admit("tok", proof).reason, Reason::kExpired);
}

TEST(Admission, ATokenThatOutlivesItsProfilesRulesIsRefused) {
  Cache cache;
  EXPECT_EQ(cache.admit("tok", cache.valid(3'601 * kSecond)).reason, Reason::kLifetime);
  auto aged = cache.valid(3'000 * kSecond);
  *aged.issued_wall_ns -= 700 * kSecond;
  EXPECT_EQ(cache.admit("aged", aged).reason, Reason::kLifetime) << "counted from its issue";
  auto wrapping = cache.valid();
  wrapping.issued_wall_ns = INT64_MIN;
  wrapping.expires_wall_ns = INT64_MAX;
  EXPECT_EQ(cache.admit("wrapping", wrapping).reason, Reason::kLifetime);
}

TEST(Admission, B12_NegativesHaveAQuotaAndNeverEvictPositives) {
  Cache cache(10);
  for (int i = 0; i < 100; ++i) cache.admit("good" + std::to_string(i), cache.valid());
  for (int i = 0; i < 5'000; ++i) cache.admit("bad" + std::to_string(i), Cache::invalid());
  EXPECT_LE(cache.tables.newest().writer.negative(), 10u);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.seen("good" + std::to_string(i)), Verdict::kValid);
}

TEST(Admission, B12_ANegativeEndsWhenItsAnswerMayChange) {
  Cache cache;
  auto early = Cache::invalid();
  early.retry_wall_ns = cache.clock.wall + kSecond;
  cache.admit("tok", early);
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
  cache.clock.pass(kSecond);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.admit("tok", cache.valid()).verdict, Verdict::kValid);
}

TEST(Admission, ALaterInvalidTakesTheValidRecordAwayEvenWithoutRoomForItself) {
  Cache cache(0);
  cache.admit("tok", cache.valid());
  cache.admit("tok", Cache::invalid());
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Admission, AnythingButValidAndInvalidIsNeverStored) {
  Cache cache;
  for (const auto verdict : {Verdict::kMiss, Verdict::kForbidden, Verdict::kUnavailable}) {
    auto proof = cache.valid();
    proof.verdict = verdict;
    EXPECT_EQ(cache.admit("tok", proof).verdict, Verdict::kUnavailable);
  }
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
}

struct Kept : ::testing::Test {
  bool keeps(std::string_view token) {
    authcache::shm::Found found;
    if (!cache.tables.find(authcache::shm::key_of(cache.digest_of(token)), found)) return false;
    const auto& view = cache.tables.newest().writer.view();
    alignas(8) std::uint64_t buffer[authcache::shm::kTextMax / 8];
    authcache::shm::ColdRecord cold;
    const auto text = authcache::shm::read_text(view, found.slot, found.record.control, buffer, cold);
    return text && cache.admission.may_keep(view, cache.profiles, found.record, cold, *text);
  }
  Cache cache;
};

TEST_F(Kept, ARecordUnderNoRuleIsKept) {
  cache.admit("tok", cache.valid());
  EXPECT_TRUE(keeps("tok"));
}

TEST_F(Kept, ARecordOfAProfileThatIsGoneIsNot) {
  cache.admit("tok", cache.valid());
  cache.profiles.clear();
  EXPECT_FALSE(keeps("tok"));
}

TEST_F(Kept, ARecordOfAKeyThatIsGoneIsNot) {
  cache.admit("tok", cache.valid());
  cache.upstream->knows_key = false;
  EXPECT_FALSE(keeps("tok"));
}

TEST_F(Kept, D8_ARecordWhoseKeysAreNotKnownYetWaitsForThem) {
  cache.admit("tok", cache.valid());
  cache.upstream->knows_key = false;
  cache.upstream->is_ready = false;
  EXPECT_TRUE(keeps("tok"));
}

TEST(Admission, A4_15_WhatAKeySetTooOldProvedIsUnavailableAndBecomesNoRecord) {
  Cache cache;
  auto proof = cache.valid();
  proof.keep_until_wall_ns = cache.clock.wall;
  const auto admitted = cache.admit("tok", proof);
  EXPECT_EQ(admitted.verdict, Verdict::kUnavailable);
  EXPECT_EQ(admitted.reason, Reason::kUpstream);
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
  proof.keep_until_wall_ns = cache.clock.wall + 60 * kSecond;
  EXPECT_EQ(cache.admit("tok", proof).verdict, Verdict::kValid);
}

TEST_F(Kept, ARecordThatOutlivesItsProfilesMaximumIsNot) {
  cache.admit("tok", cache.valid());
  cache.clock.monotonic -= 60 * kSecond;
  EXPECT_FALSE(keeps("tok"));
}

TEST_F(Kept, B5_ARecordUnderARuleIsNotWhicheverWayTheRuleNamesIt) {
  using authcached::Rule;
  using authcached::RuleKind;
  auto proof = cache.valid();
  proof.signing_input = authcached::sha256("h.p");
  proof.identity.sid = "s1";
  proof.identity.client_id = "c1";
  cache.admit("h.p.s", proof);
  const auto text_of = [](const authcached::Sha256& hash) { return std::string(reinterpret_cast<const char*>(hash.data()), hash.size()); };
  const std::pair<RuleKind, std::string> names[] = {{RuleKind::kSigningInput, text_of(authcached::token_hash(authcached::sha256("h.p")))},
                                                    {RuleKind::kKey, text_of(authcached::sha256("key"))},
                                                    {RuleKind::kSid, "s1"},
                                                    {RuleKind::kSubject, "alice"},
                                                    {RuleKind::kClient, "c1"},
                                                    {RuleKind::kIssuer, "https://issuer.example"},
                                                    {RuleKind::kEverything, ""}};
  std::uint64_t change = 0;
  for (const auto& [kind, value] : names) {
    Rule rule;
    rule.change = ++change;
    rule.kind = kind;
    rule.value = value;
    rule.not_before_ns = cache.clock.wall;
    ASSERT_TRUE(keeps("h.p.s"));
    ASSERT_TRUE(cache.rules.add(rule));
    EXPECT_FALSE(keeps("h.p.s")) << authcached::rule_kind_name(kind);
    ASSERT_TRUE(cache.rules.lift(kind, "", value));
  }
}

TEST(Admission, AnOwnSessionIsForTheAudienceOfItsProfileAndForNoOther) {
  Cache cache;
  authcached::ProfileConfig config;
  config.name = "shop";
  config.upstream = authcached::UpstreamKind::kSqlite;
  config.audience = {"shop-api", "shop-admin"};
  cache.set_profile(config);
  auto proof = cache.valid();
  proof.identity.issuer.clear();
  proof.identity.audience = {"what a row said"};
  proof.key_thumbprint.reset();
  ASSERT_EQ(cache.admit("tok", proof).verdict, Verdict::kValid);
  config.query = "SELECT subject FROM s WHERE k = ?1";  // somebody else's schema says itself whom its tokens are for
  const auto audience_of = [&](std::string_view token) {
    std::vector<std::string> audience;
    authcache::shm::Found found;
    EXPECT_TRUE(cache.tables.find(authcache::shm::key_of(cache.digest_of(token)), found));
    alignas(8) std::uint64_t buffer[authcache::shm::kTextMax / 8];
    authcache::shm::ColdRecord cold;
    const auto text = authcache::shm::read_text(cache.tables.newest().writer.view(), found.slot, found.record.control, buffer, cold);
    authcache::shm::TextCursor cursor(text.value_or(std::string_view()));
    while (const auto item = cursor.next()) {
      if (item->field == authcache::shm::TextField::kAudience) audience.emplace_back(item->value);
    }
    return audience;
  };
  EXPECT_EQ(audience_of("tok"), (std::vector<std::string>{"shop-api", "shop-admin"}));
  cache.set_profile(config);
  ASSERT_EQ(cache.admit("foreign", proof).verdict, Verdict::kValid);
  EXPECT_EQ(audience_of("foreign"), std::vector<std::string>{"what a row said"});
}

// A record that outlived it would say what its upstream has just taken back.
TEST(Admission, AnAnswerThatMayNotBeKeptTakesTheOlderOneAway) {
  Cache cache;
  cache.admit("tok", cache.valid());
  auto refused = Cache::invalid();
  refused.retry_wall_ns = cache.clock.wall;
  const auto admitted = cache.admit("tok", refused);
  EXPECT_EQ(admitted.verdict, Verdict::kInvalid);
  EXPECT_EQ(admitted.places.count, 0);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Admission, AnIdentityThatCannotBeKeptWholeIsUnavailableAndTakesTheOlderOneAway) {
  Cache cache;
  cache.admit("tok", cache.valid());
  auto proof = cache.valid();
  proof.identity.claims_json = std::string(authcached::OversizeTexts::kTextMax, 'x');
  const auto admitted = cache.admit("tok", proof);
  EXPECT_EQ(admitted.verdict, Verdict::kUnavailable);
  EXPECT_EQ(admitted.reason, Reason::kOverloaded);
  EXPECT_EQ(admitted.places.count, 0);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Admission, A8_ASenderConstrainedTokensRecordSaysSo) {
  Cache cache;
  auto proof = cache.valid();
  proof.identity.confirmation = {authcached::Confirmation::Kind::kJwkThumbprint, authcached::sha256("client key")};
  cache.admit("bound", proof);
  cache.admit("bearer", cache.valid());
  for (const char* token : {"bound", "bearer"}) {
    authcache::shm::Found found;
    ASSERT_TRUE(cache.tables.find(authcache::shm::key_of(cache.digest_of(token)), found));
    const bool says_so = (authcache::shm::unpack_facts(found.record.facts).flags & authcache::shm::kHasConfirmation) != 0;
    EXPECT_EQ(says_so, token == std::string("bound"));
  }
}

}  // namespace
