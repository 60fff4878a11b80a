// At most one daemon on a directory: an exclusive flock, which the kernel drops when its holder dies, however it dies.
// Never a probe by connecting: the ring of a dead daemon may still accept.
#pragma once

#include <filesystem>

#include "shm/result.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

class InstanceLock {
 public:
  // Creates the directory (mode, group if not -1) where it is missing, and takes its lock. kRefused if it is held.
  static authcache::shm::Result<InstanceLock> take(const std::filesystem::path& directory, mode_t mode, gid_t group);

 private:
  authcache::shm::UniqueFd fd_;
};

}  // namespace authcached
