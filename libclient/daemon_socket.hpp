// What every connection to authcached.sock needs: where it is, who is on the other side, and taking what that
// one sends. Any thread.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcache::client {

// False if the path is too long for a socket.
[[nodiscard]] bool fill_address(const std::filesystem::path& path, sockaddr_un& address);

// Whether the other side is root, this process's user or the configured daemon's; `peer` is its uid.
[[nodiscard]] bool trusted_peer(int fd, uid_t daemon_uid, uid_t& peer);

// recv that never waits, with the descriptors that come beside the bytes. May throw bad_alloc, and has taken
// nothing then.
[[nodiscard]] ssize_t receive_some(int fd, char* out, std::size_t size, std::vector<shm::UniqueFd>& files);

// A sentence from the other side, for people: printable bytes, not too many.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace authcache::client
