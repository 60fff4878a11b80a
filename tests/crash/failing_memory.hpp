// Memory that runs out at one exact allocation: the n-th from now, of operator new or of SQLite, fails once.
// For programs of their own, because operator new is replaced in the whole program. One thread arms and
// disarms.
#pragma once

#include <cstdint>

namespace crash {

// Must be called before SQLite is used in this process.
void put_failing_memory_under_sqlite();

// Fails the allocation after `after` more of them, in whichever of the two the number falls.
void fail_allocation(std::uint64_t after);
// True if one was failed since it was armed.
bool disarm_allocations();

// Calls attempt(n) for n = 0, 1, ... with the n-th allocation failing inside `armed`, until one gets through
// whole.
template <class Attempt>
std::uint64_t for_each_failure(Attempt attempt) {
  std::uint64_t n = 0;
  while (attempt(n)) ++n;
  return n;
}

}  // namespace crash
