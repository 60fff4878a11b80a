// What the daemon does by the clock: the heartbeat, the watch on both clocks, the sweep, watches past their
// deadline, the key sets, the purge of rules, a table that no longer fits its configuration. Loop thread only.
#pragma once

#include <functional>

#include "daemon/cache/clock_offsets.hpp"
#include "daemon/control/services.hpp"
#include "daemon/upstream/jwks_upstream.hpp"

namespace authcached {

class Housekeeping {
 public:
  Housekeeping(Services& services, ClockOffsets offsets) : services_(services), offsets_(offsets) {}

  // Arms every timer. replace_table is called when the table is not what the configuration asks for.
  void start(std::function<void()> replace_table);
  // Compares the clocks now; voids every record if one stepped.
  void look_at_clocks();
  void poll_key_sets();

 private:
  void beat();
  void void_all();
  void sweep();
  void expire_overdue();
  void apply(const Profile& profile, const KeySetChange& change);

  Services& services_;
  ClockOffsets offsets_;
  std::function<void()> replace_table_;
};

}  // namespace authcached
