#include "tools/authctl/sibling_program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shm/unique_fd.hpp"

namespace authctl {
namespace {

using authcache::shm::UniqueFd;

constexpr int kSignalBase = 128;

struct FileActions {
  posix_spawn_file_actions_t actions{};
  FileActions() { ::posix_spawn_file_actions_init(&actions); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

// To the end, so that the child never waits for us; what is over the limit is dropped.
std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> bytes{};
  while (true) {
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(bytes.data(), std::min(static_cast<std::size_t>(got), kCapturedMax - text.size()));
  }
}

int wait_for_end(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
}

}  // namespace

std::filesystem::path sibling_program(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return name;
  std::filesystem::path beside = self.parent_path() / name;
  return ::access(beside.c_str(), X_OK) == 0 ? beside : std::filesystem::path(name);
}

Outcome<Finished> run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                              bool capture) {
  std::string name = program.string();
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv{name.data()};
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);

  std::array<int, 2> pipe{-1, -1};
  if (capture && ::pipe2(pipe.data(), O_CLOEXEC) != 0)
    return failure(Exit::kFailed, std::string("cannot make a pipe: ") + std::strerror(errno));
  const UniqueFd read_end(pipe[0]);
  UniqueFd write_end(pipe[1]);
  FileActions files;
  if (capture) {
    ::posix_spawn_file_actions_adddup2(&files.actions, write_end.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files.actions, write_end.get(), STDERR_FILENO);
  }
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, name.c_str(), &files.actions, nullptr, argv.data(), environ);
  if (error != 0) {
    return failure(Exit::kFailed, "cannot run " + name + ": " + std::strerror(error) +
                                      "; install it beside authctl or on PATH");
  }
  write_end.reset();
  Finished finished;
  if (capture) finished.output = read_all(read_end.get());
  finished.status = wait_for_end(child);
  return finished;
}

Exit exit_of_status(int status) {
  switch (status) {
    case 0: return Exit::kYes;
    case 1: return Exit::kNo;
    case 2: return Exit::kUsage;
    default: break;
  }
  return Exit::kFailed;
}

}  // namespace authctl
