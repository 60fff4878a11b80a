// A server that the bench starts on a unix socket and stops again. It dies with the bench, however that ends.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcache_bench {

// Connected, or empty.
[[nodiscard]] authcache::shm::UniqueFd connect_to(const std::filesystem::path& socket);

// The calling thread, from now on.
void run_here_on(int core);

class ServerProcess {
 public:
  // Returns once the socket takes connections; ends the program if it never does.
  ServerProcess(std::vector<std::string> command, const std::filesystem::path& socket);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();
  [[nodiscard]] pid_t pid() const { return pid_; }

  // All of its threads, from now on.
  void run_on(int core) const;

 private:
  pid_t pid_ = -1;
};

}  // namespace authcache_bench
