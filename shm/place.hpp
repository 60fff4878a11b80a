// Where a record stands: the pair {slot, sequence} occurs at most once in a generation, and a generation's number never
// repeats, so a place never comes to mean another record.
#pragma once

#include <cstdint>

namespace authcache::shm {

struct Place {
  std::uint64_t generation = 0;
  std::uint64_t slot = 0;
  std::uint64_t sequence = 0;
  bool operator==(const Place&) const = default;
};

}  // namespace authcache::shm
