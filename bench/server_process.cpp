#include "bench/server_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "bench/die.hpp"

namespace authcache_bench {

authcache::shm::UniqueFd connect_to(const std::filesystem::path& socket) {
  authcache::shm::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.string().size() >= sizeof address.sun_path)
    die("the path of a socket is too long: " + socket.string());
  std::strcpy(address.sun_path, socket.c_str());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

namespace {

void run_on_core(pid_t thread, int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<std::size_t>(core), &cores);
  if (::sched_setaffinity(thread, sizeof cores, &cores) != 0)
    die("cannot place a thread on core " + std::to_string(core));
}

}  // namespace

void run_here_on(int core) { run_on_core(0, core); }

void ServerProcess::run_on(int core) const {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task"))
    run_on_core(std::stoi(thread.path().filename()), core);
}

ServerProcess::ServerProcess(std::vector<std::string> command, const std::filesystem::path& socket) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) die("cannot start " + command[0]);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (const int null = ::open("/dev/null", O_RDWR); null >= 0) {
      for (const int stream : {0, 1, 2}) ::dup2(null, stream);
    }
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  for (int tries = 0; tries < 1'000; ++tries) {
    if (connect_to(socket)) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  die(command[0] + " did not start; run it by hand to see why");
}

ServerProcess::~ServerProcess() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace authcache_bench
