// B19: an environment that belongs to somebody else. A set-user-ID program must not be sent to its caller's
// table.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdlib>

#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

struct Probe {
  fs::path program;

  Probe(const fs::path& directory, const char* name, const fs::path& original) : program(directory / name) {
    ::chmod(directory.c_str(), 0755);
    fs::copy_file(original, program);
  }
  void set_user(uid_t uid, mode_t mode) const {
    if (::chown(program.c_str(), uid, kOwnGroup) != 0 || ::chmod(program.c_str(), mode) != 0)
      throw std::runtime_error("cannot give the probe away");
  }
  // What it prints when the stranger starts it with this directory in the environment.
  [[nodiscard]] std::string run(const std::vector<std::string>& arguments,
                                const fs::path& runtime_dir) const {
    return as_user(kStranger, [&] {
      std::vector<std::string> argv{program.string()};
      argv.insert(argv.end(), arguments.begin(), arguments.end());
      const Ran ran = run_program(argv, "x", {"AUTHCACHE_RUNTIME_DIR=" + runtime_dir.string()});
      return ran.out + ran.err;
    });
  }
};

bool setuid_works_in(const fs::path& directory) {
  struct statvfs system {};
  return ::statvfs(directory.c_str(), &system) == 0 && (system.f_flag & ST_NOSUID) == 0;
}

// The directory is one that the library would trust: root's, open to everybody here, with a daemon in it.
class Environment : public ::testing::Test {
 protected:
  void SetUp() override {
    AUTHCACHE_NEEDS_ROOT();
    if (!setuid_works_in(scene_.daemon.state_dir().parent_path()))
      GTEST_SKIP() << "the temporary directory is mounted nosuid";
    if (fs::exists("/run/authcache/table"))
      GTEST_SKIP() << "this host has an authcached of its own in /run/authcache";
    scene_.start();
    ::chmod(scene_.daemon.runtime_dir().c_str(), 0755);
    ::chown(scene_.daemon.table().c_str(), 0, kOwnGroup);
  }
  [[nodiscard]] fs::path directory() const { return scene_.daemon.state_dir().parent_path(); }

  Scene scene_;
};

TEST_F(Environment, B19_ASetuidProgramIgnoresTheDirectoryThatItsCallerNames) {
  const Probe probe(directory(), "probe", std::getenv("AUTHCACHE_TEST_SDK_PROBE"));
  probe.set_user(kStranger.uid, 0755);
  const std::string plain = probe.run({}, scene_.daemon.runtime_dir());
  EXPECT_TRUE(plain.starts_with("attached")) << plain;
  probe.set_user(kMember.uid, 04755);
  const std::string raised = probe.run({}, scene_.daemon.runtime_dir());
  EXPECT_TRUE(raised.starts_with("unattached")) << raised;
  EXPECT_TRUE(
      raised.contains("uid " + std::to_string(kStranger.uid) + " euid " + std::to_string(kMember.uid)))
      << raised;
}

// Without raised rights the variable counts, and what it names is judged all the same.
TEST_F(Environment, B19_ADirectoryThatTheLibraryDoesNotTrustIsRefusedWithASentence) {
  const Probe probe(directory(), "probe", std::getenv("AUTHCACHE_TEST_SDK_PROBE"));
  probe.set_user(kStranger.uid, 0755);
  const fs::path hostile = directory() / "hostile";
  fs::create_directory(hostile);
  ASSERT_EQ(::chown(hostile.c_str(), kMember.uid, kMember.gid), 0);
  const std::string foreign = probe.run({}, hostile);
  EXPECT_TRUE(foreign.contains("owned by uid " + std::to_string(kMember.uid))) << foreign;
  ASSERT_EQ(::chown(hostile.c_str(), 0, 0), 0);
  ASSERT_EQ(::chmod(hostile.c_str(), 0777), 0);
  const std::string open = probe.run({}, hostile);
  EXPECT_TRUE(open.contains("writable by others")) << open;
}

}  // namespace
}  // namespace authcache_test
