#include "daemon/io/loop.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using authcached::Loop;
using namespace std::chrono_literals;

class LoopTest : public ::testing::Test {
 protected:
  std::unique_ptr<Loop> loop_ = Loop::create().value();
};

TEST_F(LoopTest, RunsPostedTasksInOrderAlsoFromAnotherThread) {
  std::vector<int> ran;
  loop_->post([&] { ran.push_back(1); });
  loop_->post([&] { ran.push_back(2); });
  std::thread other([&] {
    loop_->post([&] {
      ran.push_back(3);
      loop_->stop();
    });
  });
  other.join();
  loop_->run();
  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
}

TEST_F(LoopTest, ATaskThatThrowsIsToldAndEndsNothing) {
  std::vector<std::string> told;
  loop_->on_failure([&](std::string_view what) { told.emplace_back(what); });
  loop_->post([] { throw std::runtime_error("no memory"); });
  bool went_on = false;
  loop_->post([&] {
    went_on = true;
    loop_->stop();
  });
  loop_->run();
  EXPECT_TRUE(went_on);
  EXPECT_EQ(told, std::vector<std::string>{"no memory"});
}

TEST_F(LoopTest, ATimerGoesOnAfterATurnThatThrew) {
  int turns = 0;
  loop_->every(1ms, [&] {
    if (++turns == 3) loop_->stop();
    throw std::runtime_error("again");
  });
  loop_->run();
  EXPECT_EQ(turns, 3);
}

TEST_F(LoopTest, ASignalIsHeardEachTime) {
  int heard = 0;
  loop_->on_signal(SIGUSR1, [&] {
    if (++heard == 2) return loop_->stop();
    ::raise(SIGUSR1);
  });
  loop_->post([] { ::raise(SIGUSR1); });
  loop_->run();
  EXPECT_EQ(heard, 2);
}

}  // namespace
