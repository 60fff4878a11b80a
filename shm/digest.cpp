// OpenSSL's one-shot and EVP interfaces fetch an algorithm and allocate; on a hit that costs more than the
// hash. The block interface does neither, and is what OpenSSL 3 calls deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "shm/digest.hpp"

#include <openssl/sha.h>

#include <bit>

namespace authcache::shm {
namespace {

static_assert(std::endian::native == std::endian::little, "profile ids are hashed as they lie in memory");

// Tokens of 256 random bits have 43 bytes in base64url. With the profile id before them and the padding of
// FIPS 180-4 (section 5.1.1) behind, they are exactly one block.
constexpr std::size_t kOneBlockMin = 40;
constexpr std::size_t kOneBlockMax = 47;
constexpr std::uint64_t kPaddingBit = 0x80;

std::uint64_t load_word(const char* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Two of the eight words of the state, as the digest's bytes have them.
std::uint64_t state_words(const SHA256_CTX& context, std::size_t i) {
  std::uint64_t two;
  std::memcpy(&two, &context.h[2 * i], sizeof two);
  return std::rotl(__builtin_bswap64(two), 32);
}

// The block is made in registers: laid out piece by piece, as SHA256_Update must, its first rounds wait for
// stores that cannot be forwarded to wider loads. That and the calls saved are a fifth of the hash.
Digest one_block(std::uint64_t profile_id, std::string_view token) {
  using TwoWords [[gnu::vector_size(16)]] = std::uint64_t;
  const char* const bytes = token.data();
  const std::size_t rest = token.size() % 8;
  const std::uint64_t last = rest == 0 ? 0 : load_word(bytes + token.size() - 8) >> (64 - 8 * rest);
  const std::uint64_t bits = (sizeof profile_id + token.size()) * 8;
  TwoWords block[4] = {{profile_id, load_word(bytes)},
                       {load_word(bytes + 8), load_word(bytes + 16)},
                       {load_word(bytes + 24), load_word(bytes + 32)},
                       {last | kPaddingBit << (8 * rest), __builtin_bswap64(bits)}};
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Transform(&context, reinterpret_cast<const unsigned char*>(block));
  for (TwoWords& two : block) two = TwoWords{};
  asm volatile("" ::"r"(block)
               : "memory");  // a token must not stay on the stack, and the compiler not drop the zeros
  // Out by two words at a time, for the same reason: whoever copies the digest loads as much.
  const TwoWords halves[2] = {{state_words(context, 0), state_words(context, 1)},
                              {state_words(context, 2), state_words(context, 3)}};
  Digest digest;
  static_assert(sizeof halves == sizeof digest);
  std::memcpy(digest.data(), halves, sizeof halves);
  return digest;
}

}  // namespace

Digest token_digest(std::uint64_t profile_id, std::string_view token) {
  if (token.size() >= kOneBlockMin && token.size() <= kOneBlockMax) return one_block(profile_id, token);
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, &profile_id, sizeof profile_id);
  SHA256_Update(&context, token.data(), token.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

Digest plain_digest(std::string_view bytes) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace authcache::shm
