// ProfileConfig::id(): equal exactly where the same tokens would be proven by the same authority.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "daemon/base/config.hpp"

namespace authcached {
namespace {

ProfileConfig jwks() {
  ProfileConfig profile;
  profile.name = "api";
  profile.upstream = UpstreamKind::kJwks;
  profile.issuer = "https://issuer.example";
  profile.jwks_file = "/etc/keys.json";
  profile.algorithms = {Algorithm::kES256, Algorithm::kRS256};
  profile.audience = {"api"};
  return profile;
}

ProfileConfig sqlite() {
  ProfileConfig profile;
  profile.name = "sessions";
  profile.database = "/srv/s.db";
  profile.query = "SELECT 1 WHERE ?1";
  return profile;
}

ProfileConfig fetched() {
  ProfileConfig profile = jwks();
  profile.jwks_file.clear();
  return profile;
}

ProfileConfig asked() {
  ProfileConfig profile;
  profile.name = "mobile";
  profile.upstream = UpstreamKind::kIntrospection;
  profile.introspection_url = "https://issuer.example/introspect";
  profile.client_id = "rs";
  profile.client_secret_file = "/etc/secret";
  return profile;
}

ProfileConfig redis() {
  ProfileConfig profile;
  profile.name = "web";
  profile.upstream = UpstreamKind::kRedis;
  profile.redis.host = "redis.test";
  profile.redis.port = 6379;
  profile.redis.key_prefix = "session:";
  return profile;
}

ProfileConfig changed(ProfileConfig profile, const std::function<void(ProfileConfig&)>& change) {
  change(profile);
  return profile;
}

TEST(ProfileId, EveryPartThatDecidesWhoProvesATokenChangesIt) {
  std::set<std::uint64_t> ids{0, jwks().id(), sqlite().id()};
  const auto distinct = [&ids](const ProfileConfig& profile) { return ids.insert(profile.id()).second; };
  EXPECT_TRUE(distinct(changed(jwks(), [](auto& p) { p.issuer += "/"; })));
  EXPECT_TRUE(distinct(changed(jwks(), [](auto& p) { p.jwks_file = "/etc/other.json"; })));
  EXPECT_TRUE(distinct(changed(jwks(), [](auto& p) { p.algorithms.pop_back(); })));
  EXPECT_TRUE(distinct(changed(jwks(), [](auto& p) { p.token_type = TokenType::kLegacy; })));
  EXPECT_TRUE(distinct(changed(jwks(), [](auto& p) { p.leeway = std::chrono::seconds{1}; })));
  EXPECT_TRUE(distinct(redis()));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.host = "other.test"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.port = 6380; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.socket = "/r.sock"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.tls = true; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.ca_file = "/ca.pem"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.username = "web"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.password_file = "/p"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.database_index = 1; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.key_prefix = "sess:"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.key_suffix = ":x"; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.key_encoding = KeyEncoding::kRaw; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.json = true; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.endless = true; })));
  EXPECT_TRUE(distinct(changed(redis(), [](auto& p) { p.redis.fields[15].clear(); })));
  EXPECT_TRUE(distinct(changed(sqlite(), [](auto& p) { p.database = "/srv/t.db"; })));
  EXPECT_TRUE(distinct(changed(sqlite(), [](auto& p) { p.database.clear(); })));
  EXPECT_TRUE(distinct(changed(sqlite(), [](auto& p) { p.query += " "; })));
  EXPECT_TRUE(distinct(changed(sqlite(), [](auto& p) { p.key_encoding = KeyEncoding::kRaw; })));
  EXPECT_TRUE(distinct(ProfileConfig{}));
}

TEST(ProfileId, A6_9_OfAnIssuersEndpointsWhoAsksWhereAndByWhichCertificatesChangesIt) {
  std::set<std::uint64_t> ids{0, jwks().id(), fetched().id(), asked().id()};
  const auto distinct = [&ids](const ProfileConfig& profile) { return ids.insert(profile.id()).second; };
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_TRUE(distinct(changed(fetched(), [](auto& p) { p.issuer += "/"; })));
  EXPECT_TRUE(distinct(changed(fetched(), [](auto& p) { p.jwks_url = "https://keys.example/k"; })));
  EXPECT_TRUE(distinct(changed(fetched(), [](auto& p) { p.ca_file = "/etc/ca.pem"; })));
  EXPECT_TRUE(distinct(changed(fetched(), [](auto& p) { p.algorithms.pop_back(); })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.introspection_url += "/2"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.issuer = "https://issuer.example"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.client_id = "other"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.client_auth = ClientAuth::kSecretPost; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.client_secret_file = "/etc/other"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.client_key_file = "/etc/key"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.ca_file = "/etc/ca.pem"; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.leeway = std::chrono::seconds{1}; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.token_type_required = false; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.signed_answers = true; })));
  EXPECT_TRUE(distinct(changed(asked(), [](auto& p) { p.signed_answers = true, p.jwks_file = "/etc/keys.json"; })));
}

TEST(ProfileId, AudienceTimesAndNameLeaveItAlone) {
  for (const ProfileConfig& profile : {jwks(), sqlite(), fetched(), asked()}) {
    EXPECT_EQ(changed(profile, [](auto& p) { p.name = "other"; }).id(), profile.id());
    EXPECT_EQ(changed(profile, [](auto& p) { p.audience = {"x", "y"}; }).id(), profile.id());
    EXPECT_EQ(changed(profile, [](auto& p) { p.ttl_max *= 2; }).id(), profile.id());
    EXPECT_EQ(changed(profile, [](auto& p) { p.negative_ttl *= 2; }).id(), profile.id());
    EXPECT_EQ(changed(profile, [](auto& p) { p.max_token_lifetime *= 2; }).id(), profile.id());
  }
}

TEST(ProfileId, AlgorithmsAreASet) {
  EXPECT_EQ(changed(jwks(),
                    [](auto& p) {
                      p.algorithms = {Algorithm::kRS256, Algorithm::kES256};
                    })
                .id(),
            jwks().id());
}

TEST(ProfileId, TwoSpellingsOfOnePathAreOne) {
  EXPECT_EQ(changed(jwks(), [](auto& p) { p.jwks_file = "/etc//./keys.json"; }).id(), jwks().id());
}

TEST(ProfileId, TextCannotMoveFromOnePartToTheNext) {
  const auto split = [](const char* issuer, const char* file) {
    return changed(jwks(), [&](auto& p) { p.issuer = issuer, p.jwks_file = file; }).id();
  };
  EXPECT_NE(split("ab", "c"), split("a", "bc"));
  EXPECT_NE(split("a/etc/b", ""), split("a", "/etc/b"));
}

// Stored records carry ids across restarts: a change of the canonical form must be meant.
TEST(ProfileId, TheDefaultSessionsProfileKeepsItsId) { EXPECT_EQ(ProfileConfig{}.id(), 0x824e81f47f32e082u); }

TEST(Algorithms, NamesAreExactAndReadBack) {
  for (int i = 0; i <= static_cast<int>(Algorithm::kEdDSA); ++i) {
    const auto algorithm = static_cast<Algorithm>(i);
    EXPECT_EQ(algorithm_from_name(algorithm_name(algorithm)), algorithm);
  }
  for (const char* name : {"", "none", "rs256", "RS256 ", "HS256", "eddsa", "unknown"}) {
    EXPECT_FALSE(algorithm_from_name(name)) << name;
  }
}

}  // namespace
}  // namespace authcached
