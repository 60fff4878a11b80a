#include "shm/layout.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace authcache::shm {

BucketPair buckets_of(const Key& key, const std::uint64_t* secret, std::uint64_t buckets) {
  const std::uint64_t hash =
      XXH3_64bits_withSecret(key.data(), sizeof key, secret, kSecretWords * sizeof(std::uint64_t));
  // Multiply-shift over each half: no division, any number of buckets.
  const std::uint64_t first = ((hash & 0xffff'ffff) * buckets) >> 32;
  std::uint64_t second = ((hash >> 32) * buckets) >> 32;
  if (second == first) second = first + 1 == buckets ? 0 : first + 1;
  return {first, second};
}

}  // namespace authcache::shm
