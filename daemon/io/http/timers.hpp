// Many deadlines, most of which never pass, behind one timer of the loop. Loop thread only; gone before the
// loop. A task that is pending when this goes is never run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "daemon/io/executor.hpp"
#include "daemon/io/loop.hpp"

namespace authcached {

// CLOCK_MONOTONIC, exact: what deadlines are kept by and latencies are taken with.
[[nodiscard]] std::uint64_t exact_monotonic_ns();

class Timers {
 public:
  using Id = std::pair<std::uint64_t, std::uint64_t>;  // when, and a number of its own

  explicit Timers(Loop& loop);
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // Never from within at itself, also if the time has passed.
  Id at(std::uint64_t monotonic_ns, Task task);
  Id after(std::uint64_t ns, Task task) { return at(exact_monotonic_ns() + ns, std::move(task)); }
  // Nothing happens if it ran already.
  void cancel(const Id& id);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace authcached
