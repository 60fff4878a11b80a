// Steps of the wall clock and suspends, seen as changes of two offsets against the readers' clock. Either means that
// deadlines computed before may be wrong, so every record is voided. Pure.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "daemon/base/clock.hpp"

namespace authcached {

struct ClockOffsets {
  std::int64_t wall_ns;  // CLOCK_REALTIME - CLOCK_MONOTONIC
  std::int64_t boot_ns;  // CLOCK_BOOTTIME - CLOCK_MONOTONIC
};

[[nodiscard]] inline ClockOffsets clock_offsets(const Clock& clock) {
  const std::int64_t monotonic = clock.monotonic_ns();
  return {clock.wall_ns() - monotonic, clock.boot_ns() - monotonic};
}

// The coarse clock lags its fine ones by up to a tick (10 ms at HZ=100), and a loaded host may pause this thread
// between two reads; slewing moves both clocks alike. Half a second is above these and below any step that matters to
// a deadline, which is kept in whole seconds by its issuers. Compare with the offsets at the last void, not with those
// of the last look: many small steps add up.
inline constexpr std::int64_t kOffsetToleranceNs = 500'000'000;

[[nodiscard]] inline bool stepped(const ClockOffsets& before, const ClockOffsets& now) {
  return std::llabs(now.wall_ns - before.wall_ns) > kOffsetToleranceNs || std::llabs(now.boot_ns - before.boot_ns) > kOffsetToleranceNs;
}

}  // namespace authcached
