// The daemon on a machine that is short of memory: made so by a control group with a small limit, in which
// two processes read through more than it lets them keep. Needs root and a memory controller, and says so
// where it has none.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

constexpr std::size_t kLimitBytes = 24 << 20, kReadBytes = 96 << 20;

std::uint64_t stalled_us() {
  std::ifstream file("/proc/pressure/memory");
  std::string line;
  std::getline(file, line);
  const std::size_t total = line.find("total=");
  return total == std::string::npos ? 0 : std::stoull(line.substr(total + 6));
}

class Squeeze {
 public:
  // Of version 1 or 2, whichever has the memory controller; false where no group can be made.
  bool begin() {
    const std::string name = "authcache-test-" + std::to_string(::getpid());
    std::error_code error;
    for (const char* mount : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
      group_ = std::filesystem::path(mount) / name;
      if (!std::filesystem::create_directory(group_, error)) continue;
      for (const char* limit : {"memory.limit_in_bytes", "memory.high"}) {
        if (std::filesystem::exists(group_ / limit, error) &&
            (std::ofstream(group_ / limit) << kLimitBytes).flush())
          return read_on(2);
      }
      ::rmdir(group_.c_str());
    }
    group_.clear();
    return false;
  }
  ~Squeeze() {
    for (const pid_t reader : readers_) ::kill(reader, SIGKILL);
    for (const pid_t reader : readers_) ::waitpid(reader, nullptr, 0);
    if (!group_.empty()) ::rmdir(group_.c_str());
  }

 private:
  bool read_on(int readers) {
    for (int i = 0; i < readers; ++i) {
      const pid_t reader = ::fork();
      if (reader == 0) read_for_ever(group_ / "cgroup.procs");
      if (reader > 0) readers_.push_back(reader);
    }
    return true;
  }
  // A file on a disk, written by who is in the group: so its pages count there.
  [[noreturn]] static void read_for_ever(const std::filesystem::path& procs) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::ofstream(procs) << ::getpid() << std::flush;
    char name[] = "/var/tmp/authcache-squeeze-XXXXXX";
    const int file = ::mkstemp(name);
    ::unlink(name);
    const std::string block(1 << 20, 'x');
    for (std::size_t at = 0; at < kReadBytes; at += block.size()) {
      if (::write(file, block.data(), block.size()) < 0) ::_exit(1);
    }
    ::fsync(file);
    const auto* bytes =
        static_cast<const volatile char*>(::mmap(nullptr, kReadBytes, PROT_READ, MAP_SHARED, file, 0));
    for (;;) {
      for (std::size_t at = 0; at < kReadBytes; at += 4'096) (void)bytes[at];
    }
  }
  std::filesystem::path group_;
  std::vector<pid_t> readers_;
};

boost::json::object memory_stats(const Scene& scene) {
  return scene.daemon.authctl({"stats", "--json"}).json().at("memory").as_object();
}

TEST(MemoryPressure, NegativeRecordsAreGivenUpAndGoodOnesStay) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string token = scene.create_session();
  ASSERT_EQ(reader.validate(session(token)), "valid");
  const auto before = memory_stats(scene);
  EXPECT_EQ(before.at("reliefs").to_number<int>(), 0);
  EXPECT_GT(before.at("own_bytes").to_number<std::uint64_t>(), 0u);
  if (before.at("pressure_file").as_string() != "/proc/pressure/memory")
    GTEST_SKIP() << "the daemon looks at a group of its own here";

  Squeeze squeeze;
  if (!squeeze.begin()) GTEST_SKIP() << "no control group with a limit on memory can be made here";
  const std::uint64_t at_rest = stalled_us();
  if (!eventually([&] { return stalled_us() > at_rest + 1'000'000; }))
    GTEST_SKIP() << "this kernel tells of no stall for want of memory";
  std::string unknown;
  EXPECT_TRUE(eventually([&] {
    unknown = random_token();
    EXPECT_EQ(reader.validate(session(unknown)), "invalid/unknown");
    return memory_stats(scene).at("negatives_dropped").to_number<int>() > 0;
  })) << boost::json::serialize(memory_stats(scene));
  EXPECT_TRUE(scene.daemon.logs("memory_pressure"));
  EXPECT_EQ(reader.lookup(session(token)), "valid");
  EXPECT_EQ(reader.validate(session(random_token())), "invalid/unknown");
}

}  // namespace
}  // namespace authcache_test
