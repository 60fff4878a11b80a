// A keyed hash of long tokens for comparing them within one process: NH, twice over one key (the Toeplitz
// construction of UMAC: Black, Halevi, Krawczyk, Krovetz, Rogaway, 1999). Whoever does not know the key finds
// two inputs with one tag with a probability of at most 2^-126, whatever the inputs; docs/token-memo.md has
// the argument. Pure, any thread.
//
// It tells nothing about a token that somebody chose who knows the key, so tags never leave the process.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace authcache::client {

using Tag = std::array<std::uint64_t, 4>;

inline constexpr std::size_t kHashBlockBytes = 16;

// Words of key for inputs of up to `bytes`: the second pass reads one block further than the first.
constexpr std::size_t hash_key_words(std::size_t bytes) {
  return 2 * ((bytes + kHashBlockBytes - 1) / kHashBlockBytes + 1);
}

[[nodiscard]] inline Tag universal_hash(const std::uint64_t* key, std::uint64_t profile_id,
                                        std::string_view token) {
  __extension__ using Wide = unsigned __int128;
  // Profile and length are added, so that they count even where a padded input is another's bytes.
  const Wide start = static_cast<Wide>(token.size()) << 64 | profile_id;
  Wide first = start;
  Wide second = start;
  const auto block = [&](const char* bytes, std::size_t i) {
    std::uint64_t word[2];
    std::memcpy(word, bytes, sizeof word);
    const std::uint64_t* const k = key + 2 * i;
    first += static_cast<Wide>(word[0] + k[0]) * (word[1] + k[1]);
    second += static_cast<Wide>(word[0] + k[2]) * (word[1] + k[3]);
  };
  const std::size_t whole = token.size() / kHashBlockBytes;
  for (std::size_t i = 0; i < whole; ++i) block(token.data() + i * kHashBlockBytes, i);
  if (const std::size_t rest = token.size() % kHashBlockBytes; rest != 0) {
    char padded[kHashBlockBytes] = {};
    std::memcpy(padded, token.data() + whole * kHashBlockBytes, rest);
    block(padded, whole);
  }
  return {static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(first >> 64),
          static_cast<std::uint64_t>(second), static_cast<std::uint64_t>(second >> 64)};
}

}  // namespace authcache::client
