// Lookups of good sessions while the daemon replaces its table by another size, under load: one thread looks
// all sessions up at full speed by authcache_lookup, which never asks the daemon, while the daemon also
// admits every session again. From before the reload until the new generation serves and the old one has been
// retired for a while, each answer other than valid is a lookup lost.
//
// usage: replace_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <authcache/authcache.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/session_daemon.hpp"

namespace {

using namespace authcache_bench;
using namespace std::chrono_literals;

constexpr std::uint64_t kCapacities[] = {200'000, 400'000, 250'000, 500'000};
constexpr auto kAfterwards = 3s;  // longer than heartbeat_timeout: the old table is retired within it
constexpr auto kPatience = 60s;

struct Shared {
  authcache_client* client = nullptr;
  authcache_requirement* requirement = nullptr;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> lookups{0}, lost{0};
};

void read_all_the_time(const SessionDaemon& daemon, Shared& shared) {
  while (!shared.stop) {
    std::uint64_t lost = 0;
    for (const std::string& token : daemon.tokens()) {
      lost += authcache_lookup(shared.client, token.data(), token.size(), shared.requirement, nullptr) ==
                      AUTHCACHE_VALID
                  ? 0
                  : 1;
    }
    shared.lookups += daemon.tokens().size();
    shared.lost += lost;
  }
}

std::uint64_t serving_generation(authcache_client* client) {
  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  authcache_status(client, &status);
  return status.serving != 0 ? status.generation : 0;
}

void replace_once(const SessionDaemon& daemon, Shared& shared, std::uint64_t capacity) {
  const std::uint64_t before = serving_generation(shared.client);
  daemon.reload(capacity);
  const auto begun = std::chrono::steady_clock::now();
  for (std::uint64_t now = before; now == before || now == 0; now = serving_generation(shared.client)) {
    if (std::chrono::steady_clock::now() - begun > kPatience) die("the table was not replaced");
    daemon.ask_all();
  }
  std::this_thread::sleep_for(kAfterwards);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: replace_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const SessionDaemon daemon(argv[1], argv[2], argv[3], {.capacity = kCapacities[0]});
  daemon.ask_all();
  Shared shared;
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = argv[2];
  if (authcache_open(&options, &shared.client) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
  if (authcache_requirement_create(shared.client, SessionDaemon::kProfile, &shared.requirement) !=
      AUTHCACHE_OK)
    die("no requirement");
  FlatReport report;
  {
    std::jthread reader([&] { read_all_the_time(daemon, shared); });
    for (const std::uint64_t capacity : kCapacities) {
      if (capacity != kCapacities[0]) replace_once(daemon, shared, capacity);
    }
    shared.stop = true;
  }
  const double lookups = static_cast<double>(shared.lookups);
  report.add("lookups_lost_during_replace", static_cast<double>(shared.lost) / lookups);
  report.add("lookups_during_replace", lookups);
  report.write(argv[4]);
  authcache_requirement_free(shared.requirement);
  authcache_close(shared.client);
  return 0;
}
