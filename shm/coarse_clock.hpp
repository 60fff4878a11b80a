// The one clock of the table: CLOCK_MONOTONIC_COARSE, read through the vDSO without a system call (about 4 ns). It is
// the kernel's tick, so deadlines are stored one tick early and a heartbeat is never ahead of a reader's clock.
#pragma once

#include <cstdint>
#include <ctime>

namespace authcache::shm {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

inline std::uint64_t coarse_now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t coarse_tick_ns() {
  timespec tick;
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  return static_cast<std::uint64_t>(tick.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(tick.tv_nsec);
}

}  // namespace authcache::shm
