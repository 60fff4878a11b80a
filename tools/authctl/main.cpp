// authctl: one verb, one answer, one exit code (exit_code.hpp).
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>

#include "tools/authctl/verb.hpp"

namespace {

using authctl::Exit;

Exit run(int argc, char** argv) {
  authctl::Program program("authctl", "Operate authcached, the authentication cache of this host.",
                           AUTHCACHE_VERSION);
  authctl::Settings settings;
  authctl::Command root = program.root();
  authctl::declare_settings(root, settings);
  for (const authctl::Verb& verb : authctl::verbs()) {
    verb.declare(root.child(verb.name, verb.summary, verb.example));
  }
  authctl::Call call{.settings = settings, .out = std::cout, .err = std::cerr};
  call.colour = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return program.run(argc, argv, call, settings);
}

}  // namespace

int main(int argc, char** argv) {
  // Tokens pass through this process: no core dump and no debugger of the same user gets to see them.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  Exit exit = Exit::kFailed;
  try {
    exit = run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "authctl: " << error.what() << '\n';
  }
  if (!std::cout.flush()) {
    std::cerr << "authctl: standard output could not be written to the end\n";
    exit = Exit::kFailed;
  }
  return static_cast<int>(exit);
}
