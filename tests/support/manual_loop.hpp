// A loop and its clock that the test moves by hand: tasks run when it says so, and time passes when it says so.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "daemon/base/clock.hpp"
#include "tests/support/manual_executor.hpp"

namespace authcached::testing {

struct MovedClock final : Clock {
  static constexpr std::int64_t kSecond = 1'000'000'000;
  std::int64_t monotonic = 1'000 * kSecond;
  std::int64_t boot = 5'000 * kSecond;
  std::int64_t wall = 1'700'000'000 * kSecond;
  std::int64_t monotonic_ns() const override { return monotonic; }
  std::int64_t boot_ns() const override { return boot; }
  std::int64_t wall_ns() const override { return wall; }
  void pass(std::int64_t ns) { monotonic += ns, boot += ns, wall += ns; }
  // The machine slept: CLOCK_MONOTONIC did not go on.
  void suspend(std::int64_t ns) { boot += ns, wall += ns; }
};

class ManualLoop final : public TimedExecutor {
 public:
  explicit ManualLoop(MovedClock& clock) : clock_(clock) {}

  void post(Task task) override { tasks_.post(std::move(task)); }
  void after(std::chrono::nanoseconds delay, Task task) override { timers_.emplace(clock_.monotonic + delay.count(), std::move(task)); }

  std::size_t run_all() { return tasks_.run_all(); }
  [[nodiscard]] std::size_t timers() const { return timers_.size(); }
  // Runs what is posted, and each timer at its time.
  void pass(std::int64_t ns) {
    const std::int64_t end = clock_.monotonic + ns;
    run_all();
    while (!timers_.empty() && timers_.begin()->first <= end) {
      auto timer = timers_.extract(timers_.begin());
      clock_.pass(std::max<std::int64_t>(timer.key() - clock_.monotonic, 0));
      timer.mapped()();
      run_all();
    }
    clock_.pass(end - clock_.monotonic);
  }

 private:
  MovedClock& clock_;
  ManualExecutor tasks_;
  std::multimap<std::int64_t, Task> timers_;
};

}  // namespace authcached::testing
