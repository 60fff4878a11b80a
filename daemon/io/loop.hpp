// The daemon's one event loop: Boost.Asio's io_context on io_uring (or epoll, by build option). The thread that calls
// run() is the loop thread: every store into a table, every rule and every flight is touched there and nowhere else.
//
// post is thread-safe; everything else belongs to the loop thread (or to the time before run).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "daemon/io/executor.hpp"
#include "shm/result.hpp"

namespace boost::asio {
class io_context;
}

namespace authcached {

class Loop final : public TimedExecutor {
 public:
  // Fails with a sentence that names the sysctl or seccomp cause where the kernel refuses a ring.
  static authcache::shm::Result<std::unique_ptr<Loop>> create();
  ~Loop() override;

  void post(Task task) override;
  // Until stop. A task that throws (no memory is left, in the main) loses its own work and nothing else: it is told to
  // `failed`, timers go on, and the next task runs.
  void run();
  void stop();  // thread-safe

  void on_failure(std::function<void(std::string_view what)> failed);

  // Calls fn every interval, first after one interval, until the loop ends. The delay is counted from the end of fn.
  void every(std::chrono::nanoseconds interval, std::function<void()> fn);
  void after(std::chrono::nanoseconds delay, Task task) override;
  void on_signal(int signal_number, std::function<void()> fn);
  // Calls fn in the loop turn after the wall clock was set (timerfd with cancel-on-set).
  void on_wall_clock_step(std::function<void()> fn);

  [[nodiscard]] boost::asio::io_context& context();
  [[nodiscard]] static std::string_view backend();  // "io_uring" or "epoll"

 private:
  struct Impl;
  explicit Loop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
