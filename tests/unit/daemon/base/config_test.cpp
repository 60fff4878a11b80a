// parse_config: every fault is told, with its line and a remedy; documentation and parser agree; no value is
// repeated.
#include "daemon/base/config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "daemon/base/config_manual.hpp"
#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_ranges.hpp"
#include "daemon/base/config_values.hpp"

namespace authcached {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kSessions = "[profile.sessions]\n";
const std::string kJwks =
    "[profile.api]\nupstream = \"jwks\"\nissuer = \"https://i.example\"\njwks_file = \"/etc/k.json\"\n"
    "algorithms = [\"ES256\"]\naudience = [\"api\"]\n";
const std::string kAsked =
    "[profile.m]\nupstream = \"introspection\"\nintrospection_url = \"https://i.example/i\"\nclient_id = \"rs\"\n"
    "client_secret_file = \"/etc/s\"\n";
const std::string kRedis =
    "[profile.r]\nupstream = \"redis\"\naddress = \"unix:/r.sock\"\nkey_template = \"s:{key}\"\nkey_encoding = \"raw\"\n";

const std::string kShop =
    "[profile.shop]\nupstream = \"postgresql\"\nconnection = \"host=/s dbname=d user=u\"\nquery = \"$1\"\n";

ParsedConfig parse(std::string_view text) { return parse_config(text, "test.toml"); }

std::string described(const ParsedConfig& parsed) {
  std::string all;
  for (const ConfigFault& fault : parsed.faults) {
    all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  }
  return all;
}

// The one fault of a text that must have exactly one.
ConfigFault only_fault(std::string_view text) {
  const ParsedConfig parsed = parse(text);
  EXPECT_EQ(parsed.faults.size(), 1u) << text << "\n" << described(parsed);
  if (parsed.faults.empty()) return {};
  EXPECT_FALSE(parsed.faults[0].remedy.empty());
  return parsed.faults[0];
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string source_file(const std::string& name) {
  const char* const root = std::getenv("AUTHCACHE_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : AUTHCACHE_SOURCE_DIR) + "/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Config, AProfileAloneGivesTheDefaultsOfEverythingElse) {
  const ParsedConfig parsed = parse(kSessions);
  ASSERT_TRUE(parsed.faults.empty()) << described(parsed);
  EXPECT_EQ(parsed.config.runtime_dir, "/run/authcache");
  EXPECT_EQ(parsed.config.table.capacity, 100'000u);
  EXPECT_EQ(parsed.config.table.heartbeat_timeout, seconds{10});
  ASSERT_EQ(parsed.config.profiles.size(), 1u);
  EXPECT_EQ(parsed.config.profiles[0].name, "sessions");
  EXPECT_EQ(parsed.config.profiles[0].upstream, UpstreamKind::kSqlite);
}

TEST(Config, EveryKeyOfTheFileArrivesInItsField) {
  const ParsedConfig parsed = parse(
      "runtime_dir = \"/dev/shm/a\"\nstate_dir = \"/srv/s\"\ngroup = \"\"\nadmin_group = \"wheel\"\n"
      "log_level = \"debug\"\n"
      "[table]\ncapacity = 30_000_000\nnegative_percent = 0\ntext_bytes_per_record = \"1KiB\"\n"
      "heartbeat_timeout = \"1m\"\n"
      "[limits]\nmisses_per_second_per_uid = 1\nmiss_burst_per_uid = 2\nconnections = 3\nflights = 4\n"
      "waiters_per_flight = 10_005\nrules = 1_006\nupstream_timeout = \"70ms\"\n"
      "[profile.j]\nupstream = \"jwks\"\nissuer = \"i\"\njwks_file = \"/k\"\nalgorithms = [\"EdDSA\", "
      "\"PS384\"]\n"
      "audience = [\"a\", \"b\"]\ntoken_type = \"legacy\"\nleeway = \"5m\"\nttl_max = \"1h\"\nnegative_ttl = "
      "\"0s\"\n"
      "max_token_lifetime = \"366d\"\n"
      "[profile.s]\ndatabase = \"/d\"\nquery = \"SELECT u AS subject FROM s WHERE t = ?1\"\nkey_encoding = "
      "\"raw\"\n");
  ASSERT_TRUE(parsed.faults.empty()) << described(parsed);
  const Config& config = parsed.config;
  EXPECT_EQ(config.runtime_dir, "/dev/shm/a");
  EXPECT_EQ(config.state_dir, "/srv/s");
  EXPECT_EQ(config.group, "");
  EXPECT_EQ(config.admin_group, "wheel");
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.table.capacity, 30'000'000u);
  EXPECT_EQ(config.table.negative_percent, 0u);
  EXPECT_EQ(config.table.text_bytes_per_record, 1'024u);
  EXPECT_EQ(config.table.heartbeat_timeout, seconds{60});
  EXPECT_EQ(config.limits.misses_per_second_per_uid, 1u);
  EXPECT_EQ(config.limits.miss_burst_per_uid, 2u);
  EXPECT_EQ(config.limits.connections, 3u);
  EXPECT_EQ(config.limits.flights, 4u);
  EXPECT_EQ(config.limits.waiters_per_flight, 10'005u);
  EXPECT_EQ(config.limits.rules, 1'006u);
  EXPECT_EQ(config.limits.upstream_timeout, milliseconds{70});
  ASSERT_EQ(config.profiles.size(), 2u);
  const ProfileConfig& jwks = config.profiles[0];
  EXPECT_EQ(jwks.upstream, UpstreamKind::kJwks);
  EXPECT_EQ(jwks.issuer, "i");
  EXPECT_EQ(jwks.jwks_file, "/k");
  EXPECT_EQ(jwks.algorithms, (std::vector{Algorithm::kEdDSA, Algorithm::kPS384}));
  EXPECT_EQ(jwks.audience, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(jwks.token_type, TokenType::kLegacy);
  EXPECT_EQ(jwks.leeway, seconds{300});
  EXPECT_EQ(jwks.ttl_max, seconds{3'600});
  EXPECT_EQ(jwks.negative_ttl, milliseconds{0});
  EXPECT_EQ(jwks.max_token_lifetime, seconds{366 * 86'400});
  const ProfileConfig& sqlite = config.profiles[1];
  EXPECT_EQ(sqlite.database, "/d");
  EXPECT_EQ(sqlite.query, "SELECT u AS subject FROM s WHERE t = ?1");
  EXPECT_EQ(sqlite.key_encoding, KeyEncoding::kRaw);
}

TEST(Config, RefreshIsOnWhereRecordsComeFromAnIssuerUnlessTheFileSaysOtherwise) {
  const auto refreshes = [](const std::string& text) {
    const ParsedConfig parsed = parse(text);
    EXPECT_TRUE(parsed.faults.empty()) << described(parsed);
    return parsed.config.profiles.at(0).refreshes();
  };
  EXPECT_TRUE(refreshes(kJwks));
  EXPECT_FALSE(refreshes(kJwks + "refresh = \"off\"\n"));
  EXPECT_FALSE(refreshes(kSessions));
  EXPECT_TRUE(refreshes(kSessions + "refresh = \"on\"\n"));
  EXPECT_TRUE(contains(only_fault(kSessions + "refresh = \"yes\"\n").remedy, "\"on\""));
}

TEST(Config, AKeySetHasItsOwnBoundOnStaleness) {
  EXPECT_TRUE(contains(only_fault(kJwks + "stale_if_error = \"1m\"\n").remedy, "jwks_max_stale"));
}

// Documentation and parser cannot drift: same keys, same defaults, same ranges.

TEST(ConfigKeys, TheParserReadsExactlyTheDocumentedKeys) {
  std::set<std::string> documented;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(documented.emplace(key.name).second) << key.name << " is documented twice";
    EXPECT_FALSE(key.unit.empty()) << key.name;
    EXPECT_FALSE(key.explanation.empty()) << key.name;
  }
  const std::vector<std::string> bound = bound_keys();
  EXPECT_EQ(documented, std::set<std::string>(bound.begin(), bound.end()));
  EXPECT_EQ(documented.size(), bound.size());
}

std::string without_line(std::string text, std::string_view key) {
  const std::size_t begin = text.find(key);
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

const std::string kFleet = "[fleet]\naddress = \"unix:/run/r.sock\"\nkey_file = \"/key\"\n";

// The key set to its documented default, in the smallest file where it may stand.
std::string file_with_default(const ConfigKey& key) {
  const bool bare =
      key.unit != "path" && key.unit != "duration" && key.unit != "one of" && key.unit != "group name" && key.unit != "table name" &&
      key.unit != "text";
  const std::string value =
      bare ? std::string(key.default_value) : "\"" + std::string(key.default_value) + "\"";
  const std::size_t dot = key.name.rfind('.');
  const std::string line =
      std::string(key.name.substr(dot == std::string_view::npos ? 0 : dot + 1)) + " = " + value;
  if (dot == std::string_view::npos) return line + "\n" + kSessions;
  const std::string_view section = key.name.substr(0, dot);
  if (section == "fleet") return kFleet + line + "\n" + kSessions;
  if (section != "profile.NAME") return "[" + std::string(section) + "]\n" + line + "\n" + kSessions;
  if (key.name.contains(".introspection_") || key.name.ends_with("client_auth")) return kAsked + line + "\n";
  for (const char* redis : {".tls", ".database_index", ".value", ".without_expiry"}) {
    if (key.name.ends_with(redis)) return kRedis + line + "\n";
  }
  if (key.name.ends_with("leeway") || key.name.ends_with("token_type")) return kJwks + line + "\n";
  if (key.name.ends_with("jwks_max_stale")) return without_line(kJwks, "jwks_file") + line + "\n";
  if (key.name.contains(".changes_")) return kShop + "changes = \"listen\"\n" + line + "\n";
  if (key.name.contains(".pool_") || key.name.ends_with(".changes") || key.name.ends_with("statement_timeout")) return kShop + line + "\n";
  if (key.name.ends_with("key_encoding"))
    return kSessions + "database = \"/d\"\nquery = \"?1\"\n" + line + "\n";
  return kSessions + line + "\n";
}

// The text with the key's line taken out: what the default must be equal to.
std::string without_last_setting(const std::string& text, const ConfigKey& key) {
  const std::string name(key.name.substr(key.name.rfind('.') + 1));  // npos + 1 is 0
  const std::size_t begin = text.rfind("\n" + name + " = ");
  const std::size_t start = begin == std::string::npos ? 0 : begin + 1;
  return text.substr(0, start) + text.substr(text.find('\n', start) + 1);
}

std::string fingerprint(const Config& c) {
  std::string all = c.runtime_dir.string() + "|" + c.state_dir.string() + "|" + c.group + "|" +
                    c.admin_group + "|" + c.log_level;
  const auto add = [&all](auto number) { all += "|" + std::to_string(number); };
  add(c.table.capacity), add(c.table.negative_percent), add(c.table.text_bytes_per_record);
  add(c.table.heartbeat_timeout.count()), add(c.limits.misses_per_second_per_uid),
      add(c.limits.miss_burst_per_uid);
  add(c.limits.connections), add(c.limits.flights), add(c.limits.waiters_per_flight), add(c.limits.rules);
  add(c.limits.upstream_timeout.count());
  add(c.http.connections), add(c.http.idle_timeout.count()), add(c.http.request_timeout.count());
  add(static_cast<int>(c.http.encoding)), add(c.http.is_on());
  for (const HttpIdentity each : c.http.identity) add(static_cast<int>(each));
  add(c.fleet.redis.database_index), add(c.fleet.staleness.count()), add(c.fleet.serve_stale), add(c.fleet.retention.count());
  all += "|" + c.fleet.key;
  for (const ProfileConfig& p : c.profiles) {
    add(static_cast<int>(p.upstream)), add(p.ttl_max.count()), add(p.negative_ttl.count());
    add(p.max_token_lifetime.count()), add(p.leeway.count()), add(p.audience.size());
    add(static_cast<int>(p.token_type)), add(static_cast<int>(p.key_encoding));
    add(p.refreshes()), add(p.stale_if_error.count()), add(p.jwks_max_stale.count()), add(p.token_type_required), add(p.signed_answers), add(static_cast<int>(p.client_auth));
    add(p.pool_min), add(p.pool_max), add(p.statement_timeout.count());
    add(static_cast<int>(p.changes.kind)), add(p.changes.max_lag.count()), add(p.changes.serve_when_lost);
    all += p.changes.table;
    add(p.redis.tls), add(p.redis.database_index), add(p.redis.json), add(p.redis.endless);
    all += "|" + p.issuer + "|" + p.jwks_file.string() + "|" + p.database.string() + "|" + p.query;
  }
  return all;
}

TEST(ConfigKeys, EachDocumentedDefaultIsTheRealOne) {
  int compared = 0;
  for (const ConfigKey& key : config_keys()) {
    if (key.default_value.empty()) continue;
    const std::string text = file_with_default(key);
    const ParsedConfig set = parse(text);
    const ParsedConfig unset = parse(without_last_setting(text, key));
    EXPECT_TRUE(set.faults.empty()) << key.name << "\n" << text << described(set);
    EXPECT_TRUE(unset.faults.empty()) << key.name << "\n" << described(unset);
    EXPECT_EQ(fingerprint(set.config), fingerprint(unset.config)) << key.name;
    ++compared;
  }
  EXPECT_GE(compared, 20);
}

template <class T>
std::string range_phrase(const ConfigRange<T>& range) {
  if constexpr (std::is_integral_v<T>) {
    return "From " + std::to_string(range.low) + " to " + std::to_string(range.high) + ".";
  } else {
    return "From " + format_duration(range.low) + " to " + format_duration(range.high) + ".";
  }
}

TEST(ConfigKeys, EachRangeIsStatedInTheManual) {
  const std::map<std::string_view, std::string> phrases{
      {"table.capacity", range_phrase(kCapacityRange)},
      {"table.negative_percent", range_phrase(kNegativePercentRange)},
      {"table.text_bytes_per_record", range_phrase(kTextBytesPerRecordRange)},
      {"table.heartbeat_timeout", range_phrase(kHeartbeatTimeoutRange)},
      {"limits.misses_per_second_per_uid", range_phrase(kMissRateRange)},
      {"limits.miss_burst_per_uid", range_phrase(kMissRateRange)},
      {"limits.connections", range_phrase(kConnectionsRange)},
      {"limits.flights", range_phrase(kFlightsRange)},
      {"limits.waiters_per_flight", range_phrase(kWaitersPerFlightRange)},
      {"limits.rules", range_phrase(kRulesRange)},
      {"limits.upstream_timeout", range_phrase(kUpstreamTimeoutRange)},
      {"http.connections", range_phrase(kHttpConnectionsRange)},
      {"http.idle_timeout", range_phrase(kHttpIdleTimeoutRange)},
      {"http.request_timeout", range_phrase(kHttpRequestTimeoutRange)},
      {"profile.NAME.ttl_max", range_phrase(kTtlMaxRange)},
      {"profile.NAME.negative_ttl", range_phrase(kNegativeTtlRange)},
      {"profile.NAME.max_token_lifetime", range_phrase(kMaxTokenLifetimeRange)},
      {"profile.NAME.leeway", range_phrase(kLeewayRange)},
      {"profile.NAME.stale_if_error", range_phrase(kStaleIfErrorRange)},
      {"profile.NAME.jwks_max_stale", range_phrase(kJwksMaxStaleRange)},
      {"profile.NAME.pool_min", range_phrase(kPoolMinRange)},
      {"profile.NAME.pool_max", range_phrase(kPoolMaxRange)},
      {"profile.NAME.statement_timeout", range_phrase(kStatementTimeoutRange)},
      {"profile.NAME.changes_max_lag", range_phrase(kChangesMaxLagRange)}};
  std::size_t seen = 0;
  for (const ConfigKey& key : config_keys()) {
    const auto phrase = phrases.find(key.name);
    if (phrase == phrases.end()) continue;
    EXPECT_TRUE(contains(key.explanation, phrase->second)) << key.name << " should say: " << phrase->second;
    ++seen;
  }
  EXPECT_EQ(seen, phrases.size());
}

TEST(ConfigManual, TheFileInDocsIsWhatTheProgramPrints) {
  EXPECT_TRUE(source_file("docs/config.md") == config_manual())
      << "docs/config.md is out of date; run: authcached --print-config-manual > docs/config.md";
}

TEST(ConfigManual, ItsExampleIsAValidFile) {
  const ParsedConfig parsed = parse(config_example());
  EXPECT_TRUE(parsed.faults.empty()) << described(parsed);
}

TEST(ConfigManual, B23_ItSaysWhatALowEntropySessionIdCosts) {
  const std::string manual = config_manual();
  EXPECT_TRUE(contains(manual, "128 or more"));
  EXPECT_TRUE(contains(manual, "offline"));
}

TEST(ConfigManual, TheInstalledFileIsValid) {
  const std::string text = source_file("systemd/authcached.toml");
  ASSERT_FALSE(text.empty());
  const ParsedConfig parsed = parse(text);
  ASSERT_TRUE(parsed.faults.empty()) << described(parsed);
  ASSERT_EQ(parsed.config.profiles.size(), 1u);
  EXPECT_EQ(parsed.config.profiles[0].name, "sessions");
}

// Faults.

TEST(ConfigFaults, AllAreToldAtOnceInLineOrder) {
  const ParsedConfig parsed = parse(
      "runtime_dir = \"run\"\n"               // 1: relative
      "log_level = \"loud\"\n"                // 2: none of the values
      "[table]\ncapacity = 1\n"               // 4: out of range
      "colour = 3\n"                          // 5: unknown
      "[limits]\nconnections = \"many\"\n"    // 7: wrong type
      "[profile.api]\nupstream = \"jwks\"\n"  // 8: three keys missing
      "leeway = \"6m\"\n");                   // 10: out of range
  std::vector<std::uint32_t> lines;
  for (const ConfigFault& fault : parsed.faults) lines.push_back(fault.line);
  EXPECT_EQ(lines, (std::vector<std::uint32_t>{1, 2, 4, 5, 7, 8, 8, 8, 10})) << described(parsed);
}

TEST(ConfigFaults, BrokenSyntaxIsOneFaultWithItsLine) {
  const ConfigFault fault = only_fault("group = \"a\"\n[table\ncapacity = 5\n");
  EXPECT_EQ(fault.line, 2u);
  EXPECT_TRUE(contains(fault.message, "not TOML")) << fault.message;
}

// What the parser's own assertions and its table of white space would have ended the daemon for, at a reload.
TEST(ConfigFaults, NoSyntaxFaultEndsTheProcess) {
  for (const std::string heading : {"[.a]", "[=]", "[\xc3\xa9]", "\xc3\xa9 = 1", "\xef\xbb\xb7", "[\x01]"}) {
    EXPECT_TRUE(contains(only_fault("\n" + heading + "\n" + kSessions).message, "not TOML")) << heading;
  }
}

TEST(ConfigFaults, AKeyGivenTwiceIsASyntaxFault) {
  EXPECT_EQ(only_fault("group = \"a\"\ngroup = \"b\"\n" + kSessions).line, 2u);
}

TEST(ConfigFaults, AnEmptyFileHasNoProfile) { EXPECT_TRUE(contains(only_fault("").message, "no profile")); }

TEST(ConfigFaults, AnUnknownKeyNamesTheNearestKnownOne) {
  struct Case {
    std::string text;
    std::uint32_t line;
    std::string_view remedy;
  };
  for (const Case& c : {Case{"rumtime_dir = \"/x\"\n" + kSessions, 1, "runtime_dir"},
                        Case{"[profil.x]\n" + kSessions, 1, "profile"},
                        Case{"[table]\nCapacity = 2000\n" + kSessions, 2, "capacity"},
                        Case{"[limits]\nrule = 2000\n" + kSessions, 2, "rules"},
                        Case{kSessions + "negativ_ttl = \"1s\"\n", 2, "negative_ttl"}}) {
    const ConfigFault fault = only_fault(c.text);
    EXPECT_EQ(fault.line, c.line) << c.text;
    EXPECT_TRUE(contains(fault.message, "unknown key")) << fault.message;
    EXPECT_EQ(fault.remedy, "did you mean \"" + std::string(c.remedy) + "\"?");
  }
}

TEST(ConfigFaults, AKeyInTheWrongSectionNamesItsHome) {
  EXPECT_EQ(only_fault("capacity = 2000\n" + kSessions).remedy, "it belongs under [table]");
  EXPECT_EQ(only_fault(kSessions + "log_level = \"info\"\n").remedy,
            "it belongs at the top of the file, before the first [section]");
}

TEST(ConfigFaults, AHopelessKeyIsToBeRemoved) {
  EXPECT_EQ(only_fault("zzzzzzzzzz = 1\n" + kSessions).remedy, "remove it");
}

TEST(ConfigFaults, AKeyWithControlCharactersIsShownWithoutThem) {
  const ConfigFault fault = only_fault("\"a\\r\\n\\u001b[31mb\" = 1\n" + kSessions);
  EXPECT_EQ(fault.message, "unknown key a???[31mb");
}

TEST(ConfigFaults, EachRangeRefusesTheFirstValueOutside) {
  struct Case {
    std::string_view section, key, below, low, high, above;
  };
  for (const Case& c :
       {Case{"[table]", "capacity", "999", "1000", "30000000", "30000001"},
        Case{"[table]", "negative_percent", "-1", "0", "50", "51"},
        Case{"[table]", "text_bytes_per_record", "63", "64", "4096", "\"4097B\""},
        Case{"[table]", "heartbeat_timeout", "\"999ms\"", "\"1s\"", "\"60s\"", "\"60001ms\""},
        Case{"[limits]", "connections", "0", "1", "65536", "65537"},
        Case{"[limits]", "waiters_per_flight", "9999", "10000", "1000000", "1000001"},
        Case{"[limits]", "rules", "999", "1000", "10000000", "4294968296"},
        Case{"[profile.s]", "ttl_max", "\"99ms\"", "\"100ms\"", "\"1d\"", "\"25h\""},
        Case{"[profile.s]", "negative_ttl", "\"-1s\"", "\"0s\"", "\"60s\"", "\"61s\""},
        Case{"[profile.s]", "stale_if_error", "\"-1s\"", "\"0s\"", "\"1d\"", "\"25h\""},
        Case{"[profile.s]", "max_token_lifetime", "\"0s\"", "\"1s\"", "\"366d\"", "\"367d\""}}) {
    const auto text = [&](std::string_view value) {
      return std::string(c.section) + "\n" + std::string(c.key) + " = " + std::string(value) + "\n" +
             (c.section.starts_with("[profile") ? "" : kSessions);
    };
    EXPECT_TRUE(parse(text(c.low)).faults.empty()) << text(c.low);
    EXPECT_TRUE(parse(text(c.high)).faults.empty()) << text(c.high);
    EXPECT_EQ(only_fault(text(c.below)).line, 2u);
    EXPECT_EQ(only_fault(text(c.above)).line, 2u);
  }
}

TEST(ConfigFaults, A5_10_LeewayAboveFiveMinutesIsRefused) {
  EXPECT_TRUE(parse(kJwks + "leeway = \"5m\"\n").faults.empty());
  const ConfigFault fault = only_fault(kJwks + "leeway = \"301s\"\n");
  EXPECT_EQ(fault.message, "profile.api.leeway is out of range");
  EXPECT_TRUE(contains(fault.remedy, "\"5m\"")) << fault.remedy;
  EXPECT_TRUE(contains(only_fault(kJwks + "leeway = \"1500ms\"\n").message, "whole number of seconds"));
}

TEST(ConfigFaults, WrongTypesAreNamed) {
  EXPECT_EQ(only_fault("[table]\ncapacity = 2e3\n" + kSessions).message,
            "table.capacity is a number with a fraction");
  EXPECT_EQ(only_fault("[table]\nheartbeat_timeout = 10\n" + kSessions).message,
            "table.heartbeat_timeout is a whole number");
  EXPECT_EQ(only_fault("runtime_dir = [\"/x\"]\n" + kSessions).message, "runtime_dir is a list");
  EXPECT_EQ(only_fault("group = true\n" + kSessions).message, "group is true or false");
  EXPECT_EQ(only_fault("state_dir = 2026-01-01\n" + kSessions).message, "state_dir is a date or a time");
  EXPECT_EQ(only_fault("table = 3\n" + kSessions).message, "table is a value, not a section");
  EXPECT_EQ(only_fault("profile = 3\n").message, "profile is a value, not a section");
  EXPECT_EQ(only_fault("[[profile]]\nname = \"x\"\n").message, "profile is a value, not a section");
  EXPECT_EQ(only_fault("[profile]\nupstream = \"sqlite\"\n").message,
            "profile.upstream is a value, not a section");
  EXPECT_EQ(only_fault(kSessions + "audience = \"api\"\n").message, "profile.sessions.audience is a text");
  EXPECT_EQ(only_fault(kSessions + "audience = [\"api\", 3]\n").message,
            "profile.sessions.audience is a whole number");
}

// A4.8 asks for strong HMAC secrets; there are none here, because no HMAC is accepted at all.
TEST(ConfigFaults, A4_8_HmacIsRefusedWithTheReason) {
  for (const std::string_view name : {"HS256", "HS384", "HS512", "hs256"}) {
    std::string text = kJwks;
    text.replace(text.find("ES256"), 5, name);
    const ConfigFault fault = only_fault(text);
    EXPECT_EQ(fault.line, 5u);
    EXPECT_TRUE(contains(fault.message, "HS256, HS384 and HS512 are not supported")) << fault.message;
    EXPECT_TRUE(contains(fault.remedy, "forge")) << fault.remedy;
  }
}

TEST(ConfigFaults, A2_NoneAndMisspeltAlgorithmsAreRefused) {
  for (const std::string_view name : {"none", "NONE", "es256", "RS257", "ES256K", "\\u0000"}) {
    std::string text = kJwks;
    text.replace(text.find("ES256"), 5, name);
    EXPECT_EQ(only_fault(text).line, 5u) << name;
  }
  std::string lower = kJwks;
  lower.replace(lower.find("ES256"), 5, "es256");
  EXPECT_EQ(only_fault(lower).remedy, "did you mean \"ES256\"?");
}

TEST(ConfigFaults, AJwksProfileNeedsItsKeys) {
  for (const std::string_view key : {"issuer", "algorithms", "audience"}) {
    std::string text = kJwks;
    const std::size_t begin = text.find(key);
    text.erase(begin, text.find('\n', begin) + 1 - begin);
    const ConfigFault fault = only_fault(text);
    EXPECT_EQ(fault.message, "profile.api." + std::string(key) + " is missing");
    EXPECT_EQ(fault.line, 1u);
  }
}

TEST(ConfigFaults, KeysOfTheOtherUpstreamAreRefused) {
  for (const std::string_view line : {"database = \"/d\"", "query = \"?1\"", "key_encoding = \"raw\""}) {
    const ConfigFault fault = only_fault(kJwks + std::string(line) + "\n");
    EXPECT_TRUE(contains(fault.message, "belongs to upstream = \"sqlite\"")) << fault.message;
    EXPECT_EQ(fault.line, 7u);
  }
  for (const std::string_view line : {"issuer = \"i\"", "jwks_file = \"/k\"", "algorithms = [\"ES256\"]",
                                      "token_type = \"legacy\"", "leeway = \"1s\""}) {
    const ConfigFault fault = only_fault(kSessions + std::string(line) + "\n");
    EXPECT_TRUE(contains(fault.message, "belongs to upstream = \"jwks\"")) << fault.message;
  }
}

TEST(ConfigFaults, AQueryNeedsItsDatabaseAndParameter) {
  const std::string query = "query = \"SELECT u AS subject FROM s WHERE h = ?1\"\n";
  EXPECT_TRUE(parse(kSessions + "database = \"/d\"\n" + query).faults.empty());
  EXPECT_TRUE(contains(only_fault(kSessions + query).message, "query stands without database"));
  EXPECT_TRUE(contains(only_fault(kSessions + "key_encoding = \"raw\"\n").message, "without query"));
  EXPECT_TRUE(contains(only_fault(kSessions + "database = \"/d\"\nquery = \"SELECT 1\"\n").message, "key"));
}

TEST(ConfigFaults, PathsAreAbsoluteAndBounded) {
  EXPECT_TRUE(contains(only_fault("state_dir = \"var\"\n" + kSessions).message, "relative"));
  EXPECT_TRUE(contains(only_fault("state_dir = \"\"\n" + kSessions).message, "empty"));
  EXPECT_TRUE(contains(only_fault("state_dir = \"/a\\u0000b\"\n" + kSessions).message, "NUL"));
  EXPECT_TRUE(
      contains(only_fault("runtime_dir = \"/" + std::string(90, 'r') + "\"\n" + kSessions).message, "long"));
  EXPECT_TRUE(parse("runtime_dir = \"/" + std::string(89, 'r') + "\"\n" + kSessions).faults.empty());
  EXPECT_TRUE(contains(only_fault(kSessions + "database = \"d.sqlite\"\n").message, "relative"));
}

TEST(ConfigFaults, ProfileNamesAreChecked) {
  EXPECT_TRUE(parse("[profile." + std::string(63, 'a') + "]\n").faults.empty());
  for (const std::string& name : {std::string("Web"), std::string("\"a b\""), std::string("\"\""),
                                  std::string("\"a\\n\""), std::string(64, 'a')}) {
    EXPECT_TRUE(contains(only_fault("[profile." + name + "]\n").message, "not a profile's name")) << name;
  }
}

TEST(ConfigFaults, SixtyFiveProfilesAreTooMany) {
  std::string text;
  for (int i = 0; i < 64; ++i) {
    const std::string n = std::to_string(i);
    text += "[profile.p" + n + "]\ndatabase = \"/d" + n + "\"\n";
  }
  EXPECT_TRUE(parse(text).faults.empty());
  EXPECT_TRUE(contains(only_fault(text + "[profile.q]\n").message, "65 profiles"));
}

TEST(ConfigFaults, TwoProfilesThatTrustTheSameAreRefused) {
  const ConfigFault fault = only_fault("[profile.a]\n[profile.b]\nttl_max = \"1s\"\n");
  EXPECT_EQ(fault.line, 2u);
  EXPECT_EQ(fault.message, "profile.b trusts exactly what profile.a trusts");
}

TEST(ConfigFaults, AudiencesAreBounded) {
  const auto audience = [](std::size_t count, std::size_t bytes) {
    std::string list = "audience = [";
    for (std::size_t i = 0; i < count; ++i)
      list += "\"" + std::to_string(i + 100) + std::string(bytes - 3, 'a') + "\",";
    return kSessions + list + "]\n";
  };
  EXPECT_TRUE(parse(audience(16, 255)).faults.empty());
  EXPECT_TRUE(contains(only_fault(audience(17, 3)).message, "17 members"));
  EXPECT_TRUE(contains(only_fault(audience(1, 256)).message, "too long"));
  EXPECT_TRUE(contains(only_fault(audience(0, 3)).message, "0 members"));
  EXPECT_TRUE(contains(only_fault(kSessions + "audience = [\"\"]\n").message, "empty"));
  EXPECT_TRUE(contains(only_fault(kSessions + "audience = [\"a\", \"a\"]\n").message, "twice"));
}

TEST(ConfigFaults, GroupNamesAreChecked) {
  EXPECT_TRUE(parse("group = \"www-data\"\n" + kSessions).faults.empty());
  for (const std::string_view name : {"a:b", "-x", "a b"}) {
    EXPECT_TRUE(contains(only_fault("group = \"" + std::string(name) + "\"\n" + kSessions).message, "group"));
  }
}

TEST(ConfigFaults, AFileOfHugeSizeIsNotParsed) {
  EXPECT_TRUE(contains(only_fault(std::string(kConfigBytesMax + 1, '#')).message, "bytes"));
}

TEST(ConfigFaults, DeepNestingIsAFaultAndNotACrash) {
  EXPECT_EQ(parse("x = " + std::string(100'000, '[')).faults.size(), 1u);
}

// A secret put into the wrong place must not travel on into logs and terminals.
TEST(ConfigFaults, B18_NoFaultRepeatsAValue) {
  const std::string canary = "hunter2canary";
  for (const std::string& text :
       {"client_secret = \"" + canary + "\"\n" + kSessions, "runtime_dir = \"" + canary + "\"\n" + kSessions,
        "log_level = \"" + canary + "\"\n" + kSessions, "group = \":" + canary + "\"\n" + kSessions,
        "group = " + canary + "\n", "group = \"x\" " + canary + "\n", "group = \"" + canary + "\n",
        kSessions + "ttl_max = \"" + canary + "\"\n", kSessions + "upstream = \"" + canary + "\"\n",
        kSessions + "audience = [\"" + canary + "\", \"" + canary + "\"]\n",
        kSessions + "query = \"" + canary + "\"\ndatabase = \"/d\"\n",
        "[table]\ntext_bytes_per_record = \"" + canary + "\"\n" + kSessions}) {
    const ParsedConfig parsed = parse(text);
    EXPECT_FALSE(parsed.faults.empty()) << text;
    EXPECT_FALSE(contains(described(parsed), "hunter2")) << described(parsed);
    EXPECT_FALSE(contains(described(parsed), "canary")) << described(parsed);
  }
  const ParsedConfig digits = parse("[table]\ncapacity = 987654321987654321987654321\n" + kSessions);
  EXPECT_FALSE(contains(described(digits), "987654321")) << described(digits);
}

}  // namespace
}  // namespace authcached
