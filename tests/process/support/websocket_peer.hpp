// The client's end of one WebSocket (RFC 6455), by hand: handshake, short text frames, the code of a close.
// One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shm/unique_fd.hpp"

namespace authcache_test {

class WebSocketPeer {
 public:
  // Connects to 127.0.0.1 and asks for the upgrade with this token; status() is the answer's: 101, 401, ...;
  // 0: none came.
  WebSocketPeer(std::uint16_t port, std::string_view token);

  [[nodiscard]] int status() const { return status_; }
  // Up to 125 bytes.
  void say(std::string_view text) const;
  // The next frame: a text as it is, a close as "close 1008", the end of the connection as "end", silence as
  // "nothing".
  [[nodiscard]] std::string hear();

 private:
  [[nodiscard]] bool fill(std::size_t bytes);

  authcache::shm::UniqueFd fd_;
  std::string input_;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace authcache_test
