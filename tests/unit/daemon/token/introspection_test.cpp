// What an introspection endpoint's answers mean. An answer that is not understood says nothing about the token.
#include "daemon/token/introspection.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;

constexpr const char* kClient = "rs";
constexpr const char* kSignedType = R"({"alg":"ES256","kid":"k","typ":"token-introspection+jwt"})";

IntrospectionPolicy asked_by_rs() {
  IntrospectionPolicy policy;
  policy.issuer = kIssuer;
  policy.client_id = kClient;
  policy.algorithms = {Algorithm::kES256};
  policy.max_lifetime_ns = 3'600 * kNanos;
  return policy;
}

Claims active() { return claims().set("active", "true").text("token_type", "Bearer"); }

// "valid", "invalid/expired", or "nothing" with why.
std::string text_of(const authcache::shm::Result<Proof>& proof) {
  if (!proof) return "nothing";
  const std::string verdict(authcache::shm::verdict_name(proof->verdict)), reason(authcache::shm::reason_name(proof->reason));
  return reason.empty() ? verdict : verdict + "/" + reason;
}
std::string judged(const std::string& body, const IntrospectionPolicy& policy = asked_by_rs()) {
  return text_of(judge_introspection(body, policy, kNow * kNanos));
}
std::string judged(const Claims& answer, const IntrospectionPolicy& policy = asked_by_rs()) { return judged(answer.json(), policy); }

TEST(Introspection, AnActiveTokenIsValidUntilTheEndThatItsIssuerTold_A6_1) {
  IntrospectionPolicy policy = asked_by_rs();
  policy.leeway_ns = 60 * kNanos;  // lengthens nothing: "MUST NOT be cached beyond" exp
  const auto proof = judge_introspection(active().text("scope", "read write").json(), policy, kNow * kNanos);
  ASSERT_EQ(text_of(proof), "valid");
  EXPECT_EQ(proof->expires_wall_ns, (kNow + 300) * kNanos);
  EXPECT_EQ(proof->identity.subject, "alice");
  EXPECT_EQ(proof->identity.client_id, "web");
  EXPECT_EQ(proof->identity.issuer, kIssuer);
  EXPECT_EQ(proof->identity.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(proof->identity.audience, std::vector<std::string>{std::string(kAudience)});
}

TEST(Introspection, OnlyTheBooleanTrueIsActive_A6_2) {
  for (const char* value : {R"("true")", "1", "null", "[true]", R"({"active":true})", "1.0", R"("")"}) {
    EXPECT_EQ(judged(active().set("active", value)), "nothing") << value;
  }
  EXPECT_EQ(judged(active().without("active")), "nothing");
  for (const char* body : {"", "true", "[]", R"([{"active":true}])", R"({"active":true,"active":true})", R"({"active":false,"active":true})",
                           R"({"active":true)", R"({"active":true}x)", "<html>active</html>", R"({"Active":true})"}) {
    EXPECT_EQ(judged(body), "nothing") << body;
  }
}

TEST(Introspection, OfATokenThatIsNotActiveNothingElseIsBelieved_A6_3) {
  EXPECT_EQ(judged(R"({"active":false})"), "invalid/unknown");
  const auto proof = judge_introspection(active().set("active", "false").json(), asked_by_rs(), kNow * kNanos);
  ASSERT_EQ(text_of(proof), "invalid/unknown");
  EXPECT_TRUE(proof->identity.subject.empty());
  EXPECT_FALSE(proof->expires_wall_ns);
  EXPECT_EQ(judged(R"({"active":false,"exp":"never","sub":7})"), "invalid/unknown");
}

TEST(Introspection, WhatItsIssuerCallsActiveIsCheckedByUsToo_A6_4) {
  EXPECT_EQ(judged(active().number("exp", kNow)), "invalid/expired");
  EXPECT_EQ(judged(active().number("exp", kNow - 10'000).number("iat", kNow - 20'000)), "invalid/expired");
  EXPECT_EQ(judged(active().number("nbf", kNow + 60)), "invalid/not_yet_valid");
  EXPECT_EQ(judged(active().text("iss", "https://other.example")), "invalid/issuer");
  EXPECT_EQ(judged(active().number("exp", kNow + 3'601)), "invalid/lifetime");
  IntrospectionPolicy any = asked_by_rs();
  any.issuer.clear();
  EXPECT_EQ(judged(active().text("iss", "https://other.example"), any), "valid");
}

TEST(Introspection, AMemberOfAWrongTypeMakesTheWholeAnswerNone_A6_2) {
  for (const char* member : {"exp", "iat", "nbf", "sub", "client_id", "scope", "aud", "jti"}) {
    EXPECT_NE(judged(active().set(member, R"({"a":1})")), "valid") << member;
  }
  EXPECT_EQ(judged(active().set("exp", R"("soon")")), "nothing");
  EXPECT_EQ(judged(active().set("sub", "7")), "nothing");
}

TEST(Introspection, WithoutAnEndTheTokenHasNoneOfItsOwn_A6_5) {
  const auto proof = judge_introspection(active().without("exp").json(), asked_by_rs(), kNow * kNanos);
  ASSERT_EQ(text_of(proof), "valid");
  EXPECT_FALSE(proof->expires_wall_ns);  // ttl_max bounds the record
}

TEST(Introspection, ARefreshTokenIsNoAccessToken) {
  EXPECT_EQ(judged(active().without("token_type")), "invalid/type");
  EXPECT_EQ(judged(active().text("token_type", "refresh_token")), "invalid/type");
  EXPECT_EQ(judged(active().text("token_use", "refresh_token")), "invalid/type");
  EXPECT_EQ(judged(active().text("token_type", "bearer")), "valid");
  IntrospectionPolicy lax = asked_by_rs();
  lax.token_type_required = false;
  EXPECT_EQ(judged(active().without("token_type"), lax), "valid");
}

TEST(Introspection, ABoundTokenKeepsItsBond_A6_13) {
  const auto bound = judge_introspection(
      active().text("token_type", "DPoP").set("cnf", R"({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})").json(), asked_by_rs(), kNow * kNanos);
  ASSERT_EQ(text_of(bound), "valid");
  ASSERT_TRUE(bound->identity.confirmation);
  EXPECT_EQ(bound->identity.confirmation->kind, Confirmation::Kind::kJwkThumbprint);
  // Bound to what is not told: it could not be checked.
  EXPECT_EQ(judged(active().text("token_type", "DPoP")), "invalid/confirmation");
  EXPECT_EQ(judged(active().set("cnf", R"({"strange":"x"})")), "invalid/confirmation");
}

// RFC 9701
class SignedAnswer : public ::testing::Test {
 protected:
  Claims envelope(const std::string& members) const {
    return Claims(kIssuer, kClient, kNow).without("sub").without("exp").without("jti").without("client_id").set("token_introspection", members);
  }
  std::string answer(const Claims& claims, const char* header = kSignedType) const { return mint(key_, "ES256", header, claims.json()); }
  std::string judged(const std::string& body, std::int64_t now_s = kNow) const { return text_of(judge(body, now_s)); }
  authcache::shm::Result<Proof> judge(const std::string& body, std::int64_t now_s = kNow) const {
    return judge_signed_introspection(body, asked_by_rs(), keys_, now_s * kNanos);
  }
  SigningKey key_ = SigningKey::generate(KeyKind::kP256);
  KeySet keys_ = KeySet::parse(jwks({key_.public_jwk("k", "ES256")})).value();
};

TEST_F(SignedAnswer, IsBelievedForWhatStandsInItsTokenIntrospectionOnly_A6_11) {
  const auto proof = judge(answer(envelope(active().json()).text("sub", "somebody-else")));
  ASSERT_EQ(text_of(proof), "valid");
  EXPECT_EQ(proof->identity.subject, "alice");
  EXPECT_TRUE(proof->key_thumbprint);
  EXPECT_EQ(judged(answer(envelope(R"({"active":false})").set("active", "true"))), "invalid/unknown");
  EXPECT_EQ(judged(answer(active().text("aud", kClient))), "nothing");  // active beside it instead of in it
}

TEST_F(SignedAnswer, OfAnotherIssuerForAnotherClientOrOfAnotherTimeIsNone_A6_11_A6_12) {
  const std::string members = active().json();
  EXPECT_EQ(judged(answer(envelope(members).text("iss", "https://other.example"))), "nothing");
  EXPECT_EQ(judged(answer(envelope(members).without("iss"))), "nothing");
  EXPECT_EQ(judged(answer(envelope(members).text("aud", "another-rs"))), "nothing");
  EXPECT_EQ(judged(answer(envelope(members).without("aud"))), "nothing");
  EXPECT_EQ(judged(answer(envelope(members).set("aud", R"(["other","rs"])"))), "valid");
  EXPECT_EQ(judged(answer(envelope(members).without("iat"))), "nothing");
  EXPECT_EQ(judged(answer(envelope(members)), kNow + 60), "valid");
  EXPECT_EQ(judged(answer(envelope(members)), kNow + 61), "nothing");
  EXPECT_EQ(judged(answer(envelope(members)), kNow - 61), "nothing");
}

TEST_F(SignedAnswer, OfAnotherTypeOrSignatureIsNone_A6_11_A6_12) {
  const Claims good = envelope(active().json());
  EXPECT_EQ(judged(answer(good, R"({"alg":"ES256","kid":"k","typ":"at+jwt"})")), "nothing");
  EXPECT_EQ(judged(answer(good, R"({"alg":"ES256","kid":"k"})")), "nothing");
  EXPECT_EQ(judged(answer(good, R"({"alg":"ES256","kid":"k","typ":"application/token-introspection+jwt"})")), "valid");
  EXPECT_EQ(judged(answer(good, R"({"alg":"ES256","kid":"k","typ":"token-introspection+jwt","crit":["b64"],"b64":false})")), "nothing");
  EXPECT_EQ(judged(good.json()), "nothing");  // plain JSON: the downgrade
  std::string forged = answer(good);
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(judged(forged), "nothing");
  EXPECT_EQ(judged(answer(good, R"({"alg":"none","typ":"token-introspection+jwt"})")), "nothing");
  // Its key may have come since: it is looked for.
  EXPECT_EQ(judged(answer(good, R"({"alg":"ES256","kid":"new","typ":"token-introspection+jwt"})")), "invalid/unknown_key");
}

}  // namespace
