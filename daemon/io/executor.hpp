// The two ways in which work crosses threads: to the loop, and to a worker that may block.
#pragma once

#include <chrono>
#include <functional>

namespace authcached {

using Task = std::move_only_function<void()>;

// Runs tasks one after another, in the order posted, on one thread of its own. post is thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
};

// An executor that also keeps time: the loop, for those who need nothing else of it.
class TimedExecutor : public Executor {
 public:
  // Runs the task once the delay has passed, on the executor's thread. Called on that thread, or before it runs.
  virtual void after(std::chrono::nanoseconds delay, Task task) = 0;
};

}  // namespace authcached
