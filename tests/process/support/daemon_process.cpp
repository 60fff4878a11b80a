#include "tests/process/support/daemon_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/value.hpp>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>

namespace authcache_test {

namespace fs = std::filesystem;
using authcache::shm::UniqueFd;

namespace {

fs::path make_directory(const fs::path& parent) {
  std::string name = (parent / "authcache-process-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make a directory in " + parent.string());
  return name;
}

UniqueFd listen_for_notices(const fs::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path)
    throw std::runtime_error(path.string() + " is too long for a socket");
  std::strcpy(address.sun_path, path.c_str());
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot bind " + path.string());
  }
  return fd;
}

bool says_ready(const UniqueFd& notices) {
  char text[1024];
  for (ssize_t got; (got = ::recv(notices.get(), text, sizeof text, 0)) > 0;) {
    if (std::string_view(text, static_cast<std::size_t>(got)).contains("READY=1")) return true;
  }
  return false;
}

// The third field of /proc/PID/stat, after the name in parentheses.
char process_state(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = text.rfind(')');
  return end == std::string::npos || end + 2 >= text.size() ? '?' : text[end + 2];
}

}  // namespace

DaemonProcess::DaemonProcess()
    : scratch_(make_directory("/dev/shm")),
      runtime_dir_(scratch_ / "run"),
      disk_(make_directory(fs::temp_directory_path())) {
  // Readers of another user pass through; what is below has its own mode.
  ::chmod(scratch_.c_str(), 0755);
  state_dir_ = disk_ / "state";
  notify_ = listen_for_notices(scratch_ / "notices");
}

DaemonProcess::~DaemonProcess() {
  child_.reset();
  std::error_code ignored;
  fs::remove_all(scratch_, ignored);
  fs::remove_all(disk_, ignored);
}

void DaemonProcess::configure(std::string_view rest) const {
  replace_file(config_file(), "runtime_dir = \"" + runtime_dir_.string() + "\"\nstate_dir = \"" +
                                  state_dir_.string() + "\"\ngroup = \"\"\nadmin_group = \"\"\n" +
                                  std::string(rest));
}

void DaemonProcess::launch(First first) {
  while (says_ready(notify_)) {  // what an earlier life left: one for its start, one for each reload
  }
  const UniqueFd log(::open(scratch("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ChildSpec spec{{authcached_program(), "--config", config_file().string()},
                 {"NOTIFY_SOCKET=" + scratch("notices").string()},
                 -1,
                 -1,
                 log.get()};
  if (first == First::kYes) spec.argv.emplace_back("--first-start");
  child_ = std::make_unique<ChildProcess>(spec);
}

bool DaemonProcess::becomes_ready(std::chrono::milliseconds within) {
  bool ready = false;
  (void)eventually([&] { return (ready = says_ready(notify_)) || child_->ended(); }, within);
  return ready;
}

void DaemonProcess::start(First first) {
  launch(first);
  if (!becomes_ready()) throw std::runtime_error("authcached did not become ready:\n" + log());
}

int DaemonProcess::stop() {
  signal(SIGTERM);
  const auto status = exit_status();
  return status.value_or(-1);
}

void DaemonProcess::kill() {
  signal(SIGKILL);
  (void)child_->wait();
}

void DaemonProcess::suspend() {
  signal(SIGSTOP);
  if (!eventually([&] { return process_state(pid()) == 'T'; }))
    throw std::runtime_error("authcached did not stand still");
}

void DaemonProcess::resume() const { signal(SIGCONT); }

std::optional<int> DaemonProcess::exit_status(std::chrono::milliseconds within) {
  const auto status = child_->wait(within);
  if (!status) return std::nullopt;
  return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
}

std::string DaemonProcess::log() const { return read_file(scratch("log")); }

bool DaemonProcess::logs(std::string_view text, std::chrono::milliseconds within) const {
  return eventually([&] { return log().contains(text); }, within);
}

Ran DaemonProcess::authctl(std::vector<std::string> arguments, std::string_view input) const {
  return authcache_test::authctl(runtime_dir_, std::move(arguments), input);
}

std::int64_t DaemonProcess::stat(std::string_view section, std::string_view name) const {
  return authctl({"stats", "--json"}).json().at(section).at(name).to_number<std::int64_t>();
}

std::size_t DaemonProcess::descriptors() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : fs::directory_iterator("/proc/" + std::to_string(pid()) + "/fd"))
    ++count;
  return count;
}

std::size_t DaemonProcess::resident_bytes() const {
  std::ifstream in("/proc/" + std::to_string(pid()) + "/statm");
  std::size_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace authcache_test
