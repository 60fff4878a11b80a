// The only place that names memory orders for words in shared memory. Everything above takes a policy, so that the
// same reader and writer code runs over real atomics in production and over a checking model in the proofs.
//
// A policy has a type Word (8 bytes, address-free) and the four operations below. There are no read-modify-write
// operations and no fences: a reader maps the file read-only, where even a failing compare-and-swap faults, and
// ThreadSanitizer sees acquire and release operations but not fences.
#pragma once

#include <atomic>
#include <cstdint>

namespace authcache::shm {

struct StdAtomics {
  using Word = std::atomic<std::uint64_t>;

  static std::uint64_t load_acquire(const Word& word) { return word.load(std::memory_order_acquire); }
  static std::uint64_t load_relaxed(const Word& word) { return word.load(std::memory_order_relaxed); }
  static void store_release(Word& word, std::uint64_t value) { word.store(value, std::memory_order_release); }
  static void store_relaxed(Word& word, std::uint64_t value) { word.store(value, std::memory_order_relaxed); }
};

static_assert(sizeof(StdAtomics::Word) == 8 && alignof(StdAtomics::Word) == 8);
static_assert(StdAtomics::Word::is_always_lock_free, "a word of the table must be usable from two processes");

}  // namespace authcache::shm
