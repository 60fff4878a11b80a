// Counts every allocation of this program, the library's included: the program's malloc is ours and hands on
// to glibc's. Any thread.
#pragma once

#include <cstdint>

namespace authcache_bench {

[[nodiscard]] std::uint64_t allocations();

}  // namespace authcache_bench
