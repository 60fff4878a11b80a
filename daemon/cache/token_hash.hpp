// How rules and records name a token: the first 192 bits of a SHA-256, the rest zero. A record's cold part has room
// for no more, and rules must match records as well as presented tokens.
#pragma once

#include <cstring>
#include <optional>
#include <string_view>

#include "daemon/base/proof.hpp"
#include "daemon/base/sha256.hpp"
#include "shm/slot.hpp"

namespace authcached {

inline Sha256 token_hash(Sha256 full) {
  std::memset(full.data() + sizeof(authcache::shm::Key), 0, full.size() - sizeof(authcache::shm::Key));
  return full;
}

inline authcache::shm::Key token_key(const Sha256& hash) {
  authcache::shm::Key key;
  std::memcpy(key.data(), hash.data(), sizeof key);
  return key;
}

inline Sha256 token_hash(const authcache::shm::Key& key) {
  Sha256 hash{};
  std::memcpy(hash.data(), key.data(), sizeof key);
  return hash;
}

// header.payload of anything shaped like a compact JWS; nothing is concluded from what it says.
inline std::optional<std::string_view> signing_input_of(std::string_view token) {
  const std::size_t last = token.rfind('.');
  if (last == std::string_view::npos || token.substr(0, last).find('.') == std::string_view::npos) return std::nullopt;
  return token.substr(0, last);
}

}  // namespace authcached
