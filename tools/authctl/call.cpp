#include "tools/authctl/call.hpp"

#include <cstdlib>
#include <string>

#include "tools/authctl/command.hpp"

namespace authctl {
namespace {

constexpr const char* kRuntimeDirDefault = "/run/authcache";
constexpr const char* kRuntimeDirVariable = "AUTHCACHE_RUNTIME_DIR";

}  // namespace

void declare_settings(Command& root, Settings& settings) {
  // secure_getenv: a program with raised privileges must not be sent to another directory by its caller.
  const char* from_environment = ::secure_getenv(kRuntimeDirVariable);
  const bool given = from_environment != nullptr && *from_environment != '\0';
  settings.runtime_dir = given ? from_environment : kRuntimeDirDefault;
  root.path("--runtime-dir", settings.runtime_dir, "DIR",
            "where the daemon's sockets and table are (" + std::string(kRuntimeDirVariable) + ", else " +
                kRuntimeDirDefault + ")");
  root.flag("--json", settings.json, "print the answer as one JSON document");
  root.duration("--timeout", settings.timeout, "how long to wait for each answer (5s)");
}

}  // namespace authctl
