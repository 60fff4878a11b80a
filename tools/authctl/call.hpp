// What a verb is given when it runs: the options that all verbs share, and its three streams. A verb touches
// neither std::cout nor descriptor 0 itself, so that tests can run it whole. One thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <iosfwd>

#include "tools/authctl/command_tree.hpp"

namespace authctl {

class Command;

// Long enough for a revocation behind a slow disk's fsync, short enough for a person to wait.
inline constexpr std::chrono::nanoseconds kTimeoutDefault = std::chrono::seconds(5);

struct Settings {
  std::filesystem::path runtime_dir;  // --runtime-dir, else AUTHCACHE_RUNTIME_DIR, else /run/authcache
  bool json = false;
  std::chrono::nanoseconds timeout = kTimeoutDefault;
};

// Declares the shared options on the root command. The environment is read here, once.
void declare_settings(Command& root, Settings& settings);

struct Call {
  Settings settings;
  std::ostream& out;
  std::ostream& err;
  int in_fd = 0;
  bool colour = false;                  // out is a terminal and NO_COLOR is not set
  std::function<CommandNode()> tree{};  // the whole command line
};

}  // namespace authctl
