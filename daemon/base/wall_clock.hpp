// The daemon's idea of wall time, which does not go back: a token that expired stays expired when somebody turns the
// clock back by up to a day. A greater step back is followed, because a clock that was wrong by that much must be able
// to be put right; the caller then voids every record. Loop thread only.
#pragma once

#include <cstdint>

#include "daemon/base/clock.hpp"

namespace authcached {

class WallClock {
 public:
  static constexpr std::int64_t kHeldBackMaxNs = std::int64_t{24} * 3600 * 1'000'000'000;

  explicit WallClock(const Clock& clock) : clock_(clock), latest_(clock.wall_ns()) {}

  [[nodiscard]] std::int64_t now_ns() {
    const std::int64_t now = clock_.wall_ns();
    if (now >= latest_ || latest_ - now > kHeldBackMaxNs) latest_ = now;
    return latest_;
  }
  // What an earlier daemon of this boot would say now: a step back while none ran counts as one under a running one.
  void resume(std::int64_t expected_ns) {
    const std::int64_t now = now_ns();
    if (expected_ns > now && expected_ns - now <= kHeldBackMaxNs) latest_ = expected_ns;
  }
  // What the kernel says now: a not-before is never stored later than this.
  [[nodiscard]] std::int64_t kernel_now_ns() const { return clock_.wall_ns(); }

 private:
  const Clock& clock_;
  std::int64_t latest_;
};

}  // namespace authcached
