#include "tests/process/support/raw_connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace authcache_test {

namespace wire = authcache::shm::wire;
using std::chrono::steady_clock;

RawConnection::RawConnection(const std::filesystem::path& socket)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

bool RawConnection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    pollfd ready{fd_.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 5'000) != 1) return false;
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawConnection::fill(std::chrono::milliseconds within) {
  pollfd ready{fd_.get(), POLLIN, 0};
  if (ended_ || ::poll(&ready, 1, static_cast<int>(within.count())) != 1) return false;
  char bytes[64 * 1024];
  const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  ended_ = got <= 0;
  if (got > 0) input_.append(bytes, static_cast<std::size_t>(got));
  return got > 0;
}

std::optional<Frame> RawConnection::receive(std::chrono::milliseconds within) {
  const auto end = steady_clock::now() + within;
  for (;;) {
    if (input_.size() >= wire::kHeadBytes) {
      char bytes[wire::kHeadBytes];
      std::memcpy(bytes, input_.data(), sizeof bytes);
      const wire::Head head = wire::decode_head(bytes);
      if (input_.size() >= sizeof bytes + head.size) {
        Frame frame{head, input_.substr(sizeof bytes, head.size)};
        input_.erase(0, sizeof bytes + head.size);
        return frame;
      }
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    if (left.count() <= 0 || !fill(left)) return std::nullopt;
  }
}

bool RawConnection::is_closed(std::chrono::milliseconds within) {
  const auto end = steady_clock::now() + within;
  while (!ended_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    if (left.count() <= 0) return false;
    (void)fill(left);
  }
  return true;
}

std::string raw_frame(std::uint32_t size, std::uint16_t version, std::uint16_t type, std::uint64_t id,
                      std::string_view payload) {
  std::string frame(wire::kHeadBytes, '\0');
  std::memcpy(frame.data(), &size, 4);
  std::memcpy(frame.data() + 4, &version, 2);
  std::memcpy(frame.data() + 6, &type, 2);
  std::memcpy(frame.data() + 8, &id, 8);
  return frame.append(payload);
}

std::string validate_frame(std::uint64_t id, std::string_view profile, std::string_view token) {
  std::string frame;
  wire::append_validate(frame, id, {5'000, profile, token});
  return frame;
}

}  // namespace authcache_test
