#include "libclient/daemon_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace authcache::client {
namespace {

// Names nobody: a user namespace shows it for everybody that it has no number for, this process itself
// included.
constexpr uid_t kOverflowUid = 65534;

constexpr std::size_t kFilesMax = 4;  // a daemon sends one; more are cut off by the kernel or closed here
constexpr std::size_t kErrorTextMax = 200;  // of a daemon's sentence, shown

void collect_files(msghdr& message, std::vector<shm::UniqueFd>& files) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      files.emplace_back(fd);
    }
  }
}

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

ssize_t receive_some(int fd, char* out, std::size_t size, std::vector<shm::UniqueFd>& files) {
  alignas(cmsghdr) char control[CMSG_SPACE(kFilesMax * sizeof(int))];
  iovec range{out, size};
  msghdr message{};
  message.msg_iov = &range;
  message.msg_iovlen = 1;
  files.reserve(files.size() + kFilesMax);  // what throws does so while the bytes are still in the socket
  ssize_t got;
  do {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    got = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got > 0) collect_files(message, files);
  return got;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kErrorTextMax));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

}  // namespace authcache::client
