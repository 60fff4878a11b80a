// What every listening unix socket of the daemon needs: a path that is never half made, and who is at the
// other end.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "shm/result.hpp"

namespace authcached {

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// What a foreign user namespace shows: nobody can be told apart there, so nobody is served.
inline constexpr uid_t kOverflowUid = 65534;

// Binds under a temporary name with mode 0600, sets group and mode 0660, listens, then renames over path:
// nobody connects to a half-made socket, and the path is never absent. The caller holds the lock that says it
// may. group -1: as created.
[[nodiscard]] authcache::shm::Result<void> listen_on_path(int fd, const std::filesystem::path& path,
                                                          gid_t group);

// Who connected, as the kernel noted it at that moment; nothing if it cannot be told apart.
[[nodiscard]] std::optional<Peer> peer_of(int fd);
// Whether the peer had this group then, as its first or as a supplementary one.
[[nodiscard]] bool peer_is_in(int fd, const Peer& peer, gid_t group);

}  // namespace authcached
