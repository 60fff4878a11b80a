// The keys of profiles that keep sessions of their own: idle_timeout and warm, and where they are refused.
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_text.hpp"

namespace authcached {
namespace {

const std::string kOwn = "[profile.s]\nupstream = \"sqlite\"\n";
const std::string kForeign =
    "[profile.s]\nupstream = \"sqlite\"\ndatabase = \"/a.db\"\nquery = \"SELECT u AS subject FROM s WHERE k "
    "= ?1\"\n";
const std::string kPostgresql =
    "[profile.s]\nupstream = \"postgresql\"\nconnection = \"host=/s dbname=d user=u\"\nquery = \"$1\"\n";
const std::string kRedis =
    "[profile.s]\nupstream = \"redis\"\naddress = \"unix:/r.sock\"\nkey_template = \"s:{key}\"\nkey_encoding "
    "= \"raw\"\n";
const std::string kJwks =
    "[profile.s]\nupstream = \"jwks\"\nissuer = \"https://i.example\"\njwks_file = \"/etc/k.json\"\n"
    "algorithms = [\"ES256\"]\naudience = [\"api\"]\n";

std::string faults(const std::string& text) {
  std::string all;
  for (const ConfigFault& fault : parse_config(text, "test.toml").faults)
    all += fault.message + " -> " + fault.remedy + "\n";
  return all;
}

ProfileConfig profile(const std::string& text) {
  EXPECT_EQ(faults(text), "") << text;
  return parse_config(text, "test.toml").config.profiles.at(0);
}

TEST(ConfigSessions, BothKeysArriveAndAreOffByDefault) {
  const ProfileConfig read = profile(kOwn + "idle_timeout = \"30m\"\nwarm = 1000\n");
  EXPECT_EQ(read.idle_timeout, std::chrono::minutes(30));
  EXPECT_TRUE(read.slides());
  EXPECT_EQ(read.warm, 1'000u);
  EXPECT_FALSE(profile(kOwn).slides());
  EXPECT_EQ(profile(kOwn).warm, 0u);
}

TEST(ConfigSessions, TheEffectiveConfigurationSaysThemAndReadsBackAsItself) {
  for (const std::string keys : {"", "idle_timeout = \"30m\"\nwarm = 1000\n"}) {
    const ParsedConfig first = parse_config(kOwn + keys, "test.toml");
    const std::string text = config_text(first.config);
    const ParsedConfig again = parse_config(text, "test.toml");
    EXPECT_TRUE(again.faults.empty()) << text << faults(text);
    EXPECT_EQ(again.config.profiles, first.config.profiles) << text;
  }
}

TEST(ConfigSessions, AnotherIdleTimeoutIsAnotherProfileToTheTableAndNoneIsAsBefore) {
  const std::uint64_t none = profile(kOwn).id();
  const std::uint64_t half = profile(kOwn + "idle_timeout = \"30m\"\n").id();
  EXPECT_NE(none, half);
  EXPECT_NE(half, profile(kOwn + "idle_timeout = \"31m\"\n").id());
  EXPECT_EQ(none, profile(kOwn + "warm = 1000\n").id());
}

TEST(ConfigSessions, IdleTimeoutIsRefusedWhereNoUseCanBeWrittenAndTheRemedyIsNamed) {
  for (const std::string& text : {kForeign, kPostgresql, kRedis}) {
    const std::string told = faults(text + "idle_timeout = \"30m\"\n");
    EXPECT_TRUE(told.contains("profile.s.idle_timeout is for sessions that authcached keeps itself")) << told;
    EXPECT_TRUE(told.contains("let the program whose sessions they are move their end")) << told;
  }
  EXPECT_TRUE(faults(kJwks + "idle_timeout = \"30m\"\n").contains("belongs to upstream = \"sqlite\""));
}

TEST(ConfigSessions, IdleTimeoutStandsBesideNothingThatWouldUndoIt) {
  EXPECT_TRUE(faults(kOwn + "idle_timeout = \"30m\"\nrefresh = \"on\"\n")
                  .contains("refresh is \"on\" beside idle_timeout"));
  EXPECT_TRUE(faults(kOwn + "idle_timeout = \"30m\"\nstale_if_error = \"1m\"\n")
                  .contains("stale_if_error stands beside"));
  EXPECT_EQ(faults(kOwn + "idle_timeout = \"30m\"\nrefresh = \"off\"\nstale_if_error = \"0s\"\n"), "");
}

TEST(ConfigSessions, WarmIsRefusedWhereNobodyCanNameTheRecords) {
  EXPECT_TRUE(faults(kForeign + "warm = 10\n").contains("warm stands beside query"));
  EXPECT_TRUE(faults(kPostgresql + "warm = 10\n").contains("warm belongs to upstream = \"sqlite\""));
  EXPECT_TRUE(faults(kRedis + "warm = 10\n").contains("warm belongs to upstream = \"sqlite\""));
  EXPECT_TRUE(faults(kJwks + "warm = 10\n").contains("warm belongs to upstream = \"sqlite\""));
}

TEST(ConfigSessions, ValuesOutOfRangeAreRefused) {
  for (const char* line : {"idle_timeout = \"4s\"\n", "idle_timeout = \"91d\"\n", "idle_timeout = \"0s\"\n",
                           "warm = 10000001\n", "warm = -1\n"})
    EXPECT_NE(faults(kOwn + line), "") << line;
}

}  // namespace
}  // namespace authcached
