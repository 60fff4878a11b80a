// Questions to an introspection endpoint: what is sent, and what each kind of answer leaves behind.
#include "daemon/upstream/introspection_upstream.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <optional>

#include "daemon/upstream/https_key_set.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/support/manual_loop.hpp"
#include "tests/support/scripted_http.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_test::Claims;
using authcache_test::KeyKind;
using authcache_test::SigningKey;
using authcached::testing::ManualExecutor;
using authcached::testing::ManualLoop;
using authcached::testing::MovedClock;
using authcached::testing::ScriptedHttp;

constexpr std::int64_t kSecond = MovedClock::kSecond;
constexpr const char* kIssuer = "https://issuer.example";
constexpr const char* kUrl = "https://issuer.example/introspect";
constexpr const char* kToken = "mF_9.B5f-4.1JqM";
const HttpHeader kJson{"content-type", "application/json"};
const HttpHeader kSigned{"content-type", "application/token-introspection+jwt"};

struct Seen {
  std::optional<Proof> proof;
  [[nodiscard]] std::string text() const {
    if (!proof) return "nothing yet";
    const std::string verdict(authcache::shm::verdict_name(proof->verdict)), reason(authcache::shm::reason_name(proof->reason));
    return reason.empty() ? verdict : verdict + "/" + reason;
  }
};

class IntrospectionUpstreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_secret("s3cret");
    profile_.upstream = UpstreamKind::kIntrospection;
    profile_.introspection_url = kUrl;
    profile_.issuer = kIssuer;
    profile_.client_id = "rs";
    profile_.client_secret_file = directory_ / "secret";
  }
  void write_secret(const std::string& secret) {
    ::unlink((directory_ / "secret").c_str());
    std::ofstream(directory_ / "secret") << secret;
    ::chmod((directory_ / "secret").c_str(), 0400);
  }
  void open() {
    std::shared_ptr<KeySetSource> keys;
    if (profile_.signed_answers) {
      keys = HttpsKeySet::open(profile_, key_http_, reader_, loop_, clock_);
      key_http_->answer(200, authcache_test::jwks({key_.public_jwk("k", "ES256")}));
      work();
    }
    upstream_ = IntrospectionUpstream::open(profile_, http_, keys, {&pool_}, reader_, loop_, clock_).value();
  }
  void open_signed() {
    profile_.signed_answers = true;
    profile_.jwks_url = "https://issuer.example/jwks";
    profile_.algorithms = {Algorithm::kES256};
    open();
  }
  void work() {
    while (reader_.run_all() + pool_.run_all() + loop_.run_all() > 0) {
    }
  }
  std::shared_ptr<Seen> ask(const std::string& token = kToken, std::int64_t within_ns = 2 * kSecond) {
    auto seen = std::make_shared<Seen>();
    upstream_->resolve({token, static_cast<std::uint64_t>(clock_.monotonic + within_ns), 1'000}, [seen](Proof proof) {
      EXPECT_FALSE(seen->proof.has_value()) << "answered twice";
      seen->proof = std::move(proof);
    });
    EXPECT_FALSE(seen->proof.has_value()) << "answered from within";
    work();
    return seen;
  }
  std::string answered(unsigned status, const std::string& body, std::vector<HttpHeader> headers = {kJson}) {
    const auto seen = ask();
    http_->answer(status, body, std::move(headers));
    work();
    return seen->text();
  }
  std::string active() const {
    return Claims(kIssuer, "https://api.example", clock_.wall / kSecond).set("active", "true").text("token_type", "Bearer").json();
  }
  std::string signed_answer(const std::string& members, const std::string& kid = "k", const std::string& client = "rs") const {
    const std::string claims = Claims(kIssuer, client, clock_.wall / kSecond).without("sub").without("exp").set("token_introspection", members).json();
    return authcache_test::mint(key_, "ES256", R"({"alg":"ES256","kid":")" + kid + R"(","typ":"token-introspection+jwt"})", claims);
  }
  boost::json::object state() const { return boost::json::parse(upstream_->state_json()).as_object(); }

  authcached::testing::TemporaryDirectory directory_;
  ProfileConfig profile_;
  MovedClock clock_;
  ManualLoop loop_{clock_};
  ManualExecutor reader_, pool_;
  SigningKey key_ = SigningKey::generate(KeyKind::kP256);
  std::shared_ptr<ScriptedHttp> http_ = std::make_shared<ScriptedHttp>(), key_http_ = std::make_shared<ScriptedHttp>();
  std::shared_ptr<IntrospectionUpstream> upstream_;
};

TEST_F(IntrospectionUpstreamTest, AsksByPostWithTheTokenInTheFormAndNowhereElse_A6_10) {
  open();
  ask("a+b/c==");
  EXPECT_EQ(http_->oldest().method, "POST");
  EXPECT_EQ(http_->oldest().url, kUrl);
  EXPECT_EQ(http_->oldest().body, "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token");
  EXPECT_EQ(http_->oldest_header("Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(http_->oldest_header("Accept"), "application/json");
  EXPECT_EQ(http_->oldest_header("Authorization"), "Basic cnM6czNjcmV0");
  EXPECT_EQ(http_->oldest().body_max, 64u * 1024);  // A6_8
  EXPECT_TRUE(http_->oldest().repeatable);
}

TEST_F(IntrospectionUpstreamTest, ActiveIsValidAndInactiveInvalid_A6_1_A6_3) {
  open();
  EXPECT_EQ(answered(200, active()), "valid");
  EXPECT_EQ(answered(200, R"({"active":false})"), "invalid/unknown");
  EXPECT_EQ(answered(200, active(), {{"content-type", "application/json;charset=utf-8"}}), "valid");
  EXPECT_EQ(state().at("state").as_string(), "good");
  EXPECT_EQ(state().at("active").as_int64(), 2);
  EXPECT_EQ(state().at("refused").as_int64(), 1);
  EXPECT_EQ(upstream_->complaint(), "");
}

TEST_F(IntrospectionUpstreamTest, WhatIsNoClearAnswerIsUnavailable_A6_2) {
  open();
  for (const char* body : {R"({"active":"true"})", R"({"active":1})", R"({})", R"([{"active":true}])", R"({"active":true,"active":true})", "", "<html>"}) {
    EXPECT_EQ(answered(200, body), "unavailable/upstream") << body;
    EXPECT_FALSE(upstream_->complaint().empty()) << body;
  }
}

TEST_F(IntrospectionUpstreamTest, ARefusalOfUsIsUnavailableAndAnAlarm_A6_6) {
  open();
  for (const unsigned status : {401u, 403u}) {
    EXPECT_EQ(answered(status, R"({"error":"invalid_client","error_description":"s3cret"})"), "unavailable/upstream");
    EXPECT_EQ(state().at("state").as_string(), "credentials refused");
    EXPECT_TRUE(upstream_->complaint().contains("invalid_client")) << upstream_->complaint();
    EXPECT_TRUE(upstream_->complaint().contains("client rs"));
    EXPECT_FALSE(upstream_->complaint().contains("s3cret"));  // nothing else of the body is repeated
  }
  EXPECT_EQ(state().at("credentials_refused").as_int64(), 2);
  EXPECT_EQ(answered(200, active()), "valid");
  EXPECT_EQ(upstream_->complaint(), "");
}

TEST_F(IntrospectionUpstreamTest, ARefusalHasTheSecretReadAgainButNotForEveryToken_A6_6) {
  open();
  write_secret("next");
  clock_.pass(10 * kSecond);
  EXPECT_EQ(answered(401, ""), "unavailable/upstream");
  ask();
  EXPECT_EQ(http_->oldest_header("Authorization"), "Basic cnM6bmV4dA==");
  http_->answer(401, "");
  write_secret("third");
  work();
  ask();
  EXPECT_EQ(http_->oldest_header("Authorization"), "Basic cnM6bmV4dA==");  // read once in ten seconds
}

TEST_F(IntrospectionUpstreamTest, OtherStatusesAreUnavailable_A6_7_A6_8) {
  open();
  EXPECT_EQ(answered(400, R"({"error":"unsupported_token_type"})"), "unavailable/upstream");
  EXPECT_TRUE(upstream_->complaint().contains("400 unsupported_token_type")) << upstream_->complaint();
  for (const unsigned status : {201u, 204u, 302u, 404u, 429u, 500u, 503u}) {
    EXPECT_EQ(answered(status, active()), "unavailable/upstream") << status;
    EXPECT_TRUE(upstream_->complaint().contains(std::to_string(status)));
  }
}

TEST_F(IntrospectionUpstreamTest, AFailureToGetAnAnswerIsUnavailable_A6_8) {
  open();
  const auto seen = ask();
  http_->fail("issuer.example closed the connection within its answer");
  work();
  EXPECT_EQ(seen->text(), "unavailable/upstream");
  EXPECT_TRUE(upstream_->complaint().contains("closed the connection"));
  const auto late = ask(kToken, kSecond);
  clock_.pass(kSecond);
  http_->fail("issuer.example did not answer in time");
  EXPECT_EQ(late->text(), "unavailable/timeout");
  EXPECT_EQ(state().at("in_flight").as_int64(), 0);
}

TEST_F(IntrospectionUpstreamTest, NoRecordOutlivesTheEndThatWasToldNorTheProfilesOwn_A6_1_A6_5) {
  open();
  const auto seen = ask();
  http_->answer(200, active(), {kJson});
  EXPECT_EQ(seen->proof->expires_wall_ns, clock_.wall + 300 * kSecond);
  const auto endless = ask();
  http_->answer(200, Claims(kIssuer, "a", clock_.wall / kSecond).without("exp").set("active", "true").text("token_type", "Bearer").json(), {kJson});
  EXPECT_EQ(endless->text(), "valid");
  EXPECT_FALSE(endless->proof->expires_wall_ns);  // ttl_max bounds it: Ttl tests
}

TEST_F(IntrospectionUpstreamTest, AJwtIsKnownByWhatWasSigned_B5) {
  open();
  const SigningKey key = SigningKey::generate(KeyKind::kP256);
  const std::string jwt = authcache_test::mint_access_token(key, "ES256", "k", R"({"sub":"a"})");
  const auto one = ask(jwt), twin = ask(authcache_test::malleated_twin(key, jwt));
  http_->answer(200, active(), {kJson});
  http_->answer(200, active(), {kJson});
  ASSERT_TRUE(one->proof->signing_input);
  EXPECT_EQ(one->proof->signing_input, twin->proof->signing_input);
}

TEST_F(IntrospectionUpstreamTest, ASignedAnswerIsJudgedByTheIssuersKeys_A6_11) {
  open_signed();
  const auto seen = ask();
  EXPECT_EQ(http_->oldest_header("Accept"), "application/token-introspection+jwt");
  http_->answer(200, signed_answer(active()), {kSigned});
  work();
  EXPECT_EQ(seen->text(), "valid");
  EXPECT_TRUE(seen->proof->key_thumbprint);
  EXPECT_TRUE(seen->proof->keep_until_wall_ns);
  EXPECT_EQ(answered(200, signed_answer(R"({"active":false})"), {kSigned}), "invalid/unknown");
}

TEST_F(IntrospectionUpstreamTest, ADowngradeOrAnAnswerForAnotherClientIsUnavailable_A6_12) {
  open_signed();
  EXPECT_EQ(answered(200, active(), {kJson}), "unavailable/upstream");
  EXPECT_TRUE(upstream_->complaint().contains("did not sign"));
  EXPECT_EQ(answered(200, active(), {kSigned}), "unavailable/upstream");
  EXPECT_EQ(answered(200, signed_answer(active()), {kJson}), "unavailable/upstream");
  EXPECT_EQ(answered(200, signed_answer(active()), {kSigned, kSigned}), "unavailable/upstream");
  EXPECT_EQ(answered(200, signed_answer(active(), "k", "another-rs"), {kSigned}), "unavailable/upstream");
  const SigningKey other = SigningKey::generate(KeyKind::kP256);
  EXPECT_EQ(answered(200, authcache_test::mint(other, "ES256", R"({"alg":"ES256","kid":"k","typ":"token-introspection+jwt"})", "{}"), {kSigned}),
            "unavailable/upstream");
}

TEST_F(IntrospectionUpstreamTest, ASignedAnswerWhereAPlainOneIsAskedForIsUnavailable_A6_12) {
  open();
  EXPECT_EQ(answered(200, signed_answer(active()), {kSigned}), "unavailable/upstream");
  EXPECT_TRUE(upstream_->complaint().contains("introspection_answer"));
}

TEST_F(IntrospectionUpstreamTest, ANewKeyOfTheIssuerIsFetchedForASignedAnswer_A6_11) {
  open_signed();
  const auto seen = ask();
  http_->answer(200, signed_answer(active(), "next"), {kSigned});
  work();
  EXPECT_EQ(seen->text(), "nothing yet");
  ASSERT_TRUE(key_http_->waits());
  key_http_->answer(200, authcache_test::jwks({key_.public_jwk("next", "ES256")}));
  work();
  EXPECT_EQ(seen->text(), "valid");
  // One that never comes says nothing about the token.
  const auto never = ask();
  http_->answer(200, signed_answer(active(), "never"), {kSigned});
  work();
  EXPECT_EQ(never->text(), "unavailable/upstream");
}

TEST_F(IntrospectionUpstreamTest, AnAssertionIsNeverSentTwice) {
  std::ofstream(directory_ / "key") << "";
  profile_.client_auth = ClientAuth::kPrivateKeyJwt;
  profile_.client_key_file = directory_ / "key";
  EXPECT_FALSE(IntrospectionUpstream::open(profile_, http_, nullptr, {&pool_}, reader_, loop_, clock_));
  const SigningKey key = SigningKey::generate(KeyKind::kP256);
  {
    std::FILE* out = std::fopen((directory_ / "key").c_str(), "w");
    ASSERT_EQ(PEM_write_PrivateKey(out, key.pkey(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(out);
    ::chmod((directory_ / "key").c_str(), 0400);
  }
  open();
  ask();
  EXPECT_FALSE(http_->oldest().repeatable);
  const std::string first = http_->oldest().body;
  http_->answer(200, active(), {kJson});
  ask();
  EXPECT_NE(http_->oldest().body, first);
}

TEST_F(IntrospectionUpstreamTest, OnlyWhatCanStandInAnAuthorizationHeaderIsAskedAbout) {
  open();
  for (const char* token : {"a", "mF_9.B5f-4.1JqM", "a+b/c==", "~"}) EXPECT_TRUE(upstream_->well_formed(token)) << token;
  for (const char* token : {"", "=", "a b", "a=b", "a\n", "a&b", "\xc3\xa9", "a%20"}) EXPECT_FALSE(upstream_->well_formed(token)) << token;
}

TEST_F(IntrospectionUpstreamTest, AnUpstreamThatGoesWhileItAsksLeavesNothingBehind_B14) {
  open();
  const auto seen = ask();
  upstream_.reset();
  http_->answer(200, active(), {kJson});
  work();
  EXPECT_EQ(seen->text(), "nothing yet");
}

TEST_F(IntrospectionUpstreamTest, ManyQuestionsAreUnderWayAtOnceAndTheRestIsOverloaded) {
  open();
  std::vector<std::shared_ptr<Seen>> seen;
  for (int i = 0; i < 16 * 1024; ++i) seen.push_back(ask());
  EXPECT_EQ(http_->sent, seen.size());
  EXPECT_EQ(ask()->text(), "unavailable/overloaded");
  while (http_->waits()) http_->answer(200, R"({"active":false})", {kJson});
  EXPECT_EQ(ask()->text(), "nothing yet");
}

}  // namespace
