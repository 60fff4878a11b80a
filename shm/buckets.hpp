// Where a key may stand: two buckets, by a hash keyed with the file's secret, so that nobody without the file
// can choose tokens that crowd one bucket. Inline, because it stands between the hash and the memory access
// of every hit.
#pragma once

#include <cstdint>

#include "shm/layout.hpp"

namespace authcache::shm {

// 128 bits of a SHA-256, each half masked by a secret word, multiplied, and the product's halves folded together. A
// digest is uniform already and needs no mixing; the masks are there so that nobody without them can steer it. XXH3 of
// 16 bytes is this step and then an unkeyed one that costs a hit 4 ns and spreads digests no better.
[[nodiscard]] inline std::uint64_t bucket_hash(const Key& key, const std::uint64_t* secret) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(key[0] ^ secret[0]) * (key[1] ^ secret[1]);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

struct BucketPair {
  std::uint64_t first;
  std::uint64_t second;  // never equal to first
  // The slot of each bucket that is looked at first, by a bit of each half of the hash: with a side of its own, four
  // records in ten stand where their reader looks first; if all preferred the left one, three in ten would.
  std::uint64_t first_slot;
  std::uint64_t second_slot;

  // The slots that the key may stand in, in the order in which reader and writer go through them.
  [[nodiscard]] constexpr std::uint64_t slot(unsigned i) const {
    return (i < kSlotsPerBucket ? first_slot : second_slot) ^ (i & 1);
  }
};
static_assert(kSlotsPerBucket == 2, "a side is one bit");
inline constexpr unsigned kChoices = 2 * kSlotsPerBucket;

[[nodiscard]] inline BucketPair buckets_of(const Key& key, const std::uint64_t* secret,
                                           std::uint64_t buckets) {
  const std::uint64_t hash = bucket_hash(key, secret);
  // Multiply-shift over each half: no division, any number of buckets. It rests on a half's high bits, the
  // side on its lowest.
  const std::uint64_t low = hash & 0xffff'ffff;
  const std::uint64_t high = hash >> 32;
  const std::uint64_t first = (low * buckets) >> 32;
  std::uint64_t second = (high * buckets) >> 32;
  if (second == first) second = first + 1 == buckets ? 0 : first + 1;
  return {first, second, first * kSlotsPerBucket + (low & 1), second * kSlotsPerBucket + (high & 1)};
}

}  // namespace authcache::shm
