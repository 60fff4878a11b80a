// One program that a test started. It dies with this object, and with the test. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/process/support/programs.hpp"

namespace authcache_test {

struct ChildSpec {
  std::vector<std::string> argv;         // [0] is a path
  std::vector<std::string> environment;  // "NAME=value", on top of our own
  int stdin_fd = -1;                     // -1: /dev/null
  int stdout_fd = -1;
  int stderr_fd = -1;
};

class ChildProcess {
 public:
  explicit ChildProcess(const ChildSpec& spec);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // The wait status once it has ended; none while it runs.
  [[nodiscard]] std::optional<int> ended();
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds within = kPatience);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace authcache_test
