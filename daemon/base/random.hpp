// Random bytes for tokens, names and hash seeds, from the kernel's generator. Any thread. Blocks only before
// the generator was seeded, early in the boot.
#pragma once

#include <cstdint>
#include <span>

#include "shm/result.hpp"

namespace authcached {

// Fills all of bytes, or says why not; never a part.
[[nodiscard]] authcache::shm::Result<void> fill_random(std::span<std::uint8_t> bytes);

}  // namespace authcached
