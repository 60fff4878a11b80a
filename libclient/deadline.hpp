// The end of a blocking call, or of a question that is waited for by a loop, on CLOCK_MONOTONIC (the fine one: callers count in milliseconds, a tick is
// four).
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>
#include <ctime>

namespace authcache::client {

class Deadline {
 public:
  static Deadline in_ms(int timeout_ms) {
    return Deadline(now_ns() + static_cast<std::uint64_t>(timeout_ms) * kNsPerMs);
  }

  // Rounded up, so that 0 means past.
  [[nodiscard]] int remaining_ms() const {
    const std::uint64_t now = now_ns();
    if (now >= at_ns_) return 0;
    return static_cast<int>(std::min<std::uint64_t>((at_ns_ - now + kNsPerMs - 1) / kNsPerMs, INT_MAX));
  }
  [[nodiscard]] bool past() const { return now_ns() >= at_ns_; }
  [[nodiscard]] std::uint64_t at_ns() const { return at_ns_; }

  static std::uint64_t now_ns() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  }

 private:
  static constexpr std::uint64_t kNsPerMs = 1'000'000;
  explicit Deadline(std::uint64_t at_ns) : at_ns_(at_ns) {}

  std::uint64_t at_ns_;
};

}  // namespace authcache::client
