#include "shm/checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace authcache::shm {

std::uint64_t record_checksum(const HotRecord& hot, const ColdRecord& cold, std::string_view text,
                              const std::array<std::uint64_t, kSecretWords>& secret) {
  const std::uint64_t words[] = {hot.key[0],
                                 hot.key[1],
                                 hot.key[2],
                                 hot.facts,
                                 hot.principals,
                                 hot.grants,
                                 pack_text(cold.text_unit, cold.text_bytes),
                                 static_cast<std::uint64_t>(cold.expires_wall_ns),
                                 static_cast<std::uint64_t>(cold.issued_wall_ns),
                                 cold.profile_id,
                                 cold.token[0],
                                 cold.token[1],
                                 cold.token[2],
                                 XXH3_64bits_withSecret(text.data(), text.size(), secret.data(), sizeof secret)};
  return XXH3_64bits_withSecret(words, sizeof words, secret.data(), sizeof secret);
}

}  // namespace authcache::shm
