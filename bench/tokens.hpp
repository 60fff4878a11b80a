// Tokens of one length, made from a seed and kept side by side, so that reading them in order costs every
// loop the same little. Making each on the spot instead would add the same time to a hit and to its floor,
// and so draw their ratio towards 1. Immutable but for replace(); any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace authcache_bench {

inline constexpr std::size_t kOpaqueTokenBytes = 43;  // 256 bits in base64url: an opaque session token
inline constexpr std::size_t kJwtBytes = 800;         // an access token with a dozen claims
inline constexpr std::uint64_t kPresentSeed = 20'240'229;
inline constexpr std::uint64_t kAbsentSeed = 20'240'301;

class Tokens {
 public:
  Tokens(std::size_t count, std::size_t token_bytes, std::uint64_t seed);

  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    return {bytes_.data() + i * token_bytes_, token_bytes_};
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  void replace(std::size_t i, std::string_view token);  // of the same length

 private:
  std::size_t count_, token_bytes_;
  std::string bytes_;
};

// 0 to count - 1 in random order. Records are put into every store in this order and looked up in the order
// of their tokens: in the order in which it was filled, a store whose allocations follow each other would be
// read like a tape.
[[nodiscard]] std::vector<std::uint32_t> filling_order(std::size_t count);

}  // namespace authcache_bench
