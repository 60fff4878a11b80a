#include "daemon/io/worker.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

TEST(Worker, RunsTasksInOrderOnOneOtherThreadAndAllOfThemBeforeItEnds) {
  std::vector<int> ran;
  std::thread::id thread;
  {
    authcached::Worker worker("test");
    for (int i = 0; i < 1'000; ++i) {
      worker.post([&, i] {
        ran.push_back(i);
        thread = std::this_thread::get_id();
      });
    }
  }
  ASSERT_EQ(ran.size(), 1'000u);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(ran[static_cast<std::size_t>(i)], i);
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(Worker, RunsWhatATaskPostsWhileItEnds) {
  bool ran = false;
  {
    authcached::Worker worker("test");
    worker.post([&] { worker.post([&] { ran = true; }); });
  }
  EXPECT_TRUE(ran);
}

}  // namespace
