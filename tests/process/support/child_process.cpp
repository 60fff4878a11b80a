#include "tests/process/support/child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace authcache_test {

namespace {

// Between fork and exec: system calls only.
[[noreturn]] void become(const ChildSpec& spec, char* const* argv, char* const* environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(spec.stdin_fd < 0 ? nothing : spec.stdin_fd, STDIN_FILENO);
  ::dup2(spec.stdout_fd < 0 ? nothing : spec.stdout_fd, STDOUT_FILENO);
  ::dup2(spec.stderr_fd < 0 ? nothing : spec.stderr_fd, STDERR_FILENO);
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

ChildProcess::ChildProcess(const ChildSpec& spec) {
  std::vector<std::string> arguments = spec.argv;
  std::vector<std::string> environment = spec.environment;
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> env = pointers(environment);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) become(spec, argv.data(), env.data());
}

ChildProcess::~ChildProcess() {
  if (ended()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds within) {
  (void)eventually([&] { return ended().has_value(); }, within);
  return status_;
}

}  // namespace authcache_test
