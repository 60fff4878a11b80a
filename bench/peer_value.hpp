// What every store is asked to hand back for a key: the bytes that authcache_lookup hands back, so that
// nobody copies more than another. A second set adds 128 bytes of text, which ours fetches by
// authcache_identity_text.
#pragma once

#include <authcache/authcache.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "shm/slot.hpp"

namespace authcache_bench {

// authcache_identity without its reserved words. The deadline is checked after each lookup in each store: a
// cached yes whose time is over is no yes.
struct HitValue {
  std::uint64_t head[2];
  std::uint64_t deadline_ns;
  std::uint64_t place[6];
};
static_assert(sizeof(HitValue) == offsetof(authcache_identity, reserved));
static_assert(offsetof(HitValue, deadline_ns) == offsetof(authcache_identity, deadline_ns));

struct TextValue {
  HitValue hit;
  char text[128];
};

inline std::uint64_t deadline_of(const HitValue& value) { return value.deadline_ns; }
inline std::uint64_t deadline_of(const TextValue& value) { return value.hit.deadline_ns; }
inline std::uint64_t last_of(const HitValue& value) { return value.place[5]; }
inline std::uint64_t last_of(const TextValue& value) { return static_cast<unsigned char>(value.text[127]); }

template <class Value>
Value make_value(std::uint64_t deadline_ns) {
  Value value;
  std::memset(&value, 'v', sizeof value);
  HitValue hit;
  std::memset(&hit, 'v', sizeof hit);
  hit.deadline_ns = deadline_ns;
  std::memcpy(&value, &hit, sizeof hit);
  return value;
}

// The first word of a SHA-256 is as good a hash as there is, and costs nothing.
struct KeyHash {
  using is_avalanching = void;  // Boost.Unordered: no second mixing
  std::size_t operator()(const authcache::shm::Key& key) const noexcept { return key[0]; }
};

}  // namespace authcache_bench
