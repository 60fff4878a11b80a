// The clocks that the daemon decides by, injectable so that tests can step them.
#pragma once

#include <cstdint>

namespace authcached {

// All values are nanoseconds. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t monotonic_ns() const = 0;  // CLOCK_MONOTONIC_COARSE: the one clock that readers use
  virtual std::int64_t boot_ns() const = 0;       // CLOCK_BOOTTIME: goes on through suspend
  virtual std::int64_t wall_ns() const = 0;       // CLOCK_REALTIME
};

// The kernel's clocks. Lives for ever.
const Clock& system_clock();

}  // namespace authcached
