// authcached with faults, for histories only: the daemon's own parts, with a hook at its fault points.
// usage: faulty_daemon --config FILE [--first-start]
#include <cstdio>
#include <cstring>

#include "daemon/base/config_file.hpp"
#include "daemon/base/log.hpp"
#include "daemon/daemon.hpp"
#include "tests/history/faults.hpp"

namespace {

void meet_fate_at(authcached::FaultPoint point) {
  using authcached::FaultPoint;
  const bool resolving = point == FaultPoint::kVerdictBeforeInsert || point == FaultPoint::kReplyBeforeSend;
  authcache_test::meet_fate(resolving ? authcache_test::kAroundResolving : authcache_test::kAroundRevoking);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace authcached;
  if (argc < 3 || std::strcmp(argv[1], "--config") != 0) {
    std::fprintf(stderr, "usage: faulty_daemon --config FILE [--first-start]\n");
    return 2;
  }
  authcache_test::choose_faults_from_environment();
  auto config = load_config(argv[2]);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return 2;
  }
  start_log(log_options_from_environment());
  const bool first_start = argc > 3 && std::strcmp(argv[3], "--first-start") == 0;
  auto daemon = Daemon::start(
      std::move(*config), {.config_file = argv[2], .first_start = first_start, .fault_hook = meet_fate_at});
  if (!daemon) {
    log_event(LogLevel::kError, "not_started", {{"error", daemon.error().message}});
    return 5;
  }
  (*daemon)->run();
  return 0;
}
