// Tells the service manager how the daemon is doing: systemd's notification protocol (sd_notify(3)), one
// datagram to the socket that NOTIFY_SOCKET names. Written by hand because it is this small, and libsystemd
// would otherwise be a dependency of the daemon. Any thread; never blocks. Without a manager every call
// succeeds and does nothing.
#pragma once

#include <string>
#include <string_view>

#include "shm/result.hpp"

namespace authcached {

class ServiceNotifier {
 public:
  // "" (no manager), an absolute path, or "@name" for an abstract socket.
  explicit ServiceNotifier(std::string address) : address_(std::move(address)) {}
  [[nodiscard]] static ServiceNotifier from_environment();

  authcache::shm::Result<void> ready() const;      // also ends a reload
  authcache::shm::Result<void> reloading() const;  // ready() must follow
  authcache::shm::Result<void> stopping() const;
  // Free text for `systemctl status`; control characters become spaces, since a newline would begin another
  // variable.
  authcache::shm::Result<void> status(std::string_view text) const;

 private:
  [[nodiscard]] authcache::shm::Result<void> send(std::string_view message) const;

  std::string address_;
};

}  // namespace authcached
