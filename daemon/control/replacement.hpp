// Replaces the table by one of another size while everything goes on: makes the successor, copies in slices between
// other work, names it, waits one heartbeat_timeout, retires the old one (cache/tables.hpp has the rules). Loop thread.
#pragma once

#include <functional>
#include <string>

#include "daemon/base/config.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/cache/take_over.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/io/loop.hpp"

namespace authcached {

class Replacement {
 public:
  using Done = std::function<void(authcache::shm::Result<void>)>;

  Replacement(Loop& loop, Executor& worker, const Clock& clock, Tables& tables, Admission& admission, StateWriter& state, const Profiles& profiles)
      : loop_(loop), worker_(worker), clock_(clock), tables_(tables), admission_(admission), state_(state), profiles_(profiles) {}

  // Begins one unless one is under way or failed a moment ago. done tells how it ended, for the log.
  void begin(const Config& config, const Uuid& database, gid_t group, Done done);
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }  // of the last attempt; empty if it went well

 private:
  void list(std::unique_ptr<Generation> successor, Done done);
  void start(std::unique_ptr<Generation> successor, Done done);
  void copy_next(Done done);
  void finish(Done done);
  void give_up(const authcache::shm::Error& error, const Done& done);

  Loop& loop_;
  Executor& worker_;
  const Clock& clock_;
  Tables& tables_;
  Admission& admission_;
  StateWriter& state_;
  const Profiles& profiles_;
  bool running_ = false;
  std::string last_error_;
  std::int64_t not_before_ns_ = 0;  // CLOCK_MONOTONIC: the next attempt
};

}  // namespace authcached
