// The real authcached with directories and a configuration of its own. Stop it and start it again on the same
// directories as often as you like; all of them go with this object. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/unique_fd.hpp"
#include "tests/process/support/authctl_run.hpp"
#include "tests/process/support/child_process.hpp"

namespace authcache_test {

class DaemonProcess {
 public:
  enum class First { kYes, kNo };  // whether it gets --first-start

  DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess();

  [[nodiscard]] const std::filesystem::path& runtime_dir() const { return runtime_dir_; }
  [[nodiscard]] std::filesystem::path state_dir() const { return state_dir_; }
  [[nodiscard]] std::filesystem::path scratch(std::string_view name) const { return scratch_ / name; }
  [[nodiscard]] std::filesystem::path config_file() const { return scratch("authcached.toml"); }
  [[nodiscard]] std::filesystem::path table() const { return runtime_dir_ / "table"; }
  void use_runtime_dir(const std::filesystem::path& dir) { runtime_dir_ = dir; }
  void use_state_dir(const std::filesystem::path& dir) { state_dir_ = dir; }

  // The directories and groups are put before the rest.
  void configure(std::string_view rest) const;

  // Starts and waits until it says that it is ready; std::runtime_error with its log if it ends instead.
  void start(First first = First::kYes);
  // Starts and waits for neither; launched() is what it then does.
  void launch(First first = First::kYes);
  [[nodiscard]] bool becomes_ready(std::chrono::milliseconds within = kPatience);

  // SIGTERM; the exit status, which should be 0.
  [[nodiscard]] int stop();
  void kill();     // SIGKILL, and waits until it is gone
  void suspend();  // SIGSTOP, and waits until it stands still
  void resume() const;
  void signal(int number) const { child_->signal(number); }
  [[nodiscard]] bool running() { return child_ && !child_->ended(); }
  [[nodiscard]] std::optional<int> exit_status(std::chrono::milliseconds within = kPatience);
  [[nodiscard]] pid_t pid() const { return child_->pid(); }

  [[nodiscard]] std::string log() const;  // of all its lives
  [[nodiscard]] bool logs(std::string_view text, std::chrono::milliseconds within = kPatience) const;
  [[nodiscard]] Ran authctl(std::vector<std::string> arguments, std::string_view input = {}) const;
  [[nodiscard]] Ran revoke(std::string_view token) const { return authctl({"revoke", "--token"}, token); }
  // stats: "table", "daemon"
  [[nodiscard]] std::int64_t stat(std::string_view section, std::string_view name) const;
  [[nodiscard]] std::size_t descriptors() const;
  [[nodiscard]] std::size_t resident_bytes() const;

 private:
  std::filesystem::path scratch_;      // on tmpfs
  std::filesystem::path runtime_dir_;  // below it
  std::filesystem::path state_dir_;
  std::filesystem::path disk_;
  authcache::shm::UniqueFd notify_;
  std::unique_ptr<ChildProcess> child_;
};

}  // namespace authcache_test
