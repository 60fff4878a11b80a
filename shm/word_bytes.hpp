// Short texts stored in atomic words: only these two functions move bytes in and out.
#pragma once

#include <cstdint>
#include <cstring>
#include <algorithm>
#include <string_view>

#include "shm/atomics.hpp"

namespace authcache::shm {

// Stores text from byte 0 of words, zero-padded to `count` words.
template <class A>
void store_bytes(typename A::Word* words, std::size_t count, std::string_view text) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t value = 0;
    const std::size_t offset = i * 8;
    if (offset < text.size()) std::memcpy(&value, text.data() + offset, std::min<std::size_t>(8, text.size() - offset));
    A::store_release(words[i], value);
  }
}

// Loads the words that hold the first `size` bytes; out has room for whole words.
template <class A>
void load_bytes(const typename A::Word* words, std::size_t size, char* out) {
  for (std::size_t i = 0; i * 8 < size; ++i) {
    const std::uint64_t value = A::load_acquire(words[i]);
    std::memcpy(out + i * 8, &value, 8);
  }
}

}  // namespace authcache::shm
