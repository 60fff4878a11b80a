// The two ways in which work crosses threads: to the loop, and to a worker that may block.
#pragma once

#include <functional>

namespace authcached {

using Task = std::move_only_function<void()>;

// Runs tasks one after another, in the order posted, on one thread of its own. post is thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
};

}  // namespace authcached
