// One run: a daemon with faults, the processes that use it, and the history of what they saw. Forks; call it
// from a program that has one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/history/history.hpp"

namespace authcache_test {

struct RunOptions {
  std::uint64_t seed = 1;
  std::uint64_t operations = 0;  // of the clients together
  std::chrono::milliseconds duration{};
  std::string breakage = {};                          // one of faulty_daemon's, or "" for the daemon as it is
  std::chrono::milliseconds between_restarts{1'500};  // on average
  bool has_calm = true;      // a while in which records live to their deadlines
  bool until_wrong = false;  // ends as soon as the checker has something to say, and without a quiet
};

struct RunResult {
  History history;
  std::string log;      // the daemon's
  std::string trouble;  // a process that did not end well, a daemon that did not come back; "" if none
};

[[nodiscard]] RunResult run_history(const RunOptions& options);

}  // namespace authcache_test
