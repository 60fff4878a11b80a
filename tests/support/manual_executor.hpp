// An executor whose turns the test takes itself: nothing runs until it says so.
#pragma once

#include <deque>
#include <new>
#include <utility>

#include "daemon/io/executor.hpp"

namespace authcached::testing {

class ManualExecutor final : public Executor {
 public:
  void post(Task task) override {
    if (posts_without_memory_ > 0) {
      --posts_without_memory_;
      throw std::bad_alloc();
    }
    tasks_.push_back(std::move(task));
  }
  // The next so many posts find no memory.
  void run_out(int posts) { posts_without_memory_ = posts; }

  // Runs the oldest task; false if there is none.
  bool run_one() {
    if (tasks_.empty()) return false;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }

  // Runs what is there and what that posts; returns how many.
  std::size_t run_all() {
    std::size_t count = 0;
    while (run_one()) ++count;
    return count;
  }

  [[nodiscard]] std::size_t size() const { return tasks_.size(); }

 private:
  std::deque<Task> tasks_;
  int posts_without_memory_ = 0;
};

}  // namespace authcached::testing
