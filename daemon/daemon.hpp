// The daemon as a whole: owns every part, in the order in which each needs those before it, and starts them in the
// order that keeps promises made by its predecessor: locks - rules - tables - heartbeat - sockets.
#pragma once

#include <memory>
#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/fault_point.hpp"
#include "shm/result.hpp"

namespace authcached {

struct DaemonOptions {
  std::string config_file;
  bool first_start = false;  // no process can have a table of an earlier daemon mapped: do not wait for its heartbeat
  FaultHook fault_hook = {};  // tests only; main.cpp sets none
};

class Daemon {
 public:
  static authcache::shm::Result<std::unique_ptr<Daemon>> start(Config config, DaemonOptions options);
  ~Daemon();

  void run();  // until SIGTERM or SIGINT

 private:
  struct Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
