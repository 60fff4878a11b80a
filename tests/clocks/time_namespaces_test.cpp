// B11, P3: time namespaces, where the monotonic clocks of one host differ. Readers and daemon must share one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

#ifndef CLONE_NEWTIME
constexpr int CLONE_NEWTIME = 0x80;
#endif

// A process enters a time namespace as the child of the one that made it.
std::string in_time_namespace(int offset_seconds, const std::function<std::string()>& act) {
  return in_child([&]() -> std::string {
    if (::unshare(CLONE_NEWTIME) != 0) return "cannot unshare";
    const std::string offset = std::to_string(offset_seconds);
    write_file("/proc/self/timens_offsets", "monotonic " + offset + " 0\nboottime " + offset + " 0\n");
    return in_child(act);
  });
}

class TimeNamespaces : public ::testing::Test {
 protected:
  void SetUp() override {
    AUTHCACHE_NEEDS_ROOT();
    if (in_time_namespace(100, [] { return std::string("inside"); }) != "inside")
      GTEST_SKIP() << "this kernel has no time namespaces";
  }
  [[nodiscard]] std::string ask(const std::string& token) const {
    return ask_sdk(scene_.daemon.runtime_dir(), -1, session(token));
  }

  Scene scene_;
};

TEST_F(TimeNamespaces, B11_AReaderWhoseClockIsBehindIsRefusedWithASentence) {
  scene_.start();
  const std::string token = scene_.create_session();
  EXPECT_EQ(in_time_namespace(0, [&] { return ask(token); }), "valid")
      << "an offset of nothing is no difference";
  const std::string answer = in_time_namespace(-100, [&] { return ask(token); });
  EXPECT_TRUE(answer.contains("time namespace")) << answer;
}

// To such a reader the daemon seems dead for long, and its records past.
TEST_F(TimeNamespaces, B11_AReaderWhoseClockIsAheadIsNeverTold_Valid) {
  scene_.start();
  const std::string token = scene_.create_session();
  const std::string answer = in_time_namespace(10'000, [&] { return ask(token); });
  EXPECT_FALSE(answer.starts_with("valid")) << answer;
}

TEST_F(TimeNamespaces, B11_ADaemonInOneIsRefusedOutsideAndServesInside) {
  const DaemonBehind behind(scene_.daemon, "unshare --time --monotonic 1000 --boottime 1000");
  scene_.start();
  const std::string token = scene_.create_session();
  const std::string outside = ask(token);
  EXPECT_TRUE(outside.contains("time namespace")) << outside;
  EXPECT_EQ(in_time_namespace(1'000, [&] { return ask(token); }), "valid");
}

// A table whose deadlines and heartbeat are those of other clocks: adopted, but not one record of it.
TEST_F(TimeNamespaces, B11_ChangedOffsetsAcrossARestartVoidEveryRecord) {
  scene_.start();
  const std::string token = scene_.create_session();
  ASSERT_EQ(ask(token), "valid");
  ASSERT_EQ(scene_.daemon.stop(), 0);
  for (const std::string offsets : {"--boottime 3600", "--monotonic 100", "--monotonic -100"}) {
    const DaemonBehind behind(scene_.daemon, "unshare --time " + offsets);
    scene_.start(DaemonProcess::First::kNo);
    EXPECT_EQ(scene_.daemon.authctl({"stats"}).exit, 0);
    const std::string inspected = scene_.daemon.authctl({"inspect", "--profile", "sessions"}, token).out;
    EXPECT_FALSE(inspected.contains("valid")) << offsets << ": " << inspected;
    ASSERT_EQ(scene_.daemon.stop(), 0);
  }
  scene_.start(DaemonProcess::First::kNo);
  EXPECT_EQ(ask(token), "valid") << "asked anew";
}

}  // namespace
}  // namespace authcache_test
