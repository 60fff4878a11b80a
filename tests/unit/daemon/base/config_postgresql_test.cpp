// The keys of a profile whose sessions are in PostgreSQL: which stand together, which are missing.
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_text.hpp"

namespace authcached {
namespace {

const std::string kShop =
    "[profile.shop]\nupstream = \"postgresql\"\nconnection = \"host=/run/postgresql dbname=d user=u\"\nquery "
    "= \"SELECT k AS token_key, u AS subject FROM s WHERE k = ANY($1)\"\n";

std::string faults(const std::string& text) {
  std::string all;
  for (const ConfigFault& fault : parse_config(text, "test.toml").faults)
    all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  return all;
}
std::string without(std::string text, const std::string& key) {
  const std::size_t begin = text.find(key + " =");
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

TEST(ConfigPostgresql, EveryKeyArrivesInItsField) {
  const ParsedConfig parsed =
      parse_config(kShop +
                       "password_file = \"/etc/p\"\npool_min = 2\npool_max = 8\nstatement_timeout = "
                       "\"300ms\"\nkey_encoding = \"id_hex_sha256\"\n",
                   "test.toml");
  ASSERT_TRUE(parsed.faults.empty());
  const ProfileConfig& shop = parsed.config.profiles.at(0);
  EXPECT_EQ(shop.upstream, UpstreamKind::kPostgresql);
  EXPECT_EQ(shop.connection, "host=/run/postgresql dbname=d user=u");
  EXPECT_EQ(shop.password_file, "/etc/p");
  EXPECT_EQ(shop.pool_min, 2u);
  EXPECT_EQ(shop.pool_max, 8u);
  EXPECT_EQ(shop.statement_timeout, std::chrono::milliseconds(300));
  EXPECT_EQ(shop.key_encoding, KeyEncoding::kIdHexSha256);
  EXPECT_TRUE(shop.refreshes());
  EXPECT_TRUE(shop.keeps_sessions());
  // What the effective configuration shows is the same again.
  const ParsedConfig again = parse_config(config_text(parsed.config), "again.toml");
  ASSERT_TRUE(again.faults.empty()) << config_text(parsed.config);
  EXPECT_EQ(again.config.profiles.at(0), shop);
}

TEST(ConfigPostgresql, NeedsItsConnectionAndAQueryOfKeys) {
  EXPECT_EQ(faults(kShop), "");
  EXPECT_TRUE(faults(without(kShop, "connection")).contains("connection is missing"));
  EXPECT_TRUE(faults(without(kShop, "query")).contains("query is missing"));
  EXPECT_TRUE(faults(without(kShop, "query") + "query = \"SELECT 1\"\n")
                  .starts_with("4: profile.shop.query never uses"));
  EXPECT_TRUE(faults(kShop + "pool_min = 5\n").contains("greater than pool_max"));
  EXPECT_EQ(faults(kShop + "pool_min = 5\npool_max = 5\n"), "");
}

TEST(ConfigPostgresql, B18_APasswordInTheConnectionIsRefusedAndNotShown) {
  const std::string told = faults(
      "[profile.shop]\nupstream = \"postgresql\"\nconnection = \"host=/s dbname=d user=u "
      "password=hunter2\"\nquery = \"$1\"\n");
  EXPECT_TRUE(told.starts_with("3: profile.shop.connection holds a password")) << told;
  EXPECT_TRUE(told.contains("password_file"));
  EXPECT_FALSE(told.contains("hunter2"));
}

TEST(ConfigPostgresql, KeysOfOtherUpstreamsAreRefusedAndItsOwnElsewhere) {
  EXPECT_TRUE(faults(kShop + "database = \"/d\"\n").contains("belongs to upstream = \"sqlite\""));
  EXPECT_TRUE(faults(kShop + "issuer = \"https://i.example\"\n").contains("belongs to upstream = \"jwks\""));
  for (const char* line : {"connection = \"host=/s dbname=d user=u\"", "pool_min = 1", "pool_max = 2",
                           "statement_timeout = \"1s\""}) {
    EXPECT_TRUE(
        faults("[profile.own]\n" + std::string(line) + "\n").contains("belongs to upstream = \"postgresql\""))
        << line;
  }
  EXPECT_TRUE(
      faults("[profile.own]\npassword_file = \"/p\"\n").contains("write upstream = \"postgresql\" or"));
}

TEST(ConfigPostgresql, ChangesAreHeardOfTheServerThatIsAsked) {
  const std::string listen = "changes = \"listen\"\n";
  const ParsedConfig parsed = parse_config(kShop + listen + "changes_max_lag = \"9s\"\nchanges_lost = \"serve\"\nchanges_table = \"app.told\"\n", "t");
  ASSERT_TRUE(parsed.faults.empty());
  const ProfileConfig& shop = parsed.config.profiles.at(0);
  EXPECT_EQ(shop.changes, (ChangesConfig{ChangesKind::kListen, std::chrono::seconds(9), true, "app.told"}));
  const ParsedConfig again = parse_config(config_text(parsed.config), "again.toml");
  ASSERT_TRUE(again.faults.empty()) << config_text(parsed.config);
  EXPECT_EQ(again.config.profiles.at(0), shop);

  const auto shop_at = [&](const std::string& where) {
    std::string text = kShop;
    return faults(text.replace(text.find("host=/run/postgresql"), 20, where) + listen);
  };
  const std::string tls = " sslmode=verify-full sslrootcert=/ca.pem";
  EXPECT_TRUE(shop_at("host=db1,db2" + tls).contains("target_session_attrs=primary"));
  EXPECT_TRUE(shop_at("host=db1" + tls).contains("target_session_attrs=primary")) << "a name may lead to several";
  EXPECT_EQ(shop_at("host=db1,db2 target_session_attrs=primary" + tls), "");
  EXPECT_TRUE(shop_at("host=/a,/b target_session_attrs=any").contains("target_session_attrs=primary"));
}

TEST(ConfigPostgresql, KeysOfChangesNeedChangesAndTablesHavePlainNames) {
  EXPECT_TRUE(faults(kShop + "changes = \"stream\"\n").contains("changes = \"listen\""));
  for (const char* line : {"changes_max_lag = \"9s\"", "changes_lost = \"serve\"", "changes_table = \"t\""})
    EXPECT_TRUE(faults(kShop + line + "\n").contains("says nothing here")) << line;
  for (const char* bad : {"a.b.c", "A", "a b", "1a", ".a", "a.", "a\\\"b", "a;b"}) {
    EXPECT_TRUE(faults(kShop + "changes = \"listen\"\nchanges_table = \"" + bad + "\"\n").contains("not a table's name")) << bad;
  }
  EXPECT_TRUE(faults("[profile.own]\nchanges = \"listen\"\n").contains("belongs to upstream = \"postgresql\""));
}

TEST(ConfigPostgresql, WhatProvesIsInTheIdAndWhatTakesTimeIsNot) {
  const auto id = [](const std::string& text) { return parse_config(text, "t").config.profiles.at(0).id(); };
  const std::uint64_t base = id(kShop);
  EXPECT_NE(base, id(kShop + "key_encoding = \"hex_sha256\"\n"));
  EXPECT_NE(base, id(kShop + "password_file = \"/p\"\n"));
  std::string other = kShop;
  EXPECT_NE(base, id(other.replace(other.find("dbname=d"), 8, "dbname=e")));
  EXPECT_EQ(base, id(kShop + "pool_max = 9\nstatement_timeout = \"2s\"\nttl_max = \"1m\"\n"));
}

}  // namespace
}  // namespace authcached
