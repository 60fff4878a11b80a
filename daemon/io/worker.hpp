// A thread for work that may block: SQLite, fsync. Tasks run one after another in the order posted.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "daemon/io/executor.hpp"

namespace authcached {

class Worker final : public Executor {
 public:
  explicit Worker(const char* name);  // at most 15 characters, as the kernel shows it
  ~Worker() override;                 // runs what was posted, then ends

  void post(Task task) override;

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace authcached
