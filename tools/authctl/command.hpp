// The command line. CLI11 stays behind these two classes: its headers take longer to compile than a verb, and
// are included by command.cpp alone. One thread; a Command is a handle into its Program and must not outlive
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/authctl/call.hpp"
#include "tools/authctl/command_tree.hpp"
#include "tools/authctl/exit_code.hpp"

namespace CLI {
class App;
}

namespace authctl {

using Action = std::function<Exit(Call&)>;

class Program;

// Names start with dashes ("--profile"), or are those of a positional argument ("file"). What `into` refers
// to must live until the program has run; its value then is the default. Options can be given once, but for
// texts().
class Command {
 public:
  Command child(const std::string& name, const std::string& summary, const std::string& example);
  void flag(const std::string& names, bool& into, const std::string& summary);
  void text(const std::string& names, std::string& into, const std::string& value,
            const std::string& summary);
  void texts(const std::string& names, std::vector<std::string>& into, const std::string& value,
             const std::string& summary);
  void path(const std::string& names, std::filesystem::path& into, const std::string& value,
            const std::string& summary);
  void number(const std::string& names, std::uint64_t& into, std::uint64_t low, std::uint64_t high,
              const std::string& summary);
  void duration(const std::string& names, std::chrono::nanoseconds& into, const std::string& summary);
  void choice(const std::string& names, std::string& into, const std::vector<std::string>& choices,
              const std::string& summary);

  // Of an option declared before.
  void require(const std::string& name);
  void exclude(const std::string& name, const std::string& other);

  void require_child();
  void action(Action action);

 private:
  friend class Program;
  Command(Program& program, CLI::App& app) : program_(&program), app_(&app) {}
  Program* program_;
  CLI::App* app_;
};

class Program {
 public:
  Program(const std::string& name, const std::string& summary, const std::string& version);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] Command root();
  // Parses and runs. A command line that cannot be meant is a sentence on call.err and kUsage; the text of an
  // argument in the wrong place is never repeated, because it may be a token.
  Exit run(int argc, const char* const* argv, Call& call, const Settings& settings);
  [[nodiscard]] CommandNode tree() const;

 private:
  friend class Command;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace authctl
