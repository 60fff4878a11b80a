#include "daemon/base/config_fleet.hpp"

#include "daemon/base/config_reader.hpp"
#include "daemon/base/config_redis.hpp"

namespace authcached {
namespace {

constexpr bool kOnRestart = false;

constexpr std::pair<std::string_view, bool> kStale[] = {{"unavailable", false}, {"serve", true}};

// One slot of a cluster would be a matter of braces in the name; clusters are not supported, so they mean
// nothing.
void read_key(KeyReader& key, FleetConfig& fleet) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:_-./";
  std::string text;
  key.text(text, kFleetKeyBytesMax);
  if (text.empty()) return;
  if (text.find_first_not_of(kLetters) != std::string::npos)
    return key.fail("is no beginning of a key's name",
                    "write letters, digits and : _ - . /, such as \"authcache:fleet\"");
  fleet.key = std::move(text);
}

constexpr KeyBinding<FleetConfig> kBindings[] = {
    {"address", [](KeyReader& key, FleetConfig& fleet) { read_redis_address(key, fleet.redis); }},
    {"tls", [](KeyReader& key, FleetConfig& fleet) { key.flag(fleet.redis.tls); }},
    {"ca_file", [](KeyReader& key, FleetConfig& fleet) { key.path(fleet.ca_file); }},
    {"username",
     [](KeyReader& key, FleetConfig& fleet) { key.text(fleet.redis.username, kClientIdBytesMax); }},
    {"password_file", [](KeyReader& key, FleetConfig& fleet) { key.path(fleet.redis.password_file); }},
    {"database_index",
     [](KeyReader& key, FleetConfig& fleet) { key.number(fleet.redis.database_index, kRedisDatabaseRange); }},
    {"key", read_key},
    {"key_file", [](KeyReader& key, FleetConfig& fleet) { key.path(fleet.key_file); }},
    {"staleness",
     [](KeyReader& key, FleetConfig& fleet) { key.duration(fleet.staleness, kFleetStalenessRange); }},
    {"stale", [](KeyReader& key, FleetConfig& fleet) { key.choice(fleet.serve_stale, kStale); }},
    {"retention",
     [](KeyReader& key, FleetConfig& fleet) { key.duration(fleet.retention, kFleetRetentionRange); }},
};

}  // namespace

std::vector<std::string> fleet_bound_keys() {
  std::vector<std::string> names;
  for (const auto& binding : kBindings) names.push_back("fleet." + std::string(binding.name));
  return names;
}

void read_fleet(const toml::table& document, Config& config, std::vector<ConfigFault>& faults) {
  const toml::node* const node = document.get("fleet");
  if (node == nullptr) return;
  const toml::table* const source = node->as_table();
  if (source == nullptr) {
    faults.push_back(
        {line_of(*node), "fleet is a value, not a section", "write its keys under the heading [fleet]"});
    return;
  }
  FleetConfig& fleet = config.fleet;
  const std::size_t faults_before = faults.size();
  const KeyLines lines = read_section<FleetConfig>(*source, "fleet.", kBindings, {}, fleet, faults);
  const auto refuse = [&](std::string_view key, std::string_view what, std::string_view remedy) {
    const auto found = lines.find(key);
    faults.push_back({found == lines.end() ? line_of(*source) : found->second,
                      "fleet." + std::string(key) + " " + std::string(what), std::string(remedy)});
  };
  if (faults.size() != faults_before) return;
  if (!lines.contains("address"))
    return refuse("address", "is missing",
                  "write \"unix:/run/redis/redis.sock\" or \"host:6379\", or remove the section");
  if (!lines.contains("key_file")) {
    refuse("key_file", "is missing",
           "write the path of a file with one secret for all hosts, as `openssl rand -hex 32` prints it: who "
           "can "
           "write to Redis must not be able to write revocations");
  }
  if (lines.contains("username") && !lines.contains("password_file"))
    refuse("username", "stands without password_file",
           "write the path of a file that holds the user's password");
  if (lines.contains("ca_file") && !fleet.redis.tls)
    refuse("ca_file", "says nothing here", "remove it, or write tls = true");
  if (const auto fault = redis_place_fault(fleet.redis)) refuse(fault->key, fault->what, fault->remedy);
}

std::vector<ConfigKey> fleet_keys() {
  return {
      {"fleet.address", "text", "", kOnRestart,
       "Required. Where the Redis server (7.0 or newer) listens: \"unix:\" and the path of a socket, or "
       "\"host:port\". "
       "Without tls only this host's loopback addresses are taken."},
      {"fleet.tls", "true or false", "false", kOnRestart,
       "Whether to speak TLS (1.2 or newer). The server's certificate must be signed by ca_file and name the "
       "host."},
      {"fleet.ca_file", "path", "", kOnRestart,
       "With tls: certificates in PEM that may have signed the server's. Empty: the system's store."},
      {"fleet.username", "text", "", kOnRestart,
       "With password_file. The user of the server's ACL. Empty: the user \"default\". 1 to 255 bytes."},
      {"fleet.password_file", "path", "", kOnRestart,
       "A file that holds the password and nothing else; owned by root or the daemon's user, not readable by "
       "everyone. "
       "It is read at each connection. Empty: no password is sent."},
      {"fleet.database_index", "number", "0", kOnRestart, "The numbered database. From 0 to 65535."},
      {"fleet.key", "text", "authcache:fleet", kOnRestart,
       "How the names of the fleet's keys begin. Fleets that share a server need different ones. At most 128 "
       "letters, "
       "digits and : _ - . /"},
      {"fleet.key_file", "path", "", kOnRestart,
       "Required. A file that holds the fleet's secret and nothing else, the same on every host: 32 "
       "characters or more, "
       "as `openssl rand -hex 32` prints. Every revocation is signed with it, and one that is not is "
       "refused."},
      {"fleet.staleness", "duration", "15s", kOnRestart,
       "How long this host may go on without knowing that it has heard every revocation of the others. From "
       "1s to 1h. "
       "It must outlast a failover of the Redis server."},
      {"fleet.stale", "one of", "unavailable", kOnRestart,
       "What is answered beyond that: \"unavailable\", in every profile, until all was heard again; or "
       "\"serve\": as "
       "if it had been, which accepts what other hosts revoked meanwhile."},
      {"fleet.retention", "duration", "24h", kOnRestart,
       "How long the stream keeps each revocation. From 1m to 30d. A host that was away for longer reads the "
       "copy of "
       "all rules instead."},
  };
}

}  // namespace authcached
