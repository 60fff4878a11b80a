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

[[nodiscard]] inline Key key_of(const Digest& digest) {
  Key key;
  std::memcpy(key.data(), digest.data(), sizeof key);
  return key;
}

}  // namespace authcache::shm
