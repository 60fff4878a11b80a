// The floor of a hit: what no table can avoid. The same hash call on the same token, one coarse clock read,
// and one cache line at a place that only the digest tells, in a region of the size and pages of the hot
// records.
//
// The region is a file without a name in the table's directory, so it gets pages as the table does. Any
// thread, and any process that forked from the one that made it.
#pragma once

#include <filesystem>

#include "bench/table_fixture.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/table_file.hpp"

namespace authcache_bench {

class FloorRegion {
 public:
  FloorRegion(const std::filesystem::path& directory, std::uint64_t lines);

  // A word of the line that this token's digest picks.
  [[gnu::always_inline]] std::uint64_t load(std::string_view token) const {
    const authcache::shm::Key key = key_for(token);
    const std::uint64_t line = ((key[0] & 0xffff'ffff) * lines_) >> 32;
    return words_[line * 8].load(std::memory_order_acquire);
  }

 private:
  authcache::shm::Mapping mapping_;
  const authcache::shm::StdAtomics::Word* words_ = nullptr;
  std::uint64_t lines_;
};

}  // namespace authcache_bench
