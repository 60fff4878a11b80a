#include "shm/digest.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>
#include <vector>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;

constexpr std::uint64_t kProfileId = 0x8877'6655'4433'2211;

// By another interface of the library, over the bytes that the design names.
Digest expected(std::uint64_t profile_id, std::string_view token) {
  std::string bytes(reinterpret_cast<const char*>(&profile_id), sizeof profile_id);
  bytes += token;
  Digest digest;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr), 1);
  return digest;
}

std::string token_of(Numbers& numbers, std::size_t size) {
  std::string token(size, '\0');
  for (char& c : token) c = static_cast<char>(numbers.below(256));
  return token;
}

TEST(Digest, IsSha256OfTheProfileIdAndTheTokenForEveryLength) {
  Numbers numbers(11);
  for (std::size_t size = 0; size <= 300; ++size) {
    for (int i = 0; i < 8; ++i) {
      const std::string token = token_of(numbers, size);
      const std::uint64_t profile_id = numbers.next();
      ASSERT_EQ(token_digest(profile_id, token), expected(profile_id, token)) << size << " bytes";
    }
  }
}

// The block is put together from words: the token's last bytes must not depend on what stands behind it in
// memory, nor on where it begins.
TEST(Digest, DependsOnNothingBesideTheToken) {
  Numbers numbers(12);
  for (std::size_t size = 0; size <= 64; ++size) {
    const std::string token = token_of(numbers, size);
    for (std::size_t at = 0; at < 16; ++at) {
      std::vector<char> memory(at + size + 16);
      for (char& c : memory) c = static_cast<char>(numbers.below(256));
      std::copy(token.begin(), token.end(), memory.begin() + static_cast<std::ptrdiff_t>(at));
      ASSERT_EQ(token_digest(kProfileId, {memory.data() + at, size}), expected(kProfileId, token))
          << size << " bytes at " << at;
    }
  }
}

TEST(Digest, TheKeyIsItsFirst192Bits) {
  const Digest digest = token_digest(kProfileId, "token");
  const Key key = key_of(digest);
  EXPECT_EQ(std::memcmp(key.data(), digest.data(), sizeof key), 0);
}

}  // namespace
