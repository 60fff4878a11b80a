#include "daemon/base/memory_pressure.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/temporary_directory.hpp"

namespace authcached {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class MemoryPressureTest : public ::testing::Test {
 protected:
  void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void stalled(std::uint64_t microseconds) {
    write(files_.pressure, "some avg10=1.00 avg60=0.00 avg300=0.00 total=" + std::to_string(microseconds) +
                               "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
  }
  void met(unsigned low, unsigned high, unsigned max) {
    write(files_.events, "low " + std::to_string(low) + "\nhigh " + std::to_string(high) + "\nmax " +
                             std::to_string(max) + "\noom 0\noom_kill 0\n");
  }
  testing::TemporaryDirectory directory_;
  const std::filesystem::path root_ = directory_.path();
  MemoryPressureFiles files_{root_ / "memory.pressure", root_ / "memory.events"};
};

TEST_F(MemoryPressureTest, ATenthOfTheTimeStalledIsPressureAndLessIsNot) {
  stalled(5'000'000);
  MemoryPressure pressure(files_);
  EXPECT_FALSE(pressure.pressed(kSecond)) << "what was before the first look is nobody's";
  stalled(5'099'999);
  EXPECT_FALSE(pressure.pressed(2 * kSecond));
  stalled(5'199'999);
  EXPECT_TRUE(pressure.pressed(3 * kSecond));
  EXPECT_FALSE(pressure.pressed(4 * kSecond)) << "it is over";
  stalled(5'399'999);
  EXPECT_TRUE(pressure.pressed(6 * kSecond)) << "of the time since the last look, which came late";
  EXPECT_EQ(pressure.stalled_us(), 5'399'999u);
}

TEST_F(MemoryPressureTest, ALimitOfTheGroupThatWasMetIsPressure) {
  met(0, 3, 1);
  MemoryPressure pressure(files_);
  EXPECT_FALSE(pressure.pressed(kSecond));
  met(7, 3, 1);
  EXPECT_FALSE(pressure.pressed(2 * kSecond)) << "below its protected amount: reclaimed, not short";
  met(7, 4, 1);
  EXPECT_TRUE(pressure.pressed(3 * kSecond));
  met(7, 4, 2);
  EXPECT_TRUE(pressure.pressed(4 * kSecond));
  EXPECT_FALSE(pressure.pressed(5 * kSecond));
  EXPECT_EQ(pressure.limits_met(), 6u);
}

TEST_F(MemoryPressureTest, FilesThatAreMissingOrStrangeOrGoBackAreNoPressure) {
  MemoryPressure nothing({});
  EXPECT_FALSE(nothing.pressed(kSecond));
  EXPECT_FALSE(nothing.pressed(2 * kSecond));
  MemoryPressure pressure(files_);
  EXPECT_FALSE(pressure.pressed(kSecond));
  stalled(5'000'000);
  EXPECT_FALSE(pressure.pressed(2 * kSecond));
  stalled(1);
  EXPECT_FALSE(pressure.pressed(3 * kSecond));
  for (const char* text : {"", "some total=", "some avg10=0 total=99999999999999999999999",
                           "full avg10=0 total=99999999", "total=1 some"}) {
    write(files_.pressure, text);
    write(files_.events, text);
    EXPECT_FALSE(pressure.pressed(4 * kSecond)) << text;
  }
}

TEST_F(MemoryPressureTest, TheOwnGroupIsLookedAtBeforeTheMachine) {
  const auto proc = root_ / "proc", groups = root_ / "groups";
  EXPECT_TRUE(memory_pressure_files(proc, groups).pressure.empty());
  write(proc / "pressure/memory", "");
  EXPECT_EQ(memory_pressure_files(proc, groups).pressure, proc / "pressure/memory");
  write(proc / "self/cgroup", "4:memory:/old\n0::/system.slice/authcached.service\n");
  EXPECT_EQ(memory_pressure_files(proc, groups).pressure, proc / "pressure/memory");
  const auto hybrid = groups / "unified/system.slice/authcached.service";
  write(hybrid / "memory.pressure", "");
  EXPECT_EQ(memory_pressure_files(proc, groups).pressure, hybrid / "memory.pressure");
  EXPECT_TRUE(memory_pressure_files(proc, groups).events.empty());
  const auto group = groups / "system.slice/authcached.service";
  write(group / "memory.pressure", "");
  write(group / "memory.events", "");
  EXPECT_EQ(memory_pressure_files(proc, groups).pressure, group / "memory.pressure");
  EXPECT_EQ(memory_pressure_files(proc, groups).events, group / "memory.events");
  write(proc / "self/cgroup", "0::/\n");
  EXPECT_EQ(memory_pressure_files(proc, groups).pressure, proc / "pressure/memory")
      << "the root has none of its own";
}

}  // namespace
}  // namespace authcached
