// Where a key may stand: two buckets, by a hash keyed with the file's secret, so that nobody without the file
// can choose tokens that crowd one bucket. Inline, because it stands between the hash and the memory access
// of every hit.
#pragma once

#include <cstdint>

#include "shm/layout.hpp"

namespace authcache::shm {

// 128 bits of a SHA-256, each half masked by a secret word, multiplied, and the product's halves folded
// together. A digest is uniform already and needs no mixing; the masks are there so that nobody without them
// can steer it. XXH3 of 16 bytes is this step and then an unkeyed one that costs a hit 4 ns and spreads
// digests no better.
[[nodiscard]] inline std::uint64_t bucket_hash(const Key& key, const std::uint64_t* secret) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(key[0] ^ secret[0]) * (key[1] ^ secret[1]);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

struct BucketPair {
  std::uint64_t first;
  std::uint64_t second;  // never equal to first

  // The slots that the key may stand in, in the order in which reader and writer go through them. i is below
  // kChoices.
  [[nodiscard]] constexpr std::uint64_t slot(unsigned i) const {
    return (i < kSlotsPerBucket ? first : second) * kSlotsPerBucket + i % kSlotsPerBucket;
  }
};
inline constexpr unsigned kChoices = 2 * kSlotsPerBucket;

[[nodiscard]] inline BucketPair buckets_of(const Key& key, const std::uint64_t* secret,
                                           std::uint64_t buckets) {
  const std::uint64_t hash = bucket_hash(key, secret);
  // Multiply-shift over each half: no division, any number of buckets.
  const std::uint64_t first = ((hash & 0xffff'ffff) * buckets) >> 32;
  std::uint64_t second = ((hash >> 32) * buckets) >> 32;
  if (second == first) second = first + 1 == buckets ? 0 : first + 1;
  return {first, second};
}

}  // namespace authcache::shm
