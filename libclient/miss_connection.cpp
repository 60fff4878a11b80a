#include "libclient/miss_connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "libclient/daemon_socket.hpp"
#include "libclient/random_bytes.hpp"

namespace authcache::client {
namespace {

using shm::wire::Head;
using shm::wire::Type;

std::string words_for(int error) { return std::generic_category().message(error); }

bool set_connect_timeout(int fd, int timeout_ms) {
  const timeval timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  return ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0;
}

}  // namespace

MissConnection::Opened MissConnection::open(Attacher& attacher, std::uint64_t owner,
                                            const Deadline& deadline) {
  const std::string path = (attacher.dir() / shm::wire::kMissSocket).string();
  sockaddr_un address;
  if (!fill_address(path, address)) {
    return {nullptr, Exchanged::kUnreachable, path + " is too long a path for a socket"};
  }
  OwnSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0)
    return {nullptr, Exchanged::kUnreachable, "cannot make a socket: " + words_for(errno)};
  const int remaining_ms = deadline.remaining_ms();
  if (remaining_ms == 0) return {nullptr, Exchanged::kTimeout, "no time left to connect to " + path};
  // A full backlog makes connect wait, and only this timeout ends that.
  if (!set_connect_timeout(socket.get(), remaining_ms)) {
    return {nullptr, Exchanged::kUnreachable, "cannot set a connect timeout: " + words_for(errno)};
  }
  int result;
  do {
    result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR && !deadline.past());
  if (result != 0) {
    const int error = errno;
    const bool timed_out = error == EAGAIN || error == EINTR;
    return {nullptr, timed_out ? Exchanged::kTimeout : Exchanged::kUnreachable,
            "cannot connect to " + path + ": " + words_for(error) + "; see whether authcached is running"};
  }
  uid_t peer = 0;
  if (!trusted_peer(socket.get(), attacher.daemon_uid(), peer)) {
    return {nullptr, Exchanged::kUnreachable,
            path + " is served by uid " + std::to_string(peer) +
                ", which is neither root, this process nor the configured daemon uid"};
  }
  return {std::unique_ptr<MissConnection>(new MissConnection(std::move(socket), owner, attacher)),
          Exchanged::kReplied,
          {}};
}

Exchanged MissConnection::fail(Exchanged how, std::string sentence) {
  sentence_ = std::move(sentence);
  return how;
}

Exchanged MissConnection::wait(short events, const Deadline& deadline) {
  for (;;) {
    const int remaining_ms = deadline.remaining_ms();
    if (remaining_ms == 0) return fail(Exchanged::kTimeout, "authcached did not answer in time");
    pollfd entry{socket_.get(), events, 0};
    const int ready = ::poll(&entry, 1, remaining_ms);
    if (ready > 0) return Exchanged::kReplied;
    if (ready < 0 && errno != EINTR) return fail(Exchanged::kUnreachable, "poll: " + words_for(errno));
  }
}

Exchanged MissConnection::send_all(std::string_view bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return fail(Exchanged::kClosed, "authcached closed the connection");
    if (const Exchanged waited = wait(POLLOUT, deadline); waited != Exchanged::kReplied) return waited;
  }
  return Exchanged::kReplied;
}

Exchanged MissConnection::receive(char* out, std::size_t size, const Deadline& deadline,
                                  std::vector<shm::UniqueFd>& files) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = receive_some(socket_.get(), out + done, size - done, files);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
      continue;
    }
    if (got == 0 || errno != EAGAIN) {
      if (done > 0)
        return fail(Exchanged::kProtocol, "authcached closed the connection in the middle of a frame");
      return fail(Exchanged::kClosed, "authcached closed the connection");
    }
    if (const Exchanged waited = wait(POLLIN, deadline); waited != Exchanged::kReplied) return waited;
  }
  return Exchanged::kReplied;
}

Exchanged MissConnection::receive_frame(Head& head, std::string& payload, const Deadline& deadline,
                                        std::vector<shm::UniqueFd>& files) {
  char bytes[shm::wire::kHeadBytes];
  if (const Exchanged got = receive(bytes, sizeof bytes, deadline, files); got != Exchanged::kReplied)
    return got;
  head = shm::wire::decode_head(bytes);
  if (head.version != shm::wire::kVersion || head.size > shm::wire::kMissPayloadMax) {
    return fail(Exchanged::kProtocol, "authcached sent a frame of another version or over the size limit");
  }
  payload.resize(head.size);
  const Exchanged got = receive(payload.data(), payload.size(), deadline, files);
  if (got == Exchanged::kClosed) {
    return fail(Exchanged::kProtocol, "authcached closed the connection in the middle of a frame");
  }
  return got;
}

void MissConnection::take_hello(std::string_view payload, const std::vector<shm::UniqueFd>& files) {
  hello_id_ = 0;
  const auto hello = shm::wire::decode_hello_reply(payload);
  if (hello && hello->recency_bytes > 0 && files.size() == 1) attacher_.adopt_recency(files.front(), *hello);
}

Exchanged MissConnection::exchange(std::string_view frame, std::uint64_t request_id, Type reply,
                                   const Deadline& deadline, std::string& payload) {
  std::string bytes;
  if (!said_hello_) {
    hello_id_ = random_word();
    said_hello_ = true;
    shm::wire::append_hello(bytes, hello_id_);
  }
  bytes.append(frame);
  // A daemon that closed may have said why: what it sent before is still to be read.
  const Exchanged sent = send_all(bytes, deadline);
  if (sent != Exchanged::kReplied && sent != Exchanged::kClosed) return sent;
  for (;;) {
    Head head;
    std::vector<shm::UniqueFd> files;
    if (const Exchanged got = receive_frame(head, payload, deadline, files); got != Exchanged::kReplied)
      return got;
    if (head.type == Type::kError) {
      // To this question, or to the connection as such (its daemon stops, or has too many).
      return fail(head.request_id == request_id ? Exchanged::kProtocol : Exchanged::kClosed,
                  "authcached ended the connection: " + printable(payload));
    }
    if (head.type == Type::kHelloReply && hello_id_ != 0 && head.request_id == hello_id_) {
      take_hello(payload, files);
      continue;
    }
    if (head.type != reply || head.request_id != request_id) {
      return fail(Exchanged::kProtocol, "authcached answered a question that was not asked");
    }
    return Exchanged::kReplied;
  }
}

}  // namespace authcache::client
