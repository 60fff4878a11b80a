// Tokens in use over ten deadlines of their records: one thread looks a thousand sessions up, each every few
// milliseconds, by authcache_lookup, which never asks the daemon, while the daemon proves each of them anew
// once a second. Any answer other than valid is a miss that a caller would have waited for; what the daemon
// itself counts as waiting for a refresh of a record that was still good is read from it at the end.
//
// usage: refresh_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <authcache/authcache.h>

#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/session_daemon.hpp"

namespace {

using namespace authcache_bench;
using namespace std::chrono_literals;

constexpr std::size_t kHot = 1'000;
constexpr std::uint64_t kCapacity = 200'000;
constexpr auto kDeadline = 1s;
constexpr auto kTenDeadlines = 10 * kDeadline + kDeadline / 2;
constexpr auto kBetweenRounds = 5ms;

std::uint64_t number_after(std::string_view text, std::string_view member) {
  const std::size_t at = text.find("\"" + std::string(member) + "\":");
  if (at == std::string_view::npos) die("the daemon's stats lack " + std::string(member));
  std::uint64_t number = 0;
  const char* const digits = text.data() + at + member.size() + 3;
  std::from_chars(digits, text.data() + text.size(), number);
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: refresh_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const SessionDaemon daemon(argv[1], argv[2], argv[3], {.capacity = kCapacity, .profile_lines = "ttl_max = \"1s\"\nrefresh = \"on\"\n"});
  authcache_client* client = nullptr;
  authcache_requirement* requirement = nullptr;
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = argv[2];
  if (authcache_open(&options, &client) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
  if (authcache_requirement_create(client, SessionDaemon::kProfile, &requirement) != AUTHCACHE_OK)
    die("no requirement");
  for (std::size_t i = 0; i < kHot; ++i) {
    const std::string& token = daemon.tokens()[i];
    if (authcache_validate(client, token.data(), token.size(), requirement, 2'000, nullptr) !=
        AUTHCACHE_VALID)
      die("a session was not valid");
  }
  std::uint64_t lookups = 0, missed = 0;
  for (const auto end = std::chrono::steady_clock::now() + kTenDeadlines;
       std::chrono::steady_clock::now() < end;) {
    for (std::size_t i = 0; i < kHot; ++i, ++lookups) {
      const std::string& token = daemon.tokens()[i];
      missed += authcache_lookup(client, token.data(), token.size(), requirement, nullptr) == AUTHCACHE_VALID
                    ? 0
                    : 1;
    }
    std::this_thread::sleep_for(kBetweenRounds);
  }
  const std::string stats = DaemonLink(daemon.control_socket()).control(R"({"verb":"stats"})");
  if (number_after(stats, "refreshed") < 9 * kHot) die("the daemon refreshed less than was in use");
  FlatReport report;
  report.add("requests_waiting_on_refresh",
             static_cast<double>(number_after(stats, "requests_waiting_on_refresh")));
  report.add("hot_tokens_missed", static_cast<double>(missed) / static_cast<double>(lookups));
  report.add("refreshes_of_hot_tokens", static_cast<double>(number_after(stats, "refreshed")));
  report.write(argv[4]);
  authcache_requirement_free(requirement);
  authcache_close(client);
  return 0;
}
