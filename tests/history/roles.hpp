// What each process of a run does besides the daemon. Each function is the whole life of a forked child: it
// ends when the board says so, and writes only into its own log.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tests/history/board.hpp"
#include "tests/history/plan.hpp"

namespace authcache_test {

struct Setting {
  const Plan& plan;
  Board& board;
  std::filesystem::path runtime_dir;
  std::chrono::nanoseconds duration;
  std::map<std::string, std::string> thumbprints = {};  // of the keys, by kid
};

// Looks up and validates `operations` times, evenly over the duration, then once more in the quiet.
void run_client(const Setting& setting, std::uint8_t process, std::uint64_t seed, std::uint64_t operations,
                SharedLog<Answer>& answers);

// Revokes, lifts, flushes, creates and revokes sessions until the operators are to end.
void run_operator(const Setting& setting, std::uint64_t seed, SharedLog<Change>& changes,
                  SharedLog<Event>& events);

// Takes keys out of the key sets and puts them back; asks for tables of other sizes; lets the session store
// fail for a while. Leaves every key in its set, and the store at work.
struct Files {
  std::array<std::filesystem::path, Plan::kIssuers> key_sets;
  std::function<void(std::uint64_t capacity)> configure;
  std::filesystem::path outage = {};  // while it is there, the session store answers nothing
};
void run_rotator(const Setting& setting, const Files& files, std::uint64_t seed, SharedLog<Change>& changes,
                 SharedLog<Event>& events);

}  // namespace authcache_test
