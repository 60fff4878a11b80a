// How much of what this process maps from tmpfs the kernel mapped by 2 MiB pages: printed with every result,
// because a mount that asks for huge pages need not get them.
#pragma once

#include <cstdint>

namespace authcache_bench {

[[nodiscard]] std::uint64_t huge_kib_mapped();

}  // namespace authcache_bench
