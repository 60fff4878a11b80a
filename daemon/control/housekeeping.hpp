// What the daemon does by the clock: the heartbeat, the watch on both clocks, the sweep, watches past their
// deadline, records due for a refresh, uses to be written down, the key sets, the purge of rules, what is given
// back while memory is short, a table that no longer fits its configuration. Loop thread only.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "daemon/cache/clock_offsets.hpp"
#include "daemon/control/key_set_watch.hpp"
#include "daemon/control/memory_relief.hpp"
#include "daemon/control/services.hpp"

namespace authcached {

class Housekeeping {
 public:
  Housekeeping(Services& services, ClockOffsets offsets)
      : services_(services), offsets_(offsets), key_sets_(services), memory_(services, memory_pressure_files()) {}

  // Arms every timer. replace_table is called when the table is not what the configuration asks for.
  void start(std::function<void()> replace_table);
  // Compares the clocks now; voids every record if one stepped.
  void look_at_clocks();
  [[nodiscard]] const MemoryRelief& memory() const { return memory_; }

 private:
  void beat();
  void void_all();
  void sweep();
  void expire_overdue();
  void tell_complaints();

  Services& services_;
  ClockOffsets offsets_;
  KeySetWatch key_sets_;
  MemoryRelief memory_;
  bool fleet_current_ = true;  // as it was last told
  std::set<std::string> failing_;  // profiles whose endpoint was told to fail
  std::function<void()> replace_table_;
};

}  // namespace authcached
