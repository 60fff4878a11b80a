// A socket inside somebody else's program. That program may close or reuse any descriptor number it likes
// (daemons close all on start), so before each use and before closing, the number is checked to still stand
// for the socket that was made here: a number that came to mean something else is left alone.
#pragma once

#include <sys/types.h>

#include <utility>

namespace authcache::client {

class OwnSocket {
 public:
  OwnSocket() = default;
  // Takes over a socket just made; remembers its inode.
  explicit OwnSocket(int fd);
  OwnSocket(OwnSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), device_(other.device_), inode_(other.inode_) {}
  OwnSocket& operator=(OwnSocket&& other) noexcept;
  OwnSocket(const OwnSocket&) = delete;
  OwnSocket& operator=(const OwnSocket&) = delete;
  ~OwnSocket();

  [[nodiscard]] bool is_ours() const;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace authcache::client
