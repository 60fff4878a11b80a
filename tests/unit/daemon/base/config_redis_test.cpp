// The keys of a profile with upstream = "redis": what they mean, which stand together, and what is wrong with
// others.
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_text.hpp"

namespace authcached {
namespace {

const std::string kLeast =
    "[profile.r]\nupstream = \"redis\"\naddress = \"unix:/run/r.sock\"\nkey_template = "
    "\"s:{key}\"\nkey_encoding = \"raw\"\n";

ParsedConfig parse(const std::string& text) { return parse_config(text, "test.toml"); }

std::string faults(const std::string& text) {
  std::string all;
  for (const ConfigFault& fault : parse(text).faults)
    all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  return all;
}
ProfileConfig profile(const std::string& text) {
  EXPECT_EQ(faults(text), "") << text;
  const ParsedConfig parsed = parse(text);
  return parsed.faults.empty() ? parsed.config.profiles.at(0) : ProfileConfig{};
}
std::string with(const std::string& key, const std::string& value) {
  std::string text = kLeast;
  const std::size_t begin = text.find(key + " =");
  if (begin == std::string::npos) return text + key + " = " + value + "\n";
  return text.replace(begin, text.find('\n', begin) - begin, key + " = " + value);
}
std::string without(const std::string& key) {
  std::string text = kLeast;
  const std::size_t begin = text.find(key + " =");
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

TEST(ConfigRedis, EveryKeyArrives) {
  const ProfileConfig read = profile(
      "[profile.r]\nupstream = \"redis\"\naddress = \"Redis.Test:6380\"\ntls = true\nca_file = "
      "\"/ca.pem\"\nusername = \"web\"\npassword_file = \"/pw\"\n"
      "database_index = 7\nkey_template = \"a:{key}:b\"\nkey_encoding = \"hex_sha256\"\nvalue = "
      "\"json\"\nwithout_expiry = \"accept\"\n"
      "fields = { subject = \"/passport/user\", expires_ms = \"exp\" }\n");
  EXPECT_EQ(read.redis.host, "redis.test");
  EXPECT_FALSE(read.redis.literal);
  EXPECT_EQ(read.redis.port, 6380);
  EXPECT_TRUE(read.redis.tls);
  EXPECT_EQ(read.ca_file, "/ca.pem");
  EXPECT_EQ(read.redis.username, "web");
  EXPECT_EQ(read.redis.password_file, "/pw");
  EXPECT_EQ(read.redis.database_index, 7u);
  EXPECT_EQ(read.redis.key_prefix, "a:");
  EXPECT_EQ(read.redis.key_suffix, ":b");
  EXPECT_EQ(read.key_encoding, KeyEncoding::kHexSha256);
  EXPECT_TRUE(read.redis.json);
  EXPECT_TRUE(read.redis.endless);
  EXPECT_EQ(read.redis.field(RedisFact::kSubject), "/passport/user");
  EXPECT_EQ(read.redis.field(RedisFact::kExpiresMs), "exp");
  EXPECT_EQ(read.redis.field(RedisFact::kScopes), "");  // not named: not read
  EXPECT_TRUE(read.refreshes());
}

TEST(ConfigRedis, TheLeastThatIsNeededHasEveryFactUnderItsWord) {
  const ProfileConfig least = profile(kLeast);
  EXPECT_EQ(least.redis.socket, "/run/r.sock");
  EXPECT_EQ(least.redis.field(RedisFact::kRevoked), "revoked");
  EXPECT_EQ(least.redis.field(RedisFact::kExpires), "expires");
  EXPECT_EQ(least.redis.field(RedisFact::kExpiresMs), "");
  EXPECT_FALSE(least.redis.json || least.redis.endless || least.redis.tls);
}

TEST(ConfigRedis, WhatIsWrittenOutIsReadBack) {
  for (const std::string& text :
       {kLeast, with("fields", "{ subject = \"a \\\"b\\\"\", revoked = \"/x/y\" }"),
        with("address", "\"[::1]:6379\""), with("address", "\"10.0.0.1:6379\"") + "tls = true\n",
        with("key_template", "\"{key}\"")}) {
    const ParsedConfig first = parse(text);
    ASSERT_TRUE(first.faults.empty()) << faults(text);
    const ParsedConfig again = parse(config_text(first.config));
    EXPECT_TRUE(again.faults.empty()) << config_text(first.config) << faults(config_text(first.config));
    EXPECT_EQ(again.config.profiles, first.config.profiles);
  }
}

TEST(ConfigRedis, AnAddressIsASocketOrAHostWithItsPort) {
  for (const char* good : {"localhost:6379", "127.0.0.1:1", "[::1]:65535", "unix:/r"})
    EXPECT_EQ(faults(with("address", "\"" + std::string(good) + "\"")), "") << good;
  for (const char* bad :
       {"localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:+1", "::1:6379", "[::1]",
        "127.1:6379", "1:1", "redis://h:1", "u:p@h:1", "h h:1", "-h:1", ".h:1", "unix:", "unix:r", "a/b:1"}) {
    const std::string told = faults(with("address", "\"" + std::string(bad) + "\""));
    EXPECT_TRUE(told.contains("address names no s")) << bad << "\n" << told;
    EXPECT_FALSE(told.contains("u:p"));
  }
  EXPECT_TRUE(
      faults(with("address", "\"unix:/" + std::string(120, 'x') + "\"")).contains("at most 107 bytes"));
}

TEST(ConfigRedis, B24_AnotherHostIsAskedOverTlsOnly) {
  for (const char* other :
       {"redis.test:6379", "10.0.0.1:6379", "[fd00::1]:6379", "127.0.0.1.test:6379", "localhost.test:1"}) {
    const std::string text = with("address", "\"" + std::string(other) + "\"");
    EXPECT_TRUE(faults(text).contains("leads to another host without TLS")) << other << "\n" << faults(text);
    EXPECT_EQ(faults(text + "tls = true\n"), "") << other;
  }
  EXPECT_TRUE(faults(kLeast + "tls = true\n").contains("tls says nothing here"));
  EXPECT_TRUE(faults(kLeast + "tls = \"on\"\n").contains("write true or false"));
  EXPECT_TRUE(faults(with("address", "\"localhost:1\"") + "ca_file = \"/c\"\n").contains("write tls = true"));
}

TEST(ConfigRedis, ATemplateHoldsTheKeyOnce) {
  for (const char* bad : {"session:", "{key}:{key}", "{Key}", "session:%s"}) {
    EXPECT_TRUE(
        faults(with("key_template", "\"" + std::string(bad) + "\"")).contains("does not hold {key} once"))
        << bad;
  }
}

TEST(ConfigRedis, WhatIsMissingIsToldWithWhatToWrite) {
  for (const char* key : {"address", "key_template", "key_encoding"}) {
    EXPECT_TRUE(faults(without(key)).contains(std::string(key) + " is missing -> write"))
        << key << faults(without(key));
  }
  EXPECT_TRUE(faults(kLeast + "username = \"web\"\n").contains("username stands without password_file"));
}

TEST(ConfigRedis, FieldsNameASubjectAndOneMomentOnce) {
  EXPECT_TRUE(faults(kLeast + "fields = { scopes = \"s\" }\n").contains("fields names nothing for subject"));
  EXPECT_TRUE(faults(kLeast + "fields = { subject = \"s\", expires = \"e\", expires_ms = \"m\" }\n")
                  .contains("one moment in two units"));
  EXPECT_TRUE(
      faults(kLeast + "fields = { subject = \"s\", revokd = \"e\" }\n").contains("did you mean revoked?"));
  EXPECT_TRUE(faults(kLeast + "fields = { subject = 1 }\n").contains("write a text in quotes"));
  EXPECT_TRUE(faults(kLeast + "fields = [\"subject\"]\n").contains("write a table of texts"));
  EXPECT_TRUE(faults(kLeast + "fields = { subject = \"\" }\n").contains("fields is empty"));
}

TEST(ConfigRedis, KeysOfOtherUpstreamsAreRefusedHereAndItsKeysThere) {
  for (const char* other : {"issuer = \"i\"", "query = \"?1\"", "database = \"/d\"", "client_id = \"c\"",
                            "token_type = \"legacy\"", "jwks_file = \"/k\""}) {
    EXPECT_TRUE(faults(kLeast + other + "\n").contains("belongs to upstream")) << other;
  }
  for (const char* redis :
       {"address = \"unix:/r\"", "tls = true", "key_template = \"{key}\"", "value = \"json\"",
        "database_index = 1", "fields = { subject = \"s\" }", "without_expiry = \"accept\""}) {
    EXPECT_TRUE(
        faults("[profile.s]\n" + std::string(redis) + "\n").contains("belongs to upstream = \"redis\""))
        << redis;
  }
  EXPECT_TRUE(faults("[profile.s]\npassword_file = \"/p\"\n").contains("or upstream = \"redis\""));
}

}  // namespace
}  // namespace authcached
