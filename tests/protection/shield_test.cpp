// B16, B17, P5: what the daemon takes from itself at its start, read from the kernel.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <functional>
#include <sstream>
#include <thread>

#include "daemon/base/process_shield.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

// The value of one line of a status file, blanks as single blanks.
std::string status_of(const fs::path& file, const std::string& name) {
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream words(line.substr(name.size() + 1));
    std::string value;
    for (std::string word; words >> word;) value += (value.empty() ? "" : " ") + word;
    return value;
  }
  return "absent";
}

TEST(Shield, B17_EveryThreadOfTheDaemonHasNoRightsBeyondItsUser) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene;
  scene.start();
  (void)scene.ask_as(kMember, api(scene.issuer.es256()));  // every kind of thread has worked
  const fs::path tasks = "/proc/" + std::to_string(scene.daemon.pid()) + "/task";
  const std::string uid = std::to_string(kDaemonUid), gid = std::to_string(kTableGroup);
  std::size_t threads = 0;
  for (const auto& task : fs::directory_iterator(tasks)) {
    const fs::path status = task.path() / "status";
    ++threads;
    EXPECT_EQ(status_of(status, "Uid"), uid + " " + uid + " " + uid + " " + uid);
    EXPECT_EQ(status_of(status, "Gid"), gid + " " + gid + " " + gid + " " + gid);
    EXPECT_EQ(status_of(status, "Groups"), "");
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
      EXPECT_EQ(status_of(status, set), "0000000000000000") << set;
    EXPECT_EQ(status_of(status, "NoNewPrivs"), "1");
    EXPECT_EQ(status_of(status, "Seccomp"), "2");
  }
  EXPECT_GE(threads, 4u);
}

TEST(Shield, B17_StartedByRootItStillCannotGainOrBecome) {
  Scene scene;
  scene.start();
  const fs::path status = "/proc/" + std::to_string(scene.daemon.pid()) + "/status";
  EXPECT_EQ(status_of(status, "NoNewPrivs"), "1");
  EXPECT_EQ(status_of(status, "Seccomp"), "2");
}

TEST(Shield, B16_CoresTracingAndNewFilesAreClosed) {
  Scene scene;
  scene.start();
  rlimit core{};
  ASSERT_EQ(::prlimit(scene.daemon.pid(), RLIMIT_CORE, nullptr, &core), 0);
  EXPECT_EQ(core.rlim_cur, 0u);
  EXPECT_EQ(core.rlim_max, 0u);
  const fs::path status = "/proc/" + std::to_string(scene.daemon.pid()) + "/status";
  EXPECT_EQ(status_of(status, "Umask"), "0077");
  struct stat inode;
  for (const auto& each : fs::recursive_directory_iterator(scene.daemon.state_dir())) {
    ASSERT_EQ(::stat(each.path().c_str(), &inode), 0);
    EXPECT_EQ(inode.st_mode & 0077, 0u) << each.path();
  }
}

// What seccomp and the limits do to one process: run in a child, since there is no way back.
TEST(Shield, B17_RefusedCallsAreRefusedToRootToo) {
  const std::string tried = in_child([]() -> std::string {
    if (const auto shielded = authcached::shield_process(); !shielded) return shielded.error().message;
    Forbidden forbidden;
    char* const argv[] = {const_cast<char*>("/bin/true"), nullptr};
    forbidden.expect("execve", ::execve(argv[0], argv, argv), {EPERM});
    forbidden.expect("execveat", ::syscall(SYS_execveat, AT_FDCWD, argv[0], argv, argv, 0), {EPERM});
    forbidden.expect("ptrace", ::ptrace(PTRACE_TRACEME, 0, 0, 0), {EPERM});
    forbidden.expect("process_vm_readv",
                     ::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0), {EPERM});
    forbidden.expect("unshare", ::unshare(0), {EPERM});
    forbidden.expect("setns", ::setns(-1, 0), {EPERM});
    forbidden.expect("setresuid", ::syscall(SYS_setresuid, -1, -1, -1), {EPERM});
    forbidden.expect("mount", ::syscall(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr), {EPERM});
    forbidden.expect("bpf", ::syscall(SYS_bpf, 0, nullptr, 0), {EPERM});
    forbidden.expect("keyctl", ::syscall(SYS_keyctl, -1), {EPERM});
    // Without anything to set: what is asked is only whether the call is let through.
    forbidden.expect("clock_settime", ::syscall(SYS_clock_settime, CLOCK_REALTIME, nullptr), {EPERM});
    forbidden.expect("settimeofday", ::syscall(SYS_settimeofday, nullptr, nullptr), {EPERM});
    forbidden.expect("adjtimex", ::syscall(SYS_adjtimex, nullptr), {EPERM});
#if defined(__x86_64__)
    forbidden.expect("another numbering", ::syscall(0x4000'0000 + SYS_getpid), {EPERM});
#endif
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) forbidden.expect("no new privileges", 0, {});
    if (::prctl(PR_GET_DUMPABLE) != 0) forbidden.expect("dumpable", 0, {});
    bool thread_refused = false;
    std::thread([&] { thread_refused = ::unshare(0) == -1 && errno == EPERM; }).join();
    if (!thread_refused) forbidden.expect("a thread", 0, {});
    return forbidden.text();
  });
  EXPECT_EQ(tried, "");
}

// Ended by a signal whose default is a core, where cores are allowed: an ordinary process leaves one.
TEST(Shield, B16_ADyingDaemonLeavesNoCore) {
  const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  rlimit before{};
  ::getrlimit(RLIMIT_CORE, &before);
  if (::setrlimit(RLIMIT_CORE, &all) != 0) GTEST_SKIP() << "raising the limit of cores needs root";
  Scene scene;
  const fs::path here = fs::current_path(), place = scene.daemon.state_dir().parent_path();
  const auto end_in = [&](const fs::path& directory, const std::function<std::optional<int>()>& end) {
    fs::create_directory(directory);
    fs::current_path(directory);  // a core is made where its process was started
    const auto status = end();
    fs::current_path(here);
    return status;
  };
  const auto ordinary = end_in(place / "ordinary", [] {
    ChildProcess sleep({{"/bin/sleep", "100"}, {}});
    const fs::path name = "/proc/" + std::to_string(sleep.pid()) + "/comm";
    EXPECT_TRUE(eventually([&] { return read_file(name) == "sleep\n"; }));
    sleep.signal(SIGABRT);
    return sleep.wait();
  });
  const auto status = end_in(place / "daemon", [&] {
    scene.start();
    scene.daemon.signal(SIGABRT);
    return scene.daemon.exit_status();
  });
  ::setrlimit(RLIMIT_CORE, &before);
  ASSERT_TRUE(status);
  EXPECT_EQ(*status, 128 + SIGABRT);
  EXPECT_TRUE(fs::is_empty(place / "daemon"));
  ASSERT_TRUE(ordinary && WIFSIGNALED(*ordinary));
  if (!WCOREDUMP(*ordinary))
    GTEST_SKIP() << "this kernel makes no core of any process here, so that none came proves little";
}

// 0.11: the mapping of a table is in nobody's dump, neither the daemon's nor an application's.
TEST(Shield, B16_TablesAreLeftOutOfDumps) {
  Scene scene;
  scene.start();
  Client client(scene.daemon.runtime_dir());
  ASSERT_EQ(client.refused(), "");
  for (const std::string& process : {std::string("self"), std::to_string(scene.daemon.pid())}) {
    std::istringstream lines(read_file("/proc/" + process + "/smaps"));
    bool of_table = false;
    int tables = 0, left_out = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find('-') < line.find(' ')) of_table = line.contains(scene.daemon.runtime_dir().string());
      if (!of_table || !line.starts_with("VmFlags:")) continue;
      ++tables;
      left_out += line.contains(" dd") ? 1 : 0;
    }
    EXPECT_GT(tables, 0) << process;
    EXPECT_EQ(left_out, tables) << process;
  }
}

// The command line and the environment of a setuid program are its caller's.
TEST(Shield, B17_ASetuidDaemonRefusesToRun) {
  AUTHCACHE_NEEDS_ROOT();
  Scene scene;
  const fs::path directory = scene.daemon.state_dir().parent_path();
  const fs::path copy = directory / "authcached";
  ::chmod(directory.c_str(), 0755);
  fs::copy_file(authcached_program(), copy);
  ASSERT_EQ(::chown(copy.c_str(), kDaemonUid, kOwnGroup), 0);
  ASSERT_EQ(::chmod(copy.c_str(), 04755), 0);
  const fs::path secret = directory / "secret";
  write_file(secret, "a secret line\n");
  const std::string ran = as_user(kStranger, [&] {
    const Ran tried = run_program({copy.string(), "--check", "--config", secret.string()});
    return std::to_string(tried.exit) + " " + tried.out + tried.err;
  });
  EXPECT_TRUE(ran.starts_with("2 authcached must not be setuid")) << ran;
  ASSERT_EQ(::chmod(copy.c_str(), 0755), 0);
  EXPECT_EQ(as_user(kStranger,
                    [&] {
                      return std::to_string(run_program({copy.string(), "--version"}).exit);
                    }),
            "0");
}

}  // namespace
}  // namespace authcache_test
