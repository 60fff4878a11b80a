// Where a key may stand: two buckets, by XXH3 keyed with the file's secret, so that nobody without the file can choose
// tokens that crowd one bucket. Inline, because it stands between the hash and the memory access of every hit.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>

#include "shm/layout.hpp"

namespace authcache::shm {

// 128 bits of a SHA-256 tell any two tokens apart well enough to spread them, and XXH3 takes 16 bytes in half the time
// of 24.
inline constexpr std::size_t kBucketKeyBytes = 16;

struct BucketPair {
  std::uint64_t first;
  std::uint64_t second;  // never equal to first
};

[[nodiscard]] inline BucketPair buckets_of(const Key& key, const std::uint64_t* secret, std::uint64_t buckets) {
  const std::uint64_t hash = XXH3_64bits_withSecret(key.data(), kBucketKeyBytes, secret, kSecretWords * sizeof(std::uint64_t));
  // Multiply-shift over each half: no division, any number of buckets.
  const std::uint64_t first = ((hash & 0xffff'ffff) * buckets) >> 32;
  std::uint64_t second = ((hash >> 32) * buckets) >> 32;
  if (second == first) second = first + 1 == buckets ? 0 : first + 1;
  return {first, second};
}

}  // namespace authcache::shm
