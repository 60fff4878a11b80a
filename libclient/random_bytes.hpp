// Random bytes from the kernel. Any thread; a system call. Falls back to nothing weaker.
#pragma once

#include <cstddef>
#include <cstdint>

namespace authcache::client {

// False, with errno, if the kernel gives none.
[[nodiscard]] bool fill_random(void* to, std::size_t bytes) noexcept;

// 64 random bits, never 0: 0 says that there are none, and then there is no request id.
[[nodiscard]] std::uint64_t random_word() noexcept;

}  // namespace authcache::client
