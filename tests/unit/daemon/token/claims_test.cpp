#include "daemon/token/claims.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "daemon/token/json.hpp"
#include "daemon/token/numeric_date.hpp"
#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::Confirmation;
using authcached::JwtPolicy;
using authcached::Proof;
using authcached::TokenType;

Proof judge(const Claims& set, const JwtPolicy& with = policy(), std::int64_t now_ns = kNow * kNanos) {
  const auto value = authcached::parse_json(set.json(), authcached::kTokenJson);
  EXPECT_TRUE(value) << set.json();
  return authcached::judge_claims(value->get_object(), with, now_ns);
}

// kNone: valid.
Reason reason_of(const Claims& set, const JwtPolicy& with = policy(), std::int64_t now_ns = kNow * kNanos) {
  const Proof proof = judge(set, with, now_ns);
  EXPECT_EQ(proof.verdict == Verdict::kValid, proof.reason == Reason::kNone);
  return proof.reason;
}

JwtPolicy legacy() {
  JwtPolicy with = policy();
  with.token_type = TokenType::kLegacy;
  return with;
}

JwtPolicy with_leeway(std::int64_t seconds) {
  JwtPolicy with = policy();
  with.leeway_ns = seconds * kNanos;
  return with;
}

using Strings = std::vector<std::string>;

TEST(Claims, WhatTheTokenSaysBecomesTheIdentity) {
  const Proof proof =
      judge(claims().text("sid", "s-9").text("scope", "read write").set("permissions", R"(["orders:read"])"));
  ASSERT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_EQ(proof.identity.subject, "alice");
  EXPECT_EQ(proof.identity.issuer, kIssuer);
  EXPECT_EQ(proof.identity.client_id, "web");
  EXPECT_EQ(proof.identity.jti, "t-1");
  EXPECT_EQ(proof.identity.sid, "s-9");
  EXPECT_EQ(proof.identity.audience, Strings{std::string(kAudience)});
  EXPECT_EQ(proof.identity.scopes, (Strings{"read", "write"}));
  EXPECT_EQ(proof.identity.permissions, Strings{"orders:read"});
  EXPECT_FALSE(proof.identity.confirmation);
  EXPECT_EQ(proof.expires_wall_ns, (kNow + 300) * kNanos);
  EXPECT_EQ(proof.issued_wall_ns, kNow * kNanos);
}

TEST(Claims, TheJsonTextHoldsEveryClaimOnce) {
  const Claims set = claims().set("nested", R"({"a":[1,2.5,"\u00e9"]})");
  const Proof proof = judge(set);
  const auto again = authcached::parse_json(proof.identity.claims_json, authcached::kTokenJson);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *authcached::parse_json(set.json(), authcached::kTokenJson));
}

TEST(Claims, A5_3_TheIssuerMustBeTheSameString) {
  for (const char* issuer :
       {"\"https://issuer.example/\"", "\"https://ISSUER.example\"", "\"https://issuer.example.evil\"",
        "\"https://issuer\"", "[\"https://issuer.example\"]", "\"\"", "null", "7",
        R"("https://issuer.example\u0000")"}) {
    EXPECT_EQ(reason_of(claims().set("iss", issuer)), Reason::kIssuer) << issuer;
    EXPECT_EQ(reason_of(claims().set("iss", issuer), legacy()), Reason::kIssuer) << issuer;
  }
  JwtPolicy nobody = policy();
  nobody.issuer.clear();
  EXPECT_EQ(reason_of(claims().set("iss", "\"\""), nobody), Reason::kIssuer);
}

TEST(Claims, A5_4_TheAudienceIsCollectedAndItsShapeJudged) {
  EXPECT_EQ(judge(claims().set("aud", R"(["a","b"])")).identity.audience, (Strings{"a", "b"}));
  for (const char* audience :
       {"[]", "7", "null", "[1]", R"(["a",null])", "{}", "\"\"", R"([""])", R"("a\u0000b")"}) {
    EXPECT_EQ(reason_of(claims().set("aud", audience)), Reason::kClaims) << audience;
  }
  std::string many = "[";
  for (std::size_t i = 0; i < authcached::kAudiencesMax; ++i) many += "\"a" + std::to_string(i) + "\",";
  EXPECT_EQ(reason_of(claims().set("aud", many.substr(0, many.size() - 1) + "]")), Reason::kNone);
  EXPECT_EQ(reason_of(claims().set("aud", many + "\"x\"]")), Reason::kClaims);
}

TEST(Claims, A5_5_EachRequiredClaimMustBeThere) {
  for (const char* name : {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}) {
    EXPECT_EQ(reason_of(claims().without(name)), Reason::kClaims) << name;
    const bool required = std::string_view(name) == "iss" || std::string_view(name) == "exp";
    EXPECT_EQ(reason_of(claims().without(name), legacy()), required ? Reason::kClaims : Reason::kNone)
        << name;
  }
}

TEST(Claims, A5_5_AClaimOfAnotherTypeIsRefusedEvenWhereItIsOptional) {
  for (const char* name : {"sub", "client_id", "jti", "sid"}) {
    for (const char* value : {"7", "null", "[\"a\"]", "true", "{}", "\"\""}) {
      EXPECT_EQ(reason_of(claims().set(name, value)), Reason::kClaims) << name << value;
      EXPECT_EQ(reason_of(claims().set(name, value), legacy()), Reason::kClaims) << name << value;
    }
  }
}

TEST(Claims, A5_6_ATokenIsValidIffNowIsBeforeItsExpiryPlusLeeway) {
  for (const std::int64_t leeway : {0, 1, 60, 300}) {
    const std::int64_t end = (kNow + 300 + leeway) * kNanos;
    EXPECT_EQ(reason_of(claims(), with_leeway(leeway), end - 1), Reason::kNone) << leeway;
    EXPECT_EQ(reason_of(claims(), with_leeway(leeway), end), Reason::kExpired) << leeway;
    EXPECT_EQ(reason_of(claims(), with_leeway(leeway), end + 1), Reason::kExpired) << leeway;
    EXPECT_EQ(judge(claims(), with_leeway(leeway)).expires_wall_ns, end);
  }
}

TEST(Claims, A5_10_ALeewayBeyondItsBoundOrNegativeIsCutToTheBound) {
  const std::int64_t end = (kNow + 300) * kNanos;
  EXPECT_EQ(judge(claims(), with_leeway(100'000)).expires_wall_ns, end + authcached::kLeewayMaxNs);
  EXPECT_EQ(judge(claims(), with_leeway(-5)).expires_wall_ns, end);
}

TEST(Claims, A5_7_AnExpiryThatIsNoSoundDateIsRefused) {
  for (const char* exp :
       {"-1", "-0.5", "9007199254740993", "9223372036854775808", "18446744073709551621", "1e300", "1e19",
        "\"1700000300\"", "null", "true", "[1700000300]", "9000000001", "1700000300000", "{}"}) {
    EXPECT_EQ(reason_of(claims().set("exp", exp)), Reason::kClaims) << exp;
  }
  EXPECT_EQ(reason_of(claims().set("exp", "0").set("iat", "0")), Reason::kExpired);
  EXPECT_EQ(reason_of(claims().set("exp", "2147483648")), Reason::kLifetime);
}

TEST(Claims, A5_7_FractionsRoundTowardsAShorterLife) {
  const Proof proof =
      judge(claims().set("exp", "1700000300.9").set("iat", "1699999999.9").set("nbf", "1699999999.1"));
  EXPECT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_EQ(proof.expires_wall_ns, (kNow + 300) * kNanos);
  EXPECT_EQ(proof.issued_wall_ns, (kNow - 1) * kNanos);
  EXPECT_EQ(judge(claims().set("nbf", "1700000000.1")).retry_wall_ns, (kNow + 1) * kNanos);
  EXPECT_EQ(judge(claims().set("exp", "1.7000003e9")).expires_wall_ns, (kNow + 300) * kNanos);
}

TEST(Claims, A5_7_OtherDatesAreHeldToTheSameRules) {
  for (const char* date : {"-1", "1e300", "\"1700000000\"", "null", "true", "9000000001"}) {
    EXPECT_EQ(reason_of(claims().set("nbf", date)), Reason::kClaims) << date;
    EXPECT_EQ(reason_of(claims().set("iat", date)), Reason::kClaims) << date;
    EXPECT_EQ(reason_of(claims().set("iat", date), legacy()), Reason::kClaims) << date;
  }
}

TEST(Claims, A5_8_ATokenFromTheFutureIsRefusedUntilItsTime) {
  const Claims later = claims().number("nbf", kNow + 100);
  const Proof early = judge(later);
  EXPECT_EQ(early.reason, Reason::kNotYetValid);
  EXPECT_EQ(early.retry_wall_ns, (kNow + 100) * kNanos);
  EXPECT_EQ(reason_of(later, policy(), (kNow + 100) * kNanos - 1), Reason::kNotYetValid);
  EXPECT_EQ(reason_of(later, policy(), (kNow + 100) * kNanos), Reason::kNone);
  EXPECT_EQ(judge(later, with_leeway(30)).retry_wall_ns, (kNow + 70) * kNanos);
  EXPECT_EQ(reason_of(later, with_leeway(100)), Reason::kNone);
  EXPECT_FALSE(judge(claims().number("exp", kNow)).retry_wall_ns);
}

TEST(Claims, A5_9_AnIssueTimeAheadOfTheClockIsNotYetValid) {
  EXPECT_EQ(reason_of(claims().number("iat", kNow + 1)), Reason::kNotYetValid);
  EXPECT_EQ(judge(claims().number("iat", kNow + 1)).retry_wall_ns, (kNow + 1) * kNanos);
  EXPECT_EQ(reason_of(claims().number("iat", kNow + 1), with_leeway(1)), Reason::kNone);
  EXPECT_EQ(reason_of(claims().number("iat", kNow + 86'400).number("exp", kNow + 90'000)),
            Reason::kNotYetValid);
}

TEST(Claims, A5_9_AnExpiryBeforeTheIssueIsRefused) {
  EXPECT_EQ(reason_of(claims().number("iat", kNow).number("exp", kNow - 1), with_leeway(60)),
            Reason::kClaims);
}

TEST(Claims, A5_9_ALifetimeBeyondTheMaximumIsRefused) {
  JwtPolicy with = policy();
  with.max_lifetime_ns = 300 * kNanos;
  EXPECT_EQ(reason_of(claims(), with), Reason::kNone);
  EXPECT_EQ(reason_of(claims().number("exp", kNow + 301), with), Reason::kLifetime);
  with.max_lifetime_ns = 0;  // none
  EXPECT_EQ(reason_of(claims().number("exp", kNow + 1'000'000'000), with), Reason::kNone);
}

TEST(Claims, A5_9_WithoutAnIssueTimeTheLifetimeCountsFromNow) {
  JwtPolicy with = legacy();
  with.max_lifetime_ns = 300 * kNanos;
  EXPECT_EQ(reason_of(claims().without("iat"), with), Reason::kNone);
  EXPECT_EQ(reason_of(claims().without("iat").number("exp", kNow + 301), with), Reason::kLifetime);
  EXPECT_FALSE(judge(claims().without("iat"), with).issued_wall_ns);
}

TEST(Claims, NoMomentOfTheClockWrapsTheArithmetic) {
  using Limits = std::numeric_limits<std::int64_t>;
  const Claims far = claims().number("exp", authcached::kNumericDateMaxSeconds);
  for (const std::int64_t now : {Limits::min(), Limits::min() + 1, std::int64_t{-1}, std::int64_t{0},
                                 Limits::max() - 1, Limits::max()}) {
    JwtPolicy with = with_leeway(300);
    with.max_lifetime_ns = Limits::max();
    EXPECT_NE(reason_of(far, with, now), Reason::kNone) << now;
    with.token_type = TokenType::kLegacy;
    const Reason reason = reason_of(Claims(far).without("iat"), with, now);
    if (now >= 0) {
      EXPECT_EQ(reason, now < Limits::max() - 1 ? Reason::kNone : Reason::kExpired) << now;
    }
  }
}

TEST(Claims, A5_11_IdentifiersAreBoundedAndHoldAnyTextButNul) {
  for (const char* name : {"sub", "client_id", "jti", "sid"}) {
    EXPECT_EQ(reason_of(claims().text(name, std::string(authcached::kIdentifierBytesMax, 'a'))),
              Reason::kNone)
        << name;
    EXPECT_EQ(reason_of(claims().text(name, std::string(authcached::kIdentifierBytesMax + 1, 'a'))),
              Reason::kClaims)
        << name;
    EXPECT_EQ(reason_of(claims().set(name, R"("a\u0000b")")), Reason::kClaims) << name;
  }
  EXPECT_EQ(judge(claims().set("sub", R"("o'hara\n\"\u001b[31m")")).identity.subject, "o'hara\n\"\x1b[31m");
}

TEST(Claims, A5_2_ClaimsThatOnlyOtherKindsOfTokenHaveAreRefused) {
  for (const char* name : {"at_hash", "c_hash", "events"}) {
    EXPECT_EQ(reason_of(claims().set(name, "{}")), Reason::kType) << name;
    EXPECT_EQ(reason_of(claims().set(name, "\"x\""), legacy()), Reason::kType) << name;
  }
}

TEST(Claims, ScopesAreSplitAtSpacesWithoutRepetitions) {
  EXPECT_EQ(judge(claims().text("scope", " read  write read ")).identity.scopes, (Strings{"read", "write"}));
  EXPECT_TRUE(judge(claims().text("scope", "")).identity.scopes.empty());
  for (const char* scope :
       {R"("a\tb")", R"("a\"b")", R"("caf\u00e9")", R"(["read"])", "7", "null", R"("a\u0000")"}) {
    EXPECT_EQ(reason_of(claims().set("scope", scope)), Reason::kClaims) << scope;
  }
  EXPECT_EQ(reason_of(claims().text("scope", std::string(authcached::kGrantBytesMax + 1, 's'))),
            Reason::kClaims);
}

TEST(Claims, TheLegacyTypeReadsScpWhereThereIsNoScope) {
  EXPECT_EQ(judge(claims().set("scp", R"(["a","b","a"])"), legacy()).identity.scopes, (Strings{"a", "b"}));
  EXPECT_EQ(judge(claims().text("scp", "a b"), legacy()).identity.scopes, (Strings{"a", "b"}));
  EXPECT_EQ(judge(claims().text("scope", "c").set("scp", R"(["a"])"), legacy()).identity.scopes,
            Strings{"c"});
  EXPECT_TRUE(judge(claims().set("scp", R"(["a"])")).identity.scopes.empty());
  EXPECT_EQ(reason_of(claims().set("scp", R"(["read admin"])"), legacy()), Reason::kClaims);
  EXPECT_EQ(reason_of(claims().set("scp", R"(["a",1])"), legacy()), Reason::kClaims);
  EXPECT_EQ(reason_of(claims().set("scp", "7"), legacy()), Reason::kClaims);
  EXPECT_EQ(reason_of(claims().set("scope", R"(["a"])"), legacy()), Reason::kClaims);
}

TEST(Claims, RolesBecomePermissionsUnderTheirOwnPrefix) {
  const Proof proof = judge(claims()
                                .set("permissions", R"(["a","role:admin"])")
                                .set("roles", R"(["editor","Domain Users"])")
                                .set("groups", "7"));
  EXPECT_EQ(proof.identity.permissions, (Strings{"a", "role:editor", "role:Domain Users"}));
  for (const char* name : {"permissions", "roles"}) {
    for (const char* value : {"\"a\"", "7", "[1]", R"([""])", R"(["a\u0001"])", "{}"}) {
      EXPECT_EQ(reason_of(claims().set(name, value)), Reason::kClaims) << name << value;
    }
  }
}

TEST(Claims, GrantsAreBounded) {
  std::string list = "[", text;
  for (std::size_t i = 0; i < authcached::kGrantsMax; ++i) {
    list += "\"p" + std::to_string(i) + "\",";
    text += "s" + std::to_string(i) + " ";
  }
  EXPECT_EQ(reason_of(claims().set("permissions", list.substr(0, list.size() - 1) + "]")), Reason::kNone);
  EXPECT_EQ(reason_of(claims().set("permissions", list + "\"x\"]")), Reason::kClaims);
  EXPECT_EQ(reason_of(claims().text("scope", text)), Reason::kNone);
  EXPECT_EQ(reason_of(claims().text("scope", text + "x")), Reason::kClaims);
}

const std::string kThumbprint = base64url(std::string(32, '\x5a'));

TEST(Claims, A8_1_ABindingBecomesAFact) {
  const auto dpop = judge(claims().set("cnf", R"({"jkt":")" + kThumbprint + "\"}"));
  ASSERT_EQ(dpop.verdict, Verdict::kValid);
  ASSERT_TRUE(dpop.identity.confirmation);
  EXPECT_EQ(dpop.identity.confirmation->kind, Confirmation::Kind::kJwkThumbprint);
  EXPECT_EQ(dpop.identity.confirmation->thumbprint[31], 0x5a);
  const auto tls = judge(claims().set("cnf", R"({"x5t#S256":")" + kThumbprint + "\"}"));
  ASSERT_TRUE(tls.identity.confirmation);
  EXPECT_EQ(tls.identity.confirmation->kind, Confirmation::Kind::kCertificate);
}

TEST(Claims, A8_5_ABindingThatIsNotUnderstoodRefusesTheToken) {
  const std::string jkt = R"("jkt":")" + kThumbprint + "\"";
  for (const std::string& cnf :
       {std::string("{}"), std::string("null"), std::string("[]"), std::string("\"x\""),
        std::string(R"({"kid":"a"})"), std::string(R"({"jwk":{"kty":"EC"}})"), std::string(R"({"x":"y"})"),
        "{" + jkt + R"(,"kid":"a"})", "{" + jkt + R"(,"x5t#S256":")" + kThumbprint + "\"}",
        std::string(R"({"jkt":7})"), std::string(R"({"jkt":"AAAA"})"), R"({"jkt":")" + kThumbprint + "=\"}",
        R"({"jkt":")" + kThumbprint.substr(0, 42) + "p\"}", R"({"JKT":")" + kThumbprint + "\"}",
        R"({"jkt":")" + base64url(std::string(33, 'a')) + "\"}"}) {
    EXPECT_EQ(reason_of(claims().set("cnf", cnf)), Reason::kConfirmation) << cnf;
    EXPECT_EQ(reason_of(claims().set("cnf", cnf), legacy()), Reason::kConfirmation) << cnf;
  }
}

}  // namespace
