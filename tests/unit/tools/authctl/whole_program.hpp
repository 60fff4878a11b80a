// authctl as a function: a command line, standard input and a runtime directory in; output and exit code out.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tools/authctl/verb.hpp"

namespace authctl::testing {

struct Ran {
  Exit exit = Exit::kFailed;
  std::string out;
  std::string err;
};

inline Ran run_authctl(std::vector<std::string> arguments, const std::string& input = "",
                       const std::filesystem::path& runtime_dir = "/tmp/authctl-no-such-directory") {
  Program program("authctl", "summary", "1.2.3");
  Settings settings;
  Command root = program.root();
  declare_settings(root, settings);
  settings.runtime_dir = runtime_dir;
  for (const Verb& verb : verbs()) verb.declare(root.child(verb.name, verb.summary, verb.example));
  std::vector<const char*> argv{"authctl"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0 || ::write(ends[1], input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    return {};
  ::close(ends[1]);
  std::ostringstream out;
  std::ostringstream err;
  Call call{.settings = settings, .out = out, .err = err, .in_fd = ends[0]};
  const Exit exit = program.run(static_cast<int>(argv.size()), argv.data(), call, settings);
  ::close(ends[0]);
  return {exit, out.str(), err.str()};
}

}  // namespace authctl::testing
