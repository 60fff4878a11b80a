#include "daemon/io/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace authcached {

using authcache::shm::ErrorCode;

namespace {

constexpr int kBacklog = 1024;  // a burst of new processes; the kernel caps it at somaxconn

}  // namespace

authcache::shm::Result<void> listen_on_path(int fd, const std::filesystem::path& path, gid_t group) {
  const std::filesystem::path temporary = path.string() + ".new";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (temporary.string().size() >= sizeof address.sun_path) {
    return authcache::shm::fail(ErrorCode::kUsage,
                                "the path " + temporary.string() +
                                    " is too long for a unix socket (107 bytes); choose a shorter directory");
  }
  std::strcpy(address.sun_path, temporary.c_str());
  ::unlink(temporary.c_str());
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_error = errno;
  ::umask(before);
  if (bound != 0) return authcache::shm::system_error("cannot bind " + temporary.string(), bind_error);
  if (group != static_cast<gid_t>(-1) && ::chown(temporary.c_str(), static_cast<uid_t>(-1), group) != 0) {
    return authcache::shm::system_error("cannot give " + path.string() + " to group " + std::to_string(group),
                                        errno);
  }
  if (::chmod(temporary.c_str(), 0660) != 0)
    return authcache::shm::system_error("cannot chmod " + temporary.string(), errno);
  if (::listen(fd, kBacklog) != 0)
    return authcache::shm::system_error("cannot listen on " + temporary.string(), errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return authcache::shm::system_error("cannot rename to " + path.string(), errno);
  }
  return {};
}

std::optional<Peer> peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  if (credentials.uid == kOverflowUid) return std::nullopt;
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

bool peer_is_in(int fd, const Peer& peer, gid_t group) {
  if (peer.gid == group) return true;
  socklen_t bytes = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) == 0 || errno != ERANGE)
    return false;  // none at all
  std::vector<gid_t> groups(bytes / sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) != 0) return false;
  return std::ranges::find(groups, group) != groups.end();
}

}  // namespace authcached
