// OpenSSL's one-shot and EVP interfaces fetch an algorithm and allocate; on a hit that costs more than the hash.
// The block interface does neither, and is what OpenSSL 3 calls deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "shm/digest.hpp"

#include <openssl/sha.h>

#include <bit>

namespace authcache::shm {

static_assert(std::endian::native == std::endian::little, "profile ids are hashed as they lie in memory");

Digest token_digest(std::uint64_t profile_id, std::string_view token) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, &profile_id, sizeof profile_id);
  SHA256_Update(&context, token.data(), token.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace authcache::shm
