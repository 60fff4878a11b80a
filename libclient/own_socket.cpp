#include "libclient/own_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace authcache::client {

OwnSocket::OwnSocket(int fd) : fd_(fd) {
  struct stat inode;
  if (fd < 0 || ::fstat(fd, &inode) != 0) return;
  device_ = inode.st_dev;
  inode_ = inode.st_ino;
}

OwnSocket& OwnSocket::operator=(OwnSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

OwnSocket::~OwnSocket() {
  if (is_ours()) ::close(fd_);
}

bool OwnSocket::is_ours() const {
  struct stat inode;
  return fd_ >= 0 && ::fstat(fd_, &inode) == 0 && S_ISSOCK(inode.st_mode) && inode.st_dev == device_ &&
         inode.st_ino == inode_;
}

}  // namespace authcache::client
