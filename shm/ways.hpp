// Which of its four slots a key stands in: two bits for most keys, in an array small enough to stay in a
// core's cache. A reader goes where they point and so waits for one line of memory instead of for whichever
// of four comes last, and its branches are predicted.
//
// Invariants
// 1. Nothing rests on them. A cell is shared by the keys that hash to it, may be stale, and may hold anything
// at all: a
//    reader that finds another record there, or none, goes through all four slots.
// 2. The writer points a key's cell at its slot after it has published the record there.
//
// All loads and stores are relaxed: there is nothing that they order. Writing: the writer thread only.
#pragma once

#include <cstdint>

#include "shm/buckets.hpp"
#include "shm/table_view.hpp"

namespace authcache::shm {

static_assert(kChoices == 1 << kWayBits);

struct WayCell {
  std::uint64_t word;
  unsigned shift;
};

// By the digest's third word, which has no part in the choice of the buckets.
template <class A>
[[nodiscard, gnu::always_inline]] inline WayCell way_cell(const BasicTableView<A>& view, const Key& key) {
  const std::uint64_t cell = ((key[2] ^ view.secret[2]) >> 32) * view.geometry.way_cells >> 32;
  return {cell / kWayCellsPerWord, static_cast<unsigned>(cell % kWayCellsPerWord) * kWayBits};
}

// One of the pair's four slots, the one in which the key's record stands if it stands anywhere, nine times in
// ten.
template <class A>
[[nodiscard, gnu::always_inline]] inline std::uint64_t likely_slot(const BasicTableView<A>& view,
                                                                   const Key& key, const BucketPair& pair) {
  const WayCell cell = way_cell(view, key);
  return pair.slot(static_cast<unsigned>(A::load_relaxed(view.way_word(cell.word)) >> cell.shift) % kChoices);
}

// The key's record now stands in this slot of one of its buckets.
template <class A>
void store_way(const BasicTableView<A>& view, const Key& key, std::uint64_t slot) {
  const BucketPair pair = buckets_of(key, view.secret.data(), view.geometry.buckets);
  const std::uint64_t way =
      (slot / kSlotsPerBucket == pair.first ? 0 : kSlotsPerBucket) + slot % kSlotsPerBucket;
  const WayCell cell = way_cell(view, key);
  auto& word = view.way_word(cell.word);
  const std::uint64_t others = A::load_relaxed(word) & ~(std::uint64_t{kChoices - 1} << cell.shift);
  A::store_relaxed(word, others | way << cell.shift);
}

}  // namespace authcache::shm
