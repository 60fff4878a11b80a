// Tokens of a real provider: issued, validated by another process through the SDK, and refused once they should be.
#include <boost/json/parse.hpp>

#include "tests/provider/support/provider_test.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
// ttl_max of the profiles that introspect, and what a busy machine adds to it.
constexpr milliseconds kTtlMax{2'000}, kSlack{2'000};

class ProviderTokens : public ProviderTest {};

TEST_F(ProviderTokens, AnOpaqueTokenIsValidUntilItsProviderRevokesItAndRefusedWithinTtlMax_A6_1_A6_3) {
  start();
  const std::string token = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("opaque", token), "valid");
  EXPECT_EQ(lookup("opaque", token), "valid");  // from shared memory
  EXPECT_EQ(provider_->asked("/token/introspection"), 1);
  ASSERT_EQ(provider_->revoke(token).at("status").to_number<int>(), 200);
  EXPECT_TRUE(eventually([&] { return lookup("opaque", token) != "valid"; }, kTtlMax + kSlack));
  EXPECT_EQ(validate("opaque", token), "invalid/unknown");
  EXPECT_EQ(validate("opaque", token), "invalid/unknown");
}

TEST_F(ProviderTokens, AnOpaqueTokenInUseOutlivesItsDeadlinesWithoutAWaitAndIsRefusedOnceItsProviderRevokedIt_A6_1) {
  start({.introspecting = "ttl_max = \"2s\"\nnegative_ttl = \"1s\"\nrefresh = \"on\"\n"});
  const std::string token = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("opaque", token), "valid");
  ASSERT_EQ(daemon_->stat("refresh", "sealed_tokens"), 1);
  const auto misses = daemon_->stat("daemon", "misses");
  // Only looked up: a lookup waits for nobody. Until the provider confirmed it at five deadlines, however slow it is.
  std::size_t lookups = 0, failed = 0;
  const auto use = [&] {
    ++lookups;
    failed += lookup("opaque", token) == "valid" ? 0 : 1;
  };
  EXPECT_TRUE(eventually(
      [&] {
        use();
        return daemon_->stat("refresh", "extended") >= 5;
      },
      20 * kTtlMax));
  EXPECT_EQ(failed, 0u) << "of " << lookups;
  EXPECT_EQ(daemon_->stat("daemon", "misses"), misses);
  EXPECT_EQ(daemon_->stat("refresh", "requests_waiting_on_refresh"), 0);
  EXPECT_GE(provider_->asked("/token/introspection"), 6);

  ASSERT_EQ(provider_->revoke(token).at("status").to_number<int>(), 200);
  EXPECT_TRUE(eventually([&] { return lookup("opaque", token) != "valid"; }, kTtlMax + kSlack));
  EXPECT_EQ(validate("opaque", token), "invalid/unknown");
  EXPECT_TRUE(eventually([&] { return daemon_->stat("refresh", "sealed_tokens") == 0; }));
}

TEST_F(ProviderTokens, AnOpaqueTokenIsRefusedAtOnceByAuthctlRevoke) {
  start();
  const std::string token = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("opaque", token), "valid");
  ASSERT_EQ(daemon_->revoke(token).exit, 0);
  EXPECT_NE(lookup("opaque", token), "valid");
  EXPECT_EQ(validate("opaque", token), "invalid/revoked");  // although its provider still calls it active
}

TEST_F(ProviderTokens, AJwtIsValidByDiscoveredKeysAndRefusedByAuthctlRevoke_A4_11) {
  start();
  const std::string es256 = provider_->issue(kEs256Api), rs256 = provider_->issue(kRs256Api);
  ASSERT_EQ(validate("jwt", es256), "valid");
  EXPECT_EQ(validate("jwt", rs256), "valid");
  EXPECT_EQ(provider_->asked("/.well-known/openid-configuration"), 1);
  // Its provider cannot revoke it: that is our job.
  EXPECT_EQ(provider_->revoke(es256).at("status").to_number<int>(), 400);
  ASSERT_EQ(daemon_->revoke(es256).exit, 0);
  EXPECT_NE(lookup("jwt", es256), "valid");
  EXPECT_EQ(validate("jwt", es256), "invalid/revoked");
  EXPECT_EQ(lookup("jwt", rs256), "valid");
}

TEST_F(ProviderTokens, ATokenOfAnotherAudienceOrIssuerIsRefused_A6_4) {
  start();
  const std::string other = provider_->issue("urn:test:api:eddsa");
  EXPECT_TRUE(validate("jwt", other).starts_with("invalid/"));
  EXPECT_EQ(validate("jwt", provider_->issue(kOpaqueApi)), "invalid/malformed");
}

TEST_F(ProviderTokens, AJwtThatItsProviderCannotIntrospectIsUnavailableNotRefused_A6_7) {
  start();
  const std::string jwt = provider_->issue(kEs256Api);
  EXPECT_EQ(validate("opaque", jwt), "unavailable/upstream");
  EXPECT_TRUE(std::string(state("opaque").at("last_error").as_string()).contains("unsupported_token_type"));
  EXPECT_EQ(lookup("opaque", jwt), "miss");  // nothing unavailable is remembered
}

TEST_F(ProviderTokens, EveryWayToSayWhoWeAreIsTakenByTheProvider_A6_10) {
  start();
  const std::string token = provider_->issue(kOpaqueApi);
  for (const char* profile : {"opaque", "post", "key", "signed"}) {
    EXPECT_EQ(validate(profile, token), "valid") << profile << ": " << daemon_->authctl({"upstreams"}).out;
    EXPECT_EQ(validate(profile, "not-a-token-of-this-provider"), "invalid/unknown") << profile;
  }
  // A6_9: each profile has asked for itself.
  EXPECT_EQ(provider_->asked("/token/introspection"), 8);
}

TEST_F(ProviderTokens, AWrongSecretIsUnavailableAndNamedByUpstreamsAndDoctor_A6_6) {
  const auto wrong = provider_->directory() / "wrong.secret";
  write_file(wrong, "not the secret");
  std::filesystem::permissions(wrong, std::filesystem::perms::owner_read);
  start({.more = "\n[profile.stranger]\n" + introspection("svc", "client_auth = \"client_secret_post\"\n")});
  ASSERT_EQ(daemon_->authctl({"doctor"}).out.find("stranger"), std::string::npos);
  // The same client by the same means, but for the secret.
  std::string text = read_file(daemon_->config_file());
  const std::string right = provider_->secret_file().string();
  text.replace(text.rfind(right), right.size(), wrong.string());
  replace_file(daemon_->config_file(), text);
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  const Ran doctor = daemon_->authctl({"doctor"});  // asks by itself: no token was seen yet
  EXPECT_TRUE(doctor.out.contains("stranger")) << doctor.out;
  EXPECT_TRUE(doctor.out.contains("invalid_client")) << doctor.out;
  const std::string token = provider_->issue(kOpaqueApi);
  EXPECT_EQ(validate("stranger", token), "unavailable/upstream");
  EXPECT_EQ(lookup("stranger", token), "miss");
  EXPECT_EQ(state("stranger").at("state").as_string(), "credentials refused");
  EXPECT_FALSE(daemon_->log().contains("not the secret"));
}

TEST_F(ProviderTokens, APlainAnswerIsNoAnswerWhereASignedOneIsAskedFor_A6_12) {
  start({.more = "\n[profile.downgraded]\n" + introspection("rs-basic", "introspection_answer = \"jwt\"\nalgorithms = [\"ES256\"]\n")});
  const std::string token = provider_->issue(kOpaqueApi);
  provider_->tell("lie", {{"path", "/token/introspection"}, {"body", R"({"active":true,"token_type":"Bearer","aud":"urn:test:api:opaque"})"}});
  EXPECT_EQ(validate("signed", token), "unavailable/upstream");
  EXPECT_EQ(validate("downgraded", token), "unavailable/upstream");
  provider_->tell("honest");
  EXPECT_EQ(validate("signed", token), "valid");
  EXPECT_TRUE(state("signed").contains("key_set"));
}

TEST_F(ProviderTokens, ManyTokensGoOverFewConnections) {
  start();
  for (const std::string& token : provider_->issue(kOpaqueApi, 60)) ASSERT_EQ(validate("opaque", token), "valid");
  const auto http = state("opaque").at("http").as_object();
  EXPECT_EQ(http.at("handshakes").to_number<int>(), 1);
  EXPECT_GE(http.at("reused").to_number<int>(), 59);
  const Ran shown = daemon_->authctl({"upstreams"});
  for (const char* word : {"REUSED", "HANDSHAKES", "P99", "BREAKER", "closed", "98.3%"}) EXPECT_TRUE(shown.out.contains(word)) << word << "\n" << shown.out;
}

}  // namespace
}  // namespace authcache_test
