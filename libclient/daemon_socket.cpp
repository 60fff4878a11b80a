#include "libclient/daemon_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace authcache::client {
namespace {

// Names nobody: a user namespace shows it for everybody that it has no number for, this process itself
// included.
constexpr uid_t kOverflowUid = 65534;

}  // namespace

bool fill_address(const std::filesystem::path& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  const std::string& name = path.native();
  if (name.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  return true;
}

bool trusted_peer(int fd, uid_t daemon_uid, uid_t& peer) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
  peer = credentials.uid;
  return peer == 0 || peer == daemon_uid || (peer == ::geteuid() && peer != kOverflowUid);
}

}  // namespace authcache::client
