#include "tests/process/support/websocket_peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "tests/process/support/programs.hpp"

namespace authcache_test {

namespace {

constexpr unsigned kText = 1, kClose = 8;

}  // namespace

WebSocketPeer::WebSocketPeer(std::uint16_t port, std::string_view token)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to the example");
  const std::string request =
      "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer " +
      std::string(token) + "\r\n\r\n";
  (void)!::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos && fill(input_.size() + 1)) {
  }
  if (end == std::string::npos || !input_.starts_with("HTTP/1.1 ")) return;
  status_ = std::stoi(input_.substr(9, 3));
  input_.erase(0, end + 4);
}

bool WebSocketPeer::fill(std::size_t bytes) {
  while (input_.size() < bytes && !ended_) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1) return false;
    char buffer[4096];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    ended_ = got <= 0;
    if (!ended_) input_.append(buffer, static_cast<std::size_t>(got));
  }
  return input_.size() >= bytes;
}

// A client masks what it sends; with zeros it stays as it is.
void WebSocketPeer::say(std::string_view text) const {
  std::string frame{static_cast<char>(0x80 | kText), static_cast<char>(0x80 | text.size())};
  frame.append(4, '\0').append(text);
  (void)!::send(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
}

std::string WebSocketPeer::hear() {
  if (!fill(2)) return ended_ ? "end" : "nothing";
  const auto kind = static_cast<unsigned char>(input_[0]) & 0xfu;
  const std::size_t size = static_cast<unsigned char>(input_[1]);
  if (size > 125 || !fill(2 + size)) return "a frame that is none";
  const std::string payload = input_.substr(2, size);
  input_.erase(0, 2 + size);
  if (kind == kText) return payload;
  if (kind != kClose || size < 2) return "a frame of kind " + std::to_string(kind);
  return "close " + std::to_string(static_cast<unsigned char>(payload[0]) * 256 +
                                   static_cast<unsigned char>(payload[1]));
}

}  // namespace authcache_test
