// What the error replies of a Redis server mean to this daemon, by their code: the first word. Nothing else
// of them is repeated, as it may quote a key, and a key may hold a token. Pure.
#pragma once

#include <string>
#include <string_view>

namespace authcached {

struct RedisFault {
  std::string sentence;    // half of one, without the server's name: "it wants a password (NOAUTH); ..."
  bool reconnect = false;  // this connection serves nobody any more; a new one may
};

[[nodiscard]] RedisFault redis_fault_of(std::string_view error);

}  // namespace authcached
