#include "bench/tokens.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "bench/die.hpp"

namespace authcache_bench {

Tokens::Tokens(std::size_t count, std::size_t token_bytes, std::uint64_t seed)
    : count_(count), token_bytes_(token_bytes), bytes_(count * token_bytes, 'A') {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  constexpr unsigned kLettersPerDraw = 10;  // of 6 bits each
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < bytes_.size(); i += kLettersPerDraw) {
    std::uint64_t bits = random();
    const std::size_t end = std::min(bytes_.size(), i + kLettersPerDraw);
    for (std::size_t j = i; j < end; ++j, bits >>= 6) bytes_[j] = kAlphabet[bits % 64];
  }
}

void Tokens::replace(std::size_t i, std::string_view token) {
  if (token.size() != token_bytes_) die("a token has another length than its neighbours");
  std::ranges::copy(token, bytes_.begin() + static_cast<std::ptrdiff_t>(i * token_bytes_));
}

std::vector<std::uint32_t> filling_order(std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::shuffle(order, std::mt19937_64(20'240'302));
  return order;
}

}  // namespace authcache_bench
