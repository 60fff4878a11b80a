#include "daemon/base/random.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace authcached {
namespace {

// Up to this many bytes one call is neither interrupted nor cut short (getrandom(2)).
constexpr std::size_t kChunkBytes = 256;

}  // namespace

authcache::shm::Result<void> fill_random(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::getrandom(bytes.data(), std::min(bytes.size(), kChunkBytes), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return authcache::shm::system_error("the kernel gives no random bytes (getrandom)", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

}  // namespace authcached
