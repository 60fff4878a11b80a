#include "daemon/io/http/name_resolver.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/manual_executor.hpp"

namespace {

using authcache::shm::ErrorCode;
using authcached::HostAddress;
using authcached::NameResolver;
using Found = authcache::shm::Result<NameResolver::Addresses>;

struct FakeClock final : authcached::Clock {
  std::int64_t monotonic_ns() const override { return now; }
  std::int64_t boot_ns() const override { return now; }
  std::int64_t wall_ns() const override { return now; }
  std::int64_t now = 1;
};

HostAddress address(std::uint8_t last) { return {.bytes = {192, 0, 2, last}}; }

class NameResolverTest : public ::testing::Test {
 protected:
  void ask(const std::string& host = "idp.example") {
    names_->resolve(host, [this](const Found& found) { answers_.push_back(found); });
  }
  // Lets the worker and then the loop do what is there to be done.
  void turn() {
    worker_.run_all();
    loop_->context().restart();
    loop_->context().poll();
  }

  Found next_ = NameResolver::Addresses{address(1), address(2)};  // what the next look-up finds
  int looked_up_ = 0;
  std::vector<Found> answers_;
  FakeClock clock_;
  authcached::testing::ManualExecutor worker_;
  std::unique_ptr<authcached::Loop> loop_ = authcached::Loop::create().value();
  std::unique_ptr<NameResolver> names_ =
      std::make_unique<NameResolver>(*loop_, worker_, clock_, [this](const std::string&) {
        ++looked_up_;
        return next_;
      });
};

TEST_F(NameResolverTest, ManyWhoAskShareOneLookUpAndItIsKeptForAMoment) {
  for (int i = 0; i < 10; ++i) ask();
  EXPECT_TRUE(answers_.empty()) << "not before the worker has looked";
  turn();
  ASSERT_EQ(answers_.size(), 10U);
  EXPECT_EQ(answers_[9]->size(), 2U);
  EXPECT_EQ(looked_up_, 1);
  clock_.now += NameResolver::kKept_ns - 1;
  ask();
  EXPECT_EQ(answers_.size(), 11U) << "known: at once";
  clock_.now += 1;
  ask();
  turn();
  EXPECT_EQ(answers_.size(), 12U);
  EXPECT_EQ(looked_up_, 2);
}

TEST_F(NameResolverTest, AnAddressIsNotLookedUp) {
  ask("192.0.2.9");
  ask("2001:db8::1");
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0]->at(0), address(9));
  EXPECT_TRUE(answers_[1]->at(0).v6);
  EXPECT_EQ(looked_up_, 0);
}

TEST_F(NameResolverTest, AFailureIsNotKeptAndInAnOutageTheLastAddressesServe) {
  const auto good = next_;
  next_ = authcache::shm::fail(ErrorCode::kUnavailable, "no name service");
  ask();
  turn();
  ASSERT_FALSE(answers_.back());
  next_ = good;
  ask();
  turn();
  ASSERT_TRUE(answers_.back());
  next_ = authcache::shm::fail(ErrorCode::kUnavailable, "no name service");
  clock_.now += NameResolver::kKept_ns;
  ask();
  turn();
  EXPECT_TRUE(answers_.back()) << "known once";
  clock_.now += NameResolver::kKeptInOutage_ns;
  ask();
  turn();
  EXPECT_FALSE(answers_.back()) << "too long ago";
}

TEST_F(NameResolverTest, TheAddressThatServedIsTriedFirst) {
  ask();
  turn();
  names_->prefer("idp.example", address(2));
  ask();
  EXPECT_EQ(answers_.back()->at(0), address(2));
  EXPECT_EQ(answers_.back()->at(1), address(1));
}

TEST_F(NameResolverTest, B14_WhoGoesWhileALookUpRunsIsNotAnswered) {
  ask();
  names_.reset();
  turn();
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(looked_up_, 1);
}

TEST_F(NameResolverTest, RedirectsFromNameToNameFillNoMemory) {
  for (int i = 0; i < 1'000; ++i) {
    ask("host-" + std::to_string(i) + ".example");
    turn();
  }
  EXPECT_EQ(answers_.size(), 1'000U);
  ask("host-0.example");
  turn();
  EXPECT_EQ(looked_up_, 1'001) << "forgotten";
}

TEST(NameResolver, TheSystemKnowsLocalhost) {
  const auto found = NameResolver::look_up_host("localhost");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->at(0).loopback());
}

}  // namespace
