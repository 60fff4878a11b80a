#include "bench/daemon_link.hpp"

#include <sys/socket.h>

#include "bench/die.hpp"
#include "bench/server_process.hpp"

namespace authcache_bench {

namespace wire = authcache::shm::wire;

DaemonLink::DaemonLink(const std::filesystem::path& socket) : fd_(connect_to(socket)) {
  if (!fd_) die("the daemon refused the connection");
}

void DaemonLink::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) die("the daemon closed the connection");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void DaemonLink::read_more() {
  char bytes[64 * 1024];
  const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  if (got <= 0) die("the daemon closed the connection");
  buffer_.append(bytes, static_cast<std::size_t>(got));
}

std::string DaemonLink::control(const std::string& request) {
  std::string frame, reply;
  wire::append_frame(frame, wire::Type::kControl, 1, request);
  send(frame);
  receive([&](const wire::Head&, std::string_view payload) { reply = payload; });
  if (reply.find("\"ok\":true") == std::string::npos)
    die(request.substr(0, 40) + " was answered " + reply.substr(0, 200));
  return reply;
}

}  // namespace authcache_bench
