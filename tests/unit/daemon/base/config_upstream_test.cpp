// The keys of profiles whose truth is an issuer's: which stand together, which are missing, what is wrong offline.
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/config_parse.hpp"

namespace authcached {
namespace {

using std::chrono::seconds;

const std::string kFile =
    "[profile.api]\nupstream = \"jwks\"\nissuer = \"https://i.example\"\njwks_file = \"/etc/k.json\"\nalgorithms = [\"ES256\"]\naudience = [\"api\"]\n";
const std::string kDiscovered = "[profile.api]\nupstream = \"jwks\"\nissuer = \"https://i.example/t\"\nalgorithms = [\"ES256\"]\naudience = [\"api\"]\n";
const std::string kAsked =
    "[profile.m]\nupstream = \"introspection\"\nintrospection_url = \"https://i.example/introspect\"\nclient_id = \"rs\"\nclient_secret_file = \"/etc/s\"\n";

ParsedConfig parse(std::string_view text) { return parse_config(text, "test.toml"); }

std::string described(const ParsedConfig& parsed) {
  std::string all;
  for (const ConfigFault& fault : parsed.faults) all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  return all;
}
std::string faults(const std::string& text) { return described(parse(text)); }
ProfileConfig profile(const std::string& text) {
  const ParsedConfig parsed = parse(text);
  EXPECT_TRUE(parsed.faults.empty()) << described(parsed);
  return parsed.faults.empty() ? parsed.config.profiles.at(0) : ProfileConfig{};
}
std::string without(std::string text, const std::string& key) {
  const std::size_t begin = text.find(key + " =");
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

TEST(ConfigUpstreams, KeysComeFromAFileAUrlOrWhereTheIssuersMetadataSay) {
  EXPECT_EQ(profile(kFile).key_source(), KeySource::kFile);
  EXPECT_EQ(profile(kDiscovered).key_source(), KeySource::kDiscovery);
  const ProfileConfig url = profile(kDiscovered + "jwks_url = \"https://keys.example/k\"\njwks_max_stale = \"2h\"\nca_file = \"/etc/ca.pem\"\n");
  EXPECT_EQ(url.key_source(), KeySource::kUrl);
  EXPECT_EQ(url.jwks_url, "https://keys.example/k");
  EXPECT_EQ(url.jwks_max_stale, seconds(7'200));
  EXPECT_EQ(url.ca_file, "/etc/ca.pem");
  EXPECT_EQ(profile(kDiscovered).jwks_max_stale, seconds(3'600));
  EXPECT_EQ(profile(kAsked).key_source(), KeySource::kNone);
}

TEST(ConfigUpstreams, AnIssuerThatIsNoUrlCannotBeDiscovered_A4_9) {
  for (const char* issuer : {"http://i.example", "i.example", "https://u:p@i.example", "https://i.example/?q"}) {
    std::string text = kDiscovered;
    text.replace(text.find("https://i.example/t"), 19, issuer);
    EXPECT_TRUE(faults(text).contains("cannot be discovered")) << issuer << "\n" << faults(text);
    EXPECT_FALSE(faults(text).contains("u:p"));
    EXPECT_EQ(faults(text + "jwks_url = \"https://keys.example/k\"\n"), "");  // it is compared only
  }
}

TEST(ConfigUpstreams, AUrlThatIsNotHttpsIsToldWithItsLine_A4_9) {
  EXPECT_TRUE(faults(kDiscovered + "jwks_url = \"http://keys.example/k\"\n").starts_with("6: ")) << faults(kDiscovered + "jwks_url = \"http://keys.example/k\"\n");
  std::string text = kAsked;
  text.replace(text.find("https"), 5, "http");
  EXPECT_TRUE(faults(text).contains("http URL")) << faults(text);
}

TEST(ConfigUpstreams, TwoSourcesOfKeysAreAFault) {
  EXPECT_TRUE(faults(kFile + "jwks_url = \"https://keys.example/k\"\n").contains("stands beside"));
  EXPECT_TRUE(faults(kFile + "jwks_max_stale = \"1h\"\n").contains("says nothing here"));
  EXPECT_TRUE(faults(kFile + "ca_file = \"/etc/ca.pem\"\n").contains("says nothing here"));
}

TEST(ConfigUpstreams, IntrospectionNeedsItsUrlAndItsClient) {
  const ProfileConfig asked = profile(kAsked);
  EXPECT_EQ(asked.upstream, UpstreamKind::kIntrospection);
  EXPECT_EQ(asked.client_auth, ClientAuth::kSecretBasic);
  EXPECT_TRUE(asked.token_type_required);
  EXPECT_FALSE(asked.signed_answers);
  for (const char* key : {"introspection_url", "client_id", "client_secret_file"}) {
    EXPECT_TRUE(faults(without(kAsked, key)).contains("profile.m." + std::string(key) + " is missing")) << key;
  }
  EXPECT_TRUE(faults(kAsked + "token_type = \"legacy\"\n").contains("belongs to upstream = \"jwks\""));
  EXPECT_TRUE(faults(kAsked + "database = \"/d\"\n").contains("belongs to upstream = \"sqlite\""));
  EXPECT_TRUE(faults(kFile + "client_id = \"rs\"\n").contains("belongs to upstream = \"introspection\""));
}

TEST(ConfigUpstreams, APrivateKeyStandsInPlaceOfASecret) {
  const std::string by_key = without(kAsked, "client_secret_file") + "client_auth = \"private_key_jwt\"\nissuer = \"https://i.example\"\n";
  const ProfileConfig asked = profile(by_key + "client_key_file = \"/etc/k.pem\"\nclient_key_id = \"k1\"\nclient_key_algorithm = \"PS256\"\n");
  EXPECT_EQ(asked.client_auth, ClientAuth::kPrivateKeyJwt);
  EXPECT_EQ(asked.client_key_algorithm, Algorithm::kPS256);
  EXPECT_TRUE(faults(by_key).contains("client_key_file is missing"));
  EXPECT_TRUE(faults(without(by_key, "issuer") + "client_key_file = \"/etc/k.pem\"\n").contains("issuer is missing"));
  EXPECT_EQ(faults(without(by_key, "issuer") + "client_key_file = \"/etc/k.pem\"\nclient_assertion_audience = \"https://i.example/token\"\n"), "");
  EXPECT_TRUE(faults(by_key + "client_key_file = \"/etc/k.pem\"\nclient_secret_file = \"/etc/s\"\n").contains("says nothing here"));
  EXPECT_TRUE(faults(kAsked + "client_key_file = \"/etc/k.pem\"\n").contains("says nothing here"));
  EXPECT_TRUE(faults(by_key + "client_key_file = \"/etc/k.pem\"\nclient_key_algorithm = \"HS256\"\n").contains("HS256"));
}

TEST(ConfigUpstreams, SignedAnswersNeedTheIssuersKeys_A6_11) {
  const std::string jwt = kAsked + "introspection_answer = \"jwt\"\n";
  EXPECT_TRUE(faults(jwt).contains("issuer is missing"));
  EXPECT_TRUE(faults(jwt + "issuer = \"https://i.example\"\n").contains("algorithms is missing"));
  const ProfileConfig asked = profile(jwt + "issuer = \"https://i.example\"\nalgorithms = [\"ES256\"]\n");
  EXPECT_TRUE(asked.signed_answers);
  EXPECT_EQ(asked.key_source(), KeySource::kDiscovery);
  EXPECT_TRUE(faults(kAsked + "algorithms = [\"ES256\"]\n").contains("says nothing here"));
}

TEST(ConfigUpstreams, NoUnlimitedStaleness_A4_15) {
  EXPECT_TRUE(faults(kDiscovered + "jwks_max_stale = \"8d\"\n").contains("jwks_max_stale"));
  EXPECT_EQ(profile(kDiscovered + "jwks_max_stale = \"0s\"\n").jwks_max_stale, seconds(0));
}

TEST(ConfigUpstreams, NoSecretStandsInTheFile_D15) {
  EXPECT_TRUE(faults(kAsked + "client_secret = \"s3cret\"\n").contains("client_secret"));
  EXPECT_FALSE(faults(kAsked + "client_secret = \"s3cret\"\n").contains("s3cret"));
}

}  // namespace
}  // namespace authcached
