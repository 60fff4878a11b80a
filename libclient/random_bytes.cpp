#include "libclient/random_bytes.hpp"

#include <sys/random.h>

#include <cerrno>

namespace authcache::client {

bool fill_random(void* to, std::size_t bytes) noexcept {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::getrandom(at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

std::uint64_t random_word() noexcept {
  std::uint64_t word = 0;
  while (word == 0) {
    if (!fill_random(&word, sizeof word)) return 0;
  }
  return word;
}

}  // namespace authcache::client
