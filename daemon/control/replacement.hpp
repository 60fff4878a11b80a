// Replaces the table by one of another size while everything goes on: makes the successor, copies in slices between
// other work, names it, waits one heartbeat_timeout, retires the old one (cache/tables.hpp has the rules). Loop thread.
#pragma once

#include <functional>

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

  Replacement(Loop& loop, const Clock& clock, Tables& tables, Admission& admission, StateWriter& state, const Profiles& profiles)
      : loop_(loop), clock_(clock), tables_(tables), admission_(admission), state_(state), profiles_(profiles) {}

  // Begins one unless one is under way. done tells how
  // the replacement ended, for the log.
  void begin(const Config& config, const Uuid& database, gid_t group, Done done);
  [[nodiscard]] bool running() const { return running_; }

 private:
  void start(std::unique_ptr<Generation> successor, Done done);
  void copy_next(Done done);
  void finish(Done done);

  Loop& loop_;
  const Clock& clock_;
  Tables& tables_;
  Admission& admission_;
  StateWriter& state_;
  const Profiles& profiles_;
  bool running_ = false;
};

}  // namespace authcached
