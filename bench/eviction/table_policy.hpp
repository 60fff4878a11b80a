// The cache under test: the writer and the table file that authcached has, on a tmpfs, with the hints that
// its clients set. A request finds its record as a reader does and sets the hint; a miss is an admission with
// a deadline far off.
#pragma once

#include <filesystem>
#include <memory>

#include "bench/eviction/policy.hpp"

namespace authcache_eviction {

// The file has no name: it goes with the object. Throws std::runtime_error where none can be made.
[[nodiscard]] std::unique_ptr<Policy> make_table(const Size& size,
                                                 const std::filesystem::path& tmpfs_directory);

}  // namespace authcache_eviction
