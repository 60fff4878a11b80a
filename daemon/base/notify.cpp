#include "daemon/base/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "shm/unique_fd.hpp"

namespace authcached {
namespace {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;
using authcache::shm::system_error;

constexpr std::size_t kStatusBytesMax = 512;  // systemctl shows one line

// systemd compares this with the moment it asked for the reload: the exact clock, not the coarse one.
long long monotonic_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

}  // namespace

ServiceNotifier ServiceNotifier::from_environment() {
  const char* const address = ::secure_getenv("NOTIFY_SOCKET");
  return ServiceNotifier(address == nullptr ? "" : address);
}

Result<void> ServiceNotifier::ready() const { return send("READY=1"); }

Result<void> ServiceNotifier::reloading() const {
  return send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()));
}

Result<void> ServiceNotifier::stopping() const { return send("STOPPING=1"); }

Result<void> ServiceNotifier::status(std::string_view text) const {
  std::string line(text.substr(0, kStatusBytesMax));
  std::ranges::replace_if(
      line, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }, ' ');
  return send("STATUS=" + line);
}

Result<void> ServiceNotifier::send(std::string_view message) const {
  if (address_.empty()) return {};
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  if ((address_.front() != '/' && address_.front() != '@') || address_.size() >= sizeof target.sun_path) {
    return fail(ErrorCode::kUsage,
                "NOTIFY_SOCKET is neither an absolute path nor @name of at most 107 bytes; unset it");
  }
  std::memcpy(target.sun_path, address_.data(), address_.size());
  if (address_.front() == '@') target.sun_path[0] = '\0';
  const authcache::shm::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return system_error("cannot make a socket to tell the service manager", errno);
  // An abstract name is exactly its bytes: a longer address length would name another socket.
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const ssize_t sent = ::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&target), length);
  if (sent < 0) return system_error("cannot tell the service manager at NOTIFY_SOCKET", errno);
  return {};
}

}  // namespace authcached
