// What each process of a run does besides the daemon. Each function is the whole life of a forked child: it
// ends when the board says so, and writes only into its own log.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tests/history/board.hpp"
#include "tests/history/control_line.hpp"
#include "tests/history/plan.hpp"

namespace authcache_test {

struct Setting {
  const Plan& plan;
  Board& board;
  std::filesystem::path runtime_dir;
  std::chrono::nanoseconds duration;
  std::map<std::string, std::string> thumbprints = {};  // of the keys, by kid

  [[nodiscard]] bool is_calm() const { return board.calm_since_ns != 0; }
  // How far the run has come, 0 to 1: the tokens in use move with it. In a calm it stands still, so that they are in
  // use for longer than a record lives.
  [[nodiscard]] double part() const {
    const std::int64_t calm_ns = board.calm_since_ns, now_ns = calm_ns != 0 ? calm_ns : monotonic_ns();
    return std::clamp(static_cast<double>(now_ns - board.start_ns) / static_cast<double>(duration.count()), 0.0,
                      1.0);
  }
};

// Looks up and validates `operations` times, evenly over the duration, then once more in the quiet.
void run_client(const Setting& setting, std::uint8_t process, std::uint64_t seed, std::uint64_t operations,
                SharedLog<Answer>& answers);

// Revokes, lifts, flushes, creates and revokes sessions until the operators are to end.
void run_operator(const Setting& setting, std::uint64_t seed, SharedLog<Change>& changes,
                  SharedLog<Event>& events);

// Takes keys out of the key sets and puts them back; asks for tables of other sizes; lets the session store
// fail for a while; and once sees to a calm, until records were refreshed and served stale. Leaves every key in
// its set, and the store at work.
struct Files {
  std::array<std::filesystem::path, Plan::kIssuers> key_sets;
  std::function<void(std::uint64_t capacity)> configure;
  std::filesystem::path outage = {};  // while it is there, the session store answers nothing
  std::filesystem::path calm = {};    // while it is there, the daemon does not die; no calm if this is empty
};
void run_rotator(const Setting& setting, const Files& files, std::uint64_t seed, SharedLog<Change>& changes,
                 SharedLog<Event>& events);

}  // namespace authcache_test
