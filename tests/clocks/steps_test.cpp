// B11, P2 on the real daemon, whose clocks alone are shifted (clock_shift.c): steps both ways, suspends, a
// glitch, and each of them also while no daemon runs. The machine's clock is not touched.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>

#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kHourNs = 3'600 * kSecondNs;

class Steps : public ::testing::Test {
 protected:
  Steps() {
    write_file(file_, std::string(2 * sizeof(std::int64_t), '\0'));
    const authcache::shm::UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CLOEXEC));
    shifts_ = static_cast<volatile std::int64_t*>(
        ::mmap(nullptr, 2 * sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    behind_.emplace(scene_.daemon, std::string("env LD_PRELOAD=") +
                                       std::getenv("AUTHCACHE_TEST_CLOCK_SHIFT") +
                                       " AUTHCACHE_TEST_CLOCK_FILE=" + file_.string());
    scene_.start();
    reader_.emplace(scene_.daemon.runtime_dir());
  }
  ~Steps() override { ::munmap(const_cast<std::int64_t*>(shifts_), 2 * sizeof(std::int64_t)); }

  void set_wall(std::int64_t shift_ns) { shifts_[0] = shift_ns; }
  void suspend_for(std::int64_t ns) {
    shifts_[0] = shifts_[0] + ns;
    shifts_[1] = shifts_[1] + ns;
  }
  [[nodiscard]] std::string validate(const std::string& token) { return reader_->validate(api(token)); }
  [[nodiscard]] std::string lookup(const std::string& token) { return reader_->lookup(api(token)); }
  // Until the daemon has seen it: its next beat, a tenth of a second.
  [[nodiscard]] bool is_void(const std::string& token) {
    return eventually([&] { return lookup(token) == "miss"; });
  }
  void restart_with(const std::function<void()>& between) {
    ASSERT_EQ(scene_.daemon.stop(), 0);
    between();
    scene_.start(DaemonProcess::First::kNo);
  }

  Scene scene_;
  fs::path file_ = scene_.daemon.scratch("shifts");
  volatile std::int64_t* shifts_ = nullptr;
  std::optional<DaemonBehind> behind_;
  std::optional<ReaderProcess> reader_;
};

TEST_F(Steps, B11_AnHourForwardVoidsAndEndsTokens) {
  const std::string token = scene_.issuer.es256();  // 300 s
  ASSERT_EQ(validate(token), "valid");
  set_wall(kHourNs);
  EXPECT_TRUE(is_void(token));
  EXPECT_EQ(validate(token), "invalid/expired");
  EXPECT_TRUE(scene_.daemon.logs("clock_step"));
}

TEST_F(Steps, B11_AnHourBackVoidsAndRaisesNoExpiredToken) {
  const std::string token = scene_.issuer.es256(), other = scene_.issuer.es256();
  set_wall(kHourNs);
  ASSERT_TRUE(scene_.daemon.logs("clock_step"));
  ASSERT_EQ(validate(token), "invalid/expired");
  set_wall(0);
  ASSERT_TRUE(eventually(
      [&] { return scene_.daemon.log().find("clock_step") != scene_.daemon.log().rfind("clock_step"); }));
  EXPECT_EQ(validate(token), "invalid/expired");
  EXPECT_EQ(validate(other), "invalid/expired") << "also one that it had not seen before";
}

TEST_F(Steps, B11_MoreThanADayBackIsFollowed) {
  const std::string token = scene_.issuer.es256();
  set_wall(25 * kHourNs);
  ASSERT_TRUE(eventually([&] { return validate(token) == "invalid/expired"; }));
  set_wall(0);
  EXPECT_TRUE(eventually([&] { return validate(token) == "valid"; }));
}

TEST_F(Steps, B11_AGlitchOfAYearLosesNoRuleAndRevivesNothing) {
  const std::string revoked = scene_.issuer.es256(), good = scene_.issuer.es256();
  const std::string session_token = scene_.create_session();
  ASSERT_EQ(validate(revoked), "valid");
  ASSERT_EQ(validate(good), "valid");
  ASSERT_EQ(scene_.daemon.revoke(revoked).exit, 0);
  set_wall(365 * 24 * kHourNs);
  EXPECT_TRUE(is_void(good));
  EXPECT_EQ(validate(good), "invalid/expired");
  EXPECT_EQ(reader_->validate(session(session_token)), "invalid/expired");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  set_wall(0);
  EXPECT_TRUE(eventually([&] { return validate(good) == "valid"; }));
  EXPECT_EQ(reader_->validate(session(session_token)), "valid") << "it was not deleted meanwhile";
  EXPECT_EQ(validate(revoked), "invalid/revoked");
  restart_with([] {});
  EXPECT_EQ(validate(revoked), "invalid/revoked");
}

// MONOTONIC, the clock of the deadlines, stands still in a suspend.
TEST_F(Steps, B11_ASuspendVoidsAndEndsTokens) {
  const std::string token = scene_.issuer.es256();
  ASSERT_EQ(validate(token), "valid");
  suspend_for(kHourNs);
  EXPECT_TRUE(is_void(token));
  EXPECT_EQ(validate(token), "invalid/expired");
}

TEST_F(Steps, B11_ASuspendWhileNoDaemonRanVoidsBeforeTheFirstHeartbeat) {
  const std::string token = scene_.issuer.es256();
  ASSERT_EQ(validate(token), "valid");
  restart_with([&] { suspend_for(kHourNs); });
  EXPECT_EQ(lookup(token), "miss");
  EXPECT_EQ(validate(token), "invalid/expired");
}

TEST_F(Steps, B11_AStepBackWhileNoDaemonRanRaisesNoExpiredToken) {
  const std::string token = scene_.issuer.es256();
  restart_with([&] { set_wall(kHourNs); });
  ASSERT_EQ(validate(token), "invalid/expired");
  restart_with([&] { set_wall(0); });
  EXPECT_EQ(validate(token), "invalid/expired");
}

// Without setting the machine's clock: that the watch is armed, and so that a step cancels it.
TEST_F(Steps, B11_AWatchOnTheWallClockIsArmed) {
  const fs::path info = "/proc/" + std::to_string(scene_.daemon.pid()) + "/fdinfo";
  bool armed = false;
  for (const auto& each : fs::directory_iterator(info)) {
    const std::string text = read_file(each.path());
    armed |= text.contains("clockid: 0\n") &&
             text.contains("settime flags: 03\n");  // absolute, cancelled by a step
  }
  EXPECT_TRUE(armed);
}

}  // namespace
}  // namespace authcache_test
