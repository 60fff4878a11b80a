#include "daemon/base/clock.hpp"

#include <ctime>

namespace authcached {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

class SystemClock final : public Clock {
 public:
  std::int64_t monotonic_ns() const override { return read_clock(CLOCK_MONOTONIC_COARSE); }
  std::int64_t boot_ns() const override { return read_clock(CLOCK_BOOTTIME); }
  std::int64_t wall_ns() const override { return read_clock(CLOCK_REALTIME); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace authcached
