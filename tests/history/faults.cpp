#include "tests/history/faults.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace authcache_test {

namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::uint64_t kSleepMaxUs = 4'000;

std::atomic<std::uint64_t> drawn{0};
std::uint64_t seed = 0;
Breakage chosen = Breakage::kNone;
std::string outage_file, calm_file;

std::string_view environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// splitmix64 over a counter: each draw has its own number, whichever thread makes it.
std::uint64_t draw() {
  std::uint64_t z = seed + drawn.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

bool is_there(const std::string& file) { return !file.empty() && ::access(file.c_str(), F_OK) == 0; }

}  // namespace

void choose_faults_from_environment() {
  const std::string_view text = environment("AUTHCACHE_HISTORY_FAULTS");
  seed = text.empty() ? 0 : std::strtoull(text.data(), nullptr, 10) * 0x9e3779b97f4a7c15u | 1;
  outage_file = environment("AUTHCACHE_HISTORY_OUTAGE");
  calm_file = environment("AUTHCACHE_HISTORY_CALM");
  constexpr std::array<std::string_view, 5> kNames{"", "rules_unasked", "nothing_killed", "early_answer",
                                                   "keys_stay"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (environment("AUTHCACHE_HISTORY_BREAKAGE") == kNames[i]) chosen = static_cast<Breakage>(i);
  }
}

Breakage breakage() { return chosen; }
bool outage() { return is_there(outage_file); }

void meet_fate(Odds odds) {
  if (seed == 0) return;
  const std::uint64_t fate = draw() % kMillion;
  if (fate < odds.die && !is_there(calm_file)) ::kill(::getpid(), SIGKILL);
  if (fate < odds.die + odds.sleep) ::usleep(static_cast<useconds_t>(draw() % kSleepMaxUs));
}

}  // namespace authcache_test
