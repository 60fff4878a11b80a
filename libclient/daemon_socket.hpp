// The two questions of whoever connects to authcached.sock: where it is, and who is on the other side. Any
// thread.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <filesystem>

namespace authcache::client {

// False if the path is too long for a socket.
[[nodiscard]] bool fill_address(const std::filesystem::path& path, sockaddr_un& address);

// Whether the other side is root, this process's user or the configured daemon's; `peer` is its uid.
[[nodiscard]] bool trusted_peer(int fd, uid_t daemon_uid, uid_t& peer);

}  // namespace authcache::client
