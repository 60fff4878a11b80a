#include "daemon/base/instance_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace authcached {

namespace shm = authcache::shm;

namespace {

// A link that somebody else left where the directory was expected leads to a place of his choice. One of our own or of
// root's is an administrator's: state on another disk.
shm::Result<void> check_link(const std::filesystem::path& directory) {
  struct stat inode;
  if (::lstat(directory.c_str(), &inode) != 0) return shm::system_error("cannot stat " + directory.string(), errno);
  if (!S_ISLNK(inode.st_mode) || inode.st_uid == 0 || inode.st_uid == ::geteuid()) return {};
  return shm::fail(shm::ErrorCode::kRefused, directory.string() + " is a symbolic link of uid " + std::to_string(inode.st_uid) +
                                                 ", neither root's nor this daemon's; remove it");
}

// What was put there before the directory became ours may be held open, or be another file under this name as well.
shm::Result<void> check_lock_file(const std::string& name, int fd) {
  struct stat inode;
  if (::fstat(fd, &inode) != 0) return shm::system_error("cannot stat " + name, errno);
  if (S_ISREG(inode.st_mode) && inode.st_uid == ::geteuid() && inode.st_nlink == 1) return {};
  return shm::fail(shm::ErrorCode::kRefused, name + " is not a regular file of this daemon's user with this one name; remove it");
}

}  // namespace

shm::Result<InstanceLock> InstanceLock::take(const std::filesystem::path& directory, mode_t mode, gid_t group) {
  if (::mkdir(directory.c_str(), mode) == 0) {
    if (group != static_cast<gid_t>(-1) && ::chown(directory.c_str(), static_cast<uid_t>(-1), group) != 0) {
      return shm::system_error("cannot give " + directory.string() + " to group " + std::to_string(group), errno);
    }
    if (::chmod(directory.c_str(), mode) != 0) return shm::system_error("cannot chmod " + directory.string(), errno);
  } else if (errno != EEXIST) {
    return shm::system_error("cannot create " + directory.string() + "; create its parent, or name another directory", errno);
  }
  if (auto link = check_link(directory); !link) return std::unexpected(link.error());
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
  lock.fd_ = shm::UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!lock.fd_) return shm::system_error("cannot open " + file.string(), errno);
  if (auto ours = check_lock_file(file.string(), lock.fd_.get()); !ours) return std::unexpected(ours.error());
  if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return shm::fail(shm::ErrorCode::kRefused, "another authcached holds " + file.string() + "; stop it first");
    }
    return shm::system_error("cannot lock " + file.string(), errno);
  }
  return lock;
}

}  // namespace authcached
