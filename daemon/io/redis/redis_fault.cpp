#include "daemon/io/redis/redis_fault.hpp"

#include <algorithm>

namespace authcached {
namespace {

struct Meaning {
  std::string_view code;
  std::string_view what;
  bool reconnect = false;
};

constexpr std::string_view kCluster =
    "it is a node of a Redis Cluster, which is not supported: name a server that holds every session, or a "
    "proxy in front of them";

constexpr Meaning kMeanings[] = {
    {"NOAUTH", "it wants a password; name it with username and password_file", true},
    {"WRONGPASS", "it refuses the user or the password; compare username and password_file with its ACL",
     true},
    {"NOPERM",
     "its ACL forbids the user a command or the keys; grant +multi +exec +pttl +hmget +getrange +ping and "
     "the key template's beginning, or for a fleet what docs/fleet.md names"},
    {"LOADING", "it is still loading its data"},
    {"BUSY", "it is busy with a script"},
    {"MASTERDOWN", "it is a replica that lost its master and serves no stale data"},
    {"READONLY", "it is a replica and refuses to write", true},  // another one may be the primary by now
    {"MOVED", kCluster},
    {"ASK", kCluster},
    {"CLUSTERDOWN", kCluster},
    {"CROSSSLOT", kCluster},
    {"TRYAGAIN", kCluster},
    {"MISCONF", "it refuses commands because it cannot write its data to disk"},
    {"OOM", "it has no memory left"},
    {"WRONGTYPE", "a session's key holds another type; compare value with what the application stores"},
    {"UNKILLABLE", "it is busy with a script that cannot be ended"},
};

bool is_code(std::string_view word) {
  constexpr std::size_t kCodeBytesMax = 32;
  return !word.empty() && word.size() <= kCodeBytesMax &&
         std::ranges::all_of(word, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

RedisFault redis_fault_of(std::string_view error) {
  const std::string_view code = error.substr(0, error.find(' '));
  const auto known = std::ranges::find(kMeanings, code, &Meaning::code);
  if (known != std::end(kMeanings))
    return {std::string(known->what) + " (" + std::string(code) + ")", known->reconnect};
  return {is_code(code) ? "it answers with the error " + std::string(code) : "it answers with an error",
          false};
}

}  // namespace authcached
