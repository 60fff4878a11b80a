#include "libclient/watch_stream.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "libclient/daemon_socket.hpp"

namespace authcache::client {
namespace {

// In one call: some thousand events. What is left keeps the descriptor readable.
constexpr std::size_t kReceiveBytes = 64 * 1024;

}  // namespace

shm::Result<WatchStream> WatchStream::connect(const std::filesystem::path& dir, uid_t daemon_uid) {
  const std::filesystem::path path = dir / shm::wire::kMissSocket;
  sockaddr_un address;
  if (!fill_address(path, address))
    return shm::fail(shm::ErrorCode::kUsage, path.string() + " is too long a path for a socket");
  OwnSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return shm::system_error("cannot make a socket", errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    return shm::fail(error == EAGAIN ? shm::ErrorCode::kSystem : shm::ErrorCode::kUnavailable,
                     "cannot connect to " + path.string() + ": " + std::generic_category().message(error) +
                         "; see whether authcached is running");
  }
  uid_t peer = 0;
  if (!trusted_peer(socket.get(), daemon_uid, peer)) {
    return shm::fail(shm::ErrorCode::kRefused,
                     path.string() + " is served by uid " + std::to_string(peer) +
                         ", which is neither root, this process nor the configured daemon uid");
  }
  return WatchStream(std::move(socket));
}

bool WatchStream::send_queued() {
  std::size_t done = 0;
  bool open = true;
  while (done < output_.size()) {
    const ssize_t sent =
        ::send(socket_.get(), output_.data() + done, output_.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    open = sent < 0 && errno == EAGAIN;
    break;
  }
  output_.erase(0, done);
  return open;
}

// The descriptor that comes with a hello is not wanted here, and closes with the vector.
bool WatchStream::receive() {
  std::vector<shm::UniqueFd> unwanted;
  return receive(unwanted);
}

bool WatchStream::receive(std::vector<shm::UniqueFd>& files) {
  input_.erase(0, std::exchange(taken_, 0));
  const std::size_t before = input_.size();
  input_.resize(before + kReceiveBytes);
  ssize_t got = 0;
  try {
    got = receive_some(socket_.get(), input_.data() + before, kReceiveBytes, files);
  } catch (...) {
    input_.resize(before);
    throw;
  }
  const bool open = got > 0 || (got < 0 && errno == EAGAIN);
  input_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  stopped_at_bound_ = got == static_cast<ssize_t>(kReceiveBytes);
  return open;
}

WatchStream::Next WatchStream::next_frame(shm::wire::Head& head, std::string_view& payload) {
  const std::string_view rest = std::string_view(input_).substr(taken_);
  char bytes[shm::wire::kHeadBytes];
  if (rest.size() < sizeof bytes) return Next::kNone;
  std::memcpy(bytes, rest.data(), sizeof bytes);
  head = shm::wire::decode_head(bytes);
  if (head.version != shm::wire::kVersion || head.size > shm::wire::kMissPayloadMax) return Next::kNotOurs;
  if (rest.size() - sizeof bytes < head.size) return Next::kNone;
  payload = rest.substr(sizeof bytes, head.size);
  taken_ += sizeof bytes + head.size;
  return Next::kFrame;
}

void WatchStream::shut_down() const {
  if (socket_.is_ours()) ::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace authcache::client
