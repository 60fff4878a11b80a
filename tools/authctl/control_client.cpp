#include "tools/authctl/control_client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>

#include "shm/wire.hpp"
#include "tools/authctl/printable.hpp"
#include "tools/authctl/units.hpp"

namespace authctl {
namespace {

namespace wire = authcache::shm::wire;
using authcache::shm::UniqueFd;
using Clock = std::chrono::steady_clock;

constexpr uid_t kOverflowUid = 65534;
// A full accept queue refuses at once instead of waiting: asked again this often until the deadline.
constexpr auto kConnectPause = std::chrono::milliseconds(10);

// Under a time limit without end (a year of --timeout) the sum must not wrap.
Clock::time_point deadline_after(std::chrono::nanoseconds timeout) {
  return Clock::now() + std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24 * 365));
}

// True once the socket is ready; false when the deadline has passed.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, INT_MAX)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the read or write that follows tells what is wrong
  }
}

std::string lost(const std::string& how) {
  return "the daemon " + how + "; whether it acted on the request is not known";
}

std::string silence(std::chrono::nanoseconds timeout) {
  return lost("did not answer within " + duration_text(timeout.count()) + " (--timeout)");
}

struct Directory {
  UniqueFd fd;
  uid_t owner;
};

Outcome<Directory> open_directory(const std::filesystem::path& path) {
  Directory directory{UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), 0};
  if (!directory.fd) {
    const int error = errno;
    if (error == ENOENT) {
      return failure(Exit::kUnreachable, "there is no runtime directory " + path.string() +
                                             "; start authcached, or name its directory with --runtime-dir");
    }
    return std::unexpected(connect_failure(path, error));
  }
  struct stat inode {};
  if (::fstat(directory.fd.get(), &inode) != 0) return std::unexpected(connect_failure(path, errno));
  if ((inode.st_mode & 0022) != 0) {
    return failure(Exit::kFailed, path.string() +
                                      " is writable by others than its owner, who could have put any "
                                      "socket there; chmod it to 0750");
  }
  directory.owner = inode.st_uid;
  return directory;
}

Outcome<void> check_peer(int fd, const std::filesystem::path& socket, uid_t directory_owner) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return failure(Exit::kUnreachable,
                   "cannot tell who serves " + socket.string() + ": " + std::strerror(errno));
  }
  if (!trusted_peer(peer.uid, ::geteuid(), directory_owner)) {
    return failure(Exit::kFailed,
                   socket.string() + " is served by uid " + std::to_string(peer.uid) +
                       ", which is neither root, this user nor the owner of the directory; nothing "
                       "was sent to it");
  }
  return {};
}

// Reads exactly size bytes.
Outcome<void> receive(int fd, char* into, std::size_t size, Clock::time_point deadline,
                      std::chrono::nanoseconds timeout) {
  while (size > 0) {
    const ssize_t got = ::recv(fd, into, size, MSG_DONTWAIT);
    if (got > 0) {
      into += got;
      size -= static_cast<std::size_t>(got);
    } else if (got == 0) {
      return failure(Exit::kCannotTell, lost("closed the connection before its answer was whole"));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) return failure(Exit::kCannotTell, silence(timeout));
    } else if (errno != EINTR) {
      return failure(Exit::kCannotTell, lost(std::string("could not be heard: ") + std::strerror(errno)));
    }
  }
  return {};
}

Outcome<void> send_all(int fd, std::string_view bytes, Clock::time_point deadline,
                       std::chrono::nanoseconds timeout) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) return failure(Exit::kCannotTell, silence(timeout));
    } else if (errno != EINTR) {
      return failure(Exit::kCannotTell, lost(std::string("stopped listening: ") + std::strerror(errno)));
    }
  }
  return {};
}

Outcome<std::string> receive_reply(int fd, std::uint64_t id, Clock::time_point deadline,
                                   std::chrono::nanoseconds timeout) {
  char bytes[wire::kHeadBytes];
  if (auto got = receive(fd, bytes, sizeof bytes, deadline, timeout); !got)
    return std::unexpected(got.error());
  const wire::Head head = wire::decode_head(bytes);
  if (head.version != wire::kVersion) {
    return failure(Exit::kCannotTell,
                   lost("speaks version " + std::to_string(head.version) + " of the protocol, this authctl " +
                        std::to_string(wire::kVersion) + " (install matching ones)"));
  }
  if (head.size > wire::kControlReplyMax) {
    return failure(Exit::kCannotTell,
                   lost("announced an answer of " + std::to_string(head.size) + " bytes, over the limit of " +
                        std::to_string(wire::kControlReplyMax)));
  }
  std::string payload(head.size, '\0');
  if (auto got = receive(fd, payload.data(), payload.size(), deadline, timeout); !got)
    return std::unexpected(got.error());
  // Not the echoed id: a daemon that could not read the frame's head has none to echo.
  if (head.type == wire::Type::kError)
    return failure(Exit::kFailed, "the daemon refused: " + printable(payload));
  if (head.type != wire::Type::kControlReply || head.request_id != id) {
    return failure(Exit::kCannotTell,
                   lost("answered with a frame that belongs to no request of this connection"));
  }
  return payload;
}

}  // namespace

bool trusted_peer(uid_t peer, uid_t self, uid_t directory_owner) {
  if (peer == kOverflowUid) return false;
  return peer == 0 || peer == self || peer == directory_owner;
}

Failure connect_failure(const std::filesystem::path& socket, int error_number) {
  switch (error_number) {
    case ENOENT:
      return {Exit::kUnreachable, "there is no " + socket.string() +
                                      "; start authcached, or name its directory with --runtime-dir"};
    case ECONNREFUSED:
      return {Exit::kUnreachable,
              "nobody listens on " + socket.string() + "; authcached has stopped, start it again"};
    case EACCES:
      return {Exit::kUnreachable,
              "no permission to use " + socket.string() +
                  "; is this user in the admin group (authcache-admin, unless admin_group says otherwise)?"};
    default: break;
  }
  return {Exit::kUnreachable, "cannot reach " + socket.string() + ": " + std::strerror(error_number)};
}

Outcome<ControlClient> ControlClient::connect(const std::filesystem::path& runtime_dir,
                                              std::chrono::nanoseconds timeout) {
  auto directory = open_directory(runtime_dir);
  if (!directory) return std::unexpected(directory.error());
  const std::filesystem::path named = runtime_dir / wire::kControlSocket;
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return std::unexpected(connect_failure(named, errno));
  // Through the descriptor: this is the directory that was judged, and no path is too long for sun_path.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory->fd.get(),
                wire::kControlSocket);
  const auto deadline = deadline_after(timeout);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR) return std::unexpected(connect_failure(named, errno));
    if (Clock::now() >= deadline) {
      return failure(Exit::kUnreachable, "authcached did not take a connection within " +
                                             duration_text(timeout.count()) +
                                             " (--timeout); it is stuck or overloaded");
    }
    const timespec pause{0, std::chrono::nanoseconds(kConnectPause).count()};
    ::nanosleep(&pause, nullptr);
  }
  if (auto checked = check_peer(socket.get(), named, directory->owner); !checked)
    return std::unexpected(checked.error());
  return ControlClient(std::move(socket), timeout);
}

Outcome<std::string> ControlClient::exchange(std::string_view request) {
  if (!socket_) return failure(Exit::kUnreachable, "the connection to the daemon has ended");
  if (request.size() > wire::kControlRequestMax) {
    return failure(Exit::kUsage, "the request has " + std::to_string(request.size()) +
                                     " bytes, over the limit of " + std::to_string(wire::kControlRequestMax));
  }
  std::uint64_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) {
    return failure(Exit::kFailed, std::string("the kernel gave no random bytes: ") + std::strerror(errno));
  }
  std::string frame;
  frame.reserve(wire::kHeadBytes + request.size());
  wire::append_frame(frame, wire::Type::kControl, id, request);
  const auto deadline = deadline_after(timeout_);
  const auto sent = send_all(socket_.get(), frame, deadline, timeout_);
  ::explicit_bzero(frame.data(), frame.size());  // it may hold a token
  auto reply = sent ? receive_reply(socket_.get(), id, deadline, timeout_) : std::unexpected(sent.error());
  if (!reply) socket_.reset();  // what else comes on it can no longer be paired
  return reply;
}

}  // namespace authctl
