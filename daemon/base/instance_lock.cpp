#include "daemon/base/instance_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace authcached {

namespace shm = authcache::shm;

shm::Result<InstanceLock> InstanceLock::take(const std::filesystem::path& directory, mode_t mode, gid_t group) {
  if (::mkdir(directory.c_str(), mode) == 0) {
    if (group != static_cast<gid_t>(-1) && ::chown(directory.c_str(), static_cast<uid_t>(-1), group) != 0) {
      return shm::system_error("cannot give " + directory.string() + " to group " + std::to_string(group), errno);
    }
    if (::chmod(directory.c_str(), mode) != 0) return shm::system_error("cannot chmod " + directory.string(), errno);
  } else if (errno != EEXIST) {
    return shm::system_error("cannot create " + directory.string() + "; create its parent, or name another directory", errno);
  }
  struct stat inode;
  if (::stat(directory.c_str(), &inode) != 0) return shm::system_error("cannot stat " + directory.string(), errno);
  if (!S_ISDIR(inode.st_mode)) return shm::fail(shm::ErrorCode::kRefused, directory.string() + " is not a directory");
  if (inode.st_uid != ::geteuid()) {
    return shm::fail(shm::ErrorCode::kRefused, directory.string() + " is owned by uid " + std::to_string(inode.st_uid) +
                                                   ", not by this daemon's user; chown it or name another directory");
  }
  if ((inode.st_mode & 0022) != 0) {
    return shm::fail(shm::ErrorCode::kRefused, directory.string() + " is writable by others than its owner; chmod it to 0750 or less");
  }
  const auto file = directory / "lock";
  InstanceLock lock;
  lock.fd_ = shm::UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.fd_) return shm::system_error("cannot open " + file.string(), errno);
  if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return shm::fail(shm::ErrorCode::kRefused, "another authcached holds " + file.string() + "; stop it first");
    }
    return shm::system_error("cannot lock " + file.string(), errno);
  }
  return lock;
}

}  // namespace authcached
