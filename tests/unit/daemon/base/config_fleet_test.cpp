// The [fleet] section: what its keys mean, which stand together, and what is wrong with others.
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_text.hpp"

namespace authcached {
namespace {

const std::string kProfile = "\n[profile.s]\nupstream = \"sqlite\"\n";
const std::string kLeast = "[fleet]\naddress = \"unix:/run/r.sock\"\nkey_file = \"/key\"\n";

std::string faults(const std::string& text) {
  std::string all;
  for (const ConfigFault& fault : parse_config(text + kProfile, "test.toml").faults)
    all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  return all;
}
FleetConfig fleet(const std::string& text) {
  EXPECT_EQ(faults(text), "") << text;
  return parse_config(text + kProfile, "test.toml").config.fleet;
}

TEST(ConfigFleet, WithoutTheSectionThereIsNone) { EXPECT_FALSE(fleet("").is_on()); }

TEST(ConfigFleet, TheLeastFailsClosed) {
  const FleetConfig read = fleet(kLeast);
  EXPECT_TRUE(read.is_on());
  EXPECT_FALSE(read.serve_stale);
  EXPECT_EQ(read.staleness, std::chrono::seconds(15));
  EXPECT_EQ(read.key, "authcache:fleet");
}

TEST(ConfigFleet, EveryKeyArrivesAndTheEffectiveTextSaysTheSame) {
  const std::string all =
      "[fleet]\naddress = \"Redis.Test:6380\"\ntls = true\nca_file = \"/ca\"\nusername = "
      "\"u\"\npassword_file = \"/pw\"\n"
      "database_index = 3\nkey = \"a:b\"\nkey_file = \"/key\"\nstaleness = \"3s\"\nstale = "
      "\"serve\"\nretention = \"2h\"\n";
  const FleetConfig read = fleet(all);
  EXPECT_EQ(read.redis.host, "redis.test");
  EXPECT_TRUE(read.redis.tls);
  EXPECT_EQ(read.ca_file, "/ca");
  EXPECT_EQ(read.redis.username, "u");
  EXPECT_EQ(read.redis.password_file, "/pw");
  EXPECT_EQ(read.redis.database_index, 3U);
  EXPECT_EQ(read.key, "a:b");
  EXPECT_EQ(read.staleness, std::chrono::seconds(3));
  EXPECT_TRUE(read.serve_stale);
  EXPECT_EQ(read.retention, std::chrono::hours(2));
  EXPECT_EQ(parse_config(config_text(parse_config(all + kProfile, "t").config), "t").config.fleet, read);
}

TEST(ConfigFleet, WhatCannotBeMeantIsRefused) {
  EXPECT_TRUE(faults("[fleet]\nkey_file = \"/key\"\n").contains("fleet.address is missing"));
  EXPECT_TRUE(faults("[fleet]\naddress = \"unix:/run/r.sock\"\n").contains("fleet.key_file is missing"));
  EXPECT_TRUE(
      faults("[fleet]\naddress = \"redis.test:6379\"\nkey_file = \"/key\"\n").contains("without TLS"));
  EXPECT_TRUE(faults(kLeast + "tls = true\n").contains("fleet.tls says nothing here"));
  EXPECT_TRUE(faults(kLeast + "ca_file = \"/ca\"\n").contains("fleet.ca_file says nothing here"));
  EXPECT_TRUE(faults(kLeast + "username = \"u\"\n").contains("stands without password_file"));
  EXPECT_TRUE(faults(kLeast + "staleness = \"10ms\"\n").contains("out of range"));
  EXPECT_TRUE(faults(kLeast + "stale = \"ignore\"\n").contains("none of the values"));
  EXPECT_TRUE(faults(kLeast + "key = \"a b\"\n").contains("no beginning of a key's name"));
  EXPECT_TRUE(faults("fleet = 3\n").contains("fleet is a value"));
}

}  // namespace
}  // namespace authcached
