// The only identity of a token in shared memory: SHA-256(8-byte profile id, little-endian; token bytes).
// Thread-safe, allocates nothing, async-signal-safe.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/slot.hpp"

namespace authcache::shm {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest token_digest(std::uint64_t profile_id, std::string_view token);

[[nodiscard]] Digest plain_digest(std::string_view bytes);  // SHA-256, of no profile

[[nodiscard]] inline Key key_of(const Digest& digest) {
  Key key;
  // Word by word, as they were stored: a wider load would wait until the stores have reached the cache.
  for (std::size_t i = 0; i < key.size(); ++i) std::memcpy(&key[i], digest.data() + 8 * i, sizeof key[i]);
  return key;
}

}  // namespace authcache::shm
