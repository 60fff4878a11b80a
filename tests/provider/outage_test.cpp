// The provider stops, dies, comes back, and lies. Nothing of it is ever a refusal of a good token or a record.
#include "tests/provider/support/provider_test.hpp"

namespace authcache_test {
namespace {

using std::chrono::seconds;

class ProviderOutage : public ProviderTest {};

TEST_F(ProviderOutage, AStoppedProviderMakesTokensUnavailableAndIsNotMissedOnceItGoesOn_B15) {
  start();
  const std::string jwt = provider_->issue(kEs256Api), cached = provider_->issue(kOpaqueApi), opaque = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("jwt", jwt), "valid");
  ASSERT_EQ(validate("opaque", cached), "valid");
  provider_->suspend();
  const std::string while_stopped = validate("opaque", opaque);
  EXPECT_TRUE(while_stopped == "unavailable/timeout" || while_stopped == "unavailable/upstream") << while_stopped;
  EXPECT_EQ(lookup("opaque", opaque), "miss");
  EXPECT_EQ(validate("jwt", jwt), "valid");  // its keys are known
  // What was known ends at its time, and is then not known: no refusal either.
  EXPECT_TRUE(eventually([&] { return validate("opaque", cached).starts_with("unavailable"); }));
  EXPECT_TRUE(validate("opaque", cached).starts_with("unavailable"));
  provider_->resume();
  EXPECT_TRUE(becomes_valid("opaque", opaque));
  EXPECT_TRUE(becomes_valid("opaque", cached));
}

TEST_F(ProviderOutage, AKilledProviderMakesTokensUnavailableAndIsNotMissedOnceItIsBack_B15) {
  start();
  const std::string jwt = provider_->issue(kEs256Api), opaque = provider_->issue(kOpaqueApi);
  const std::string later = provider_->issue(kRs256Api);
  ASSERT_EQ(validate("jwt", jwt), "valid");
  provider_->kill();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(validate("opaque", opaque), "unavailable/upstream");  // the breaker opens meanwhile
  EXPECT_EQ(lookup("opaque", opaque), "miss");
  EXPECT_EQ(validate("jwt", later), "valid");  // A4_15: by the last good set
  const Ran upstreams = daemon_->authctl({"upstreams"});
  EXPECT_TRUE(upstreams.out.contains("open")) << upstreams.out;
  EXPECT_EQ(daemon_->authctl({"doctor", "--json"}).exit, 5);
  provider_->start();
  EXPECT_TRUE(becomes_valid("opaque", provider_->issue(kOpaqueApi)));
  EXPECT_EQ(validate("jwt", provider_->issue(kEs256Api)), "valid");  // the same keys
  EXPECT_TRUE(state("opaque").at("error").as_string().empty());
}

TEST_F(ProviderOutage, ADaemonThatStartsBeforeItsProviderServesOnceItIsThere) {
  const std::string jwt = provider_->issue(kEs256Api);
  provider_->kill();
  start();
  EXPECT_EQ(validate("jwt", jwt), "unavailable/upstream");
  EXPECT_EQ(lookup("jwt", jwt), "miss");
  EXPECT_TRUE(daemon_->logs("key_set_unusable"));
  provider_->start();
  EXPECT_TRUE(becomes_valid("jwt", jwt));
}

TEST_F(ProviderOutage, AnEndpointThatNobodyServesIsNamedByDoctorBeforeAnyTokenIsSeen) {
  start();
  ASSERT_EQ(daemon_->authctl({"doctor"}).out.find("nowhere"), std::string::npos);
  // Port 1 is nobody's; the name of the other cannot be resolved (RFC 2606).
  std::string nowhere = introspection("rs-post"), unknown = nowhere;
  const std::string right = provider_->issuer() + "/token/introspection";
  nowhere.replace(nowhere.find(right), right.size(), "https://127.0.0.1:1/introspect");
  unknown.replace(unknown.find(right), right.size(), "https://idp.invalid/introspect");
  replace_file(daemon_->config_file(), read_file(daemon_->config_file()) + "\n[profile.nowhere]\n" + nowhere + "\n[profile.unknown]\n" + unknown);
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  const Ran doctor = daemon_->authctl({"doctor"});
  EXPECT_EQ(doctor.exit, 5);
  EXPECT_TRUE(doctor.out.contains("nowhere")) << doctor.out;
  EXPECT_TRUE(doctor.out.contains("refused")) << doctor.out;
  EXPECT_TRUE(doctor.out.contains("unknown")) << doctor.out;
  EXPECT_TRUE(doctor.out.contains("idp.invalid")) << doctor.out;
}

struct Lie {
  const char* name;
  boost::json::object says;
};

TEST_F(ProviderOutage, LiesOfTheIntrospectionEndpointAreUnavailableAndChangeNoGoodRecord_A6_2_A6_6_A6_8) {
  start({.introspecting = "ttl_max = \"1m\"\n"});
  const std::string good = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("opaque", good), "valid");
  const std::string active = R"({"active":true,"token_type":"Bearer","aud":"urn:test:api:opaque"})";
  const Lie lies[] = {
      {"html", {{"type", "text/html"}, {"body", "<html>welcome</html>"}}},
      {"text for true", {{"body", R"({"active":"true","aud":"urn:test:api:opaque"})"}}},
      {"one for true", {{"body", R"({"active":1,"aud":"urn:test:api:opaque"})"}}},
      {"array", {{"body", "[" + active + "]"}}},
      {"twice", {{"body", R"({"active":false,"active":true})"}}},
      {"empty", {{"body", ""}}},
      {"forbidden", {{"status", 403}, {"body", R"({"error":"access_denied"})"}}},
      {"unauthorized", {{"status", 401}, {"body", R"({"error":"invalid_client"})"}}},
      {"server error", {{"status", 500}, {"body", active}}},
      {"created", {{"status", 201}, {"body", active}}},
      {"redirect", {{"status", 302}, {"headers", {{"location", "https://127.0.0.1:1/"}}}}},
      {"signed type", {{"type", "application/token-introspection+jwt"}, {"body", active}}},
      {"huge", {{"fill", "x"}, {"times", 70'000}}},
      {"reset", {{"reset", true}}},
  };
  for (const Lie& lie : lies) {
    boost::json::object says = lie.says;
    says["path"] = "/token/introspection";
    provider_->tell("lie", says);
    const std::string token = "never-issued-" + std::string(lie.name, 3);
    EXPECT_TRUE(eventually([&] { return !state("opaque").at("http").at("breaker").at("state").as_string().starts_with("open"); })) << lie.name;
    EXPECT_EQ(validate("opaque", token), "unavailable/upstream") << lie.name;
    EXPECT_EQ(lookup("opaque", token), "miss") << lie.name;
    EXPECT_FALSE(state("opaque").at("last_error").as_string().empty()) << lie.name;
    EXPECT_EQ(lookup("opaque", good), "valid") << lie.name;
  }
  provider_->tell("honest");
  EXPECT_TRUE(becomes_valid("opaque", provider_->issue(kOpaqueApi)));
}

TEST_F(ProviderOutage, LiesOfTheKeySetLeaveTheLastGoodOneAndAreNamed_A4_10_A4_12) {
  start();
  const std::string token = provider_->issue(kEs256Api);
  ASSERT_EQ(validate("jwt", token), "valid");
  provider_->tell("lie", {{"path", "/jwks"}, {"type", "text/html"}, {"body", "<html>welcome</html>"}});
  provider_->tell("rotate");  // so that a key has to be looked for
  EXPECT_EQ(validate("jwt", provider_->issue(kEs256Api)), "unavailable/upstream");
  EXPECT_EQ(validate("jwt", provider_->issue(kEs256Api)), "unavailable/upstream");
  EXPECT_EQ(lookup("jwt", token), "valid");
  EXPECT_FALSE(state("jwt").at("error").as_string().empty());
  EXPECT_TRUE(daemon_->authctl({"doctor"}).out.contains("last good key set"));
  provider_->tell("honest");
  EXPECT_TRUE(becomes_valid("jwt", provider_->issue(kEs256Api)));
}

TEST_F(ProviderOutage, MetadataOfAnotherIssuerAreNotUsed_A4_10) {
  const std::string token = provider_->issue(kEs256Api);
  const std::string other = R"({"issuer":")" + provider_->issuer() + R"(/","jwks_uri":")" + provider_->issuer() + R"(/jwks"})";
  for (const char* place : {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}) {
    provider_->tell("lie", {{"path", place}, {"body", other}});
  }
  start();
  EXPECT_EQ(validate("jwt", token), "unavailable/upstream");
  EXPECT_TRUE(std::string(state("jwt").at("error").as_string()).contains("another issuer"));
  const Ran doctor = daemon_->authctl({"doctor"});
  EXPECT_EQ(doctor.exit, 5);
  EXPECT_TRUE(doctor.out.contains("another issuer")) << doctor.out;
  EXPECT_EQ(provider_->asked("/jwks"), 0);
  provider_->tell("honest");
  EXPECT_TRUE(becomes_valid("jwt", token));
}

TEST_F(ProviderOutage, ACertificateOfAnotherAuthorityIsRefusedAndNamed_A4_9) {
  const std::string token = provider_->issue(kEs256Api), opaque = provider_->issue(kOpaqueApi);
  std::filesystem::create_directory(daemon_->scratch("other"));
  const authcached::testing::TestCa other(daemon_->scratch("other"));
  configure({});
  std::string text = read_file(daemon_->config_file());
  const std::string right = provider_->ca_file().string(), wrong = other.file().string();
  for (std::size_t at = 0; (at = text.find(right, at)) != std::string::npos; at += wrong.size()) text.replace(at, right.size(), wrong);
  replace_file(daemon_->config_file(), text);
  daemon_->start();
  reader_.emplace(daemon_->runtime_dir());
  EXPECT_EQ(validate("jwt", token), "unavailable/upstream");
  EXPECT_EQ(validate("opaque", opaque), "unavailable/upstream");
  const Ran doctor = daemon_->authctl({"doctor"});
  EXPECT_TRUE(doctor.out.contains("certificate")) << doctor.out;
  EXPECT_EQ(provider_->asked("/token/introspection"), 0);
}

}  // namespace
}  // namespace authcache_test
