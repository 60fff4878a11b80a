// An issuer's published keys (RFC 7517 section 5), read once. A key that cannot be used is left out with a
// sentence that says why; a set without any usable key is an error, so that the last good set stays in use.
// Unchanged once it is shared: threads share it through shared_ptr<const KeySet>.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/token/jwk.hpp"
#include "shm/result.hpp"
#include "shm/verdict.hpp"

namespace authcached {

// Ten times what a large provider publishes through a rotation; checking an RSA key of 2048 bits costs 4 ms,
// of 4096 bits 22 ms.
inline constexpr std::size_t kKeysPerSetMax = 100;

struct SkippedKey {
  std::size_t index;  // in the set's "keys" array
  std::string kid;    // as written, if it was sound; else empty
  KeyFault fault;
  std::string sentence;
};

class KeySet {
 public:
  [[nodiscard]] static authcache::shm::Result<KeySet> parse(std::string_view json);

  // Keys of `before` that are gone from this set are kept one set longer, for tokens that name them by a kid that nothing
  // here has: several servers may answer for one issuer, not all of them with its newest set. Not kept is a key that this
  // set refuses, or whose kid it gives to another. Before the set is shared only.
  void keep_missing(const KeySet& before);

  // A copy over the same keys, without the kept ones.
  [[nodiscard]] KeySet without_kept() const;

  // The one key for a header's kid and algorithm. kUnknownKey: no such kid, or without a kid not exactly one
  // key that fits. kAlgorithm: the kid is known, its key serves another algorithm.
  [[nodiscard]] std::expected<const VerificationKey*, authcache::shm::Reason> find(
      std::optional<std::string_view> kid, Algorithm algorithm) const;

  [[nodiscard]] std::span<const VerificationKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const VerificationKey> kept() const { return kept_; }
  [[nodiscard]] bool proves_by(const Sha256& thumbprint) const;  // keys and kept ones
  [[nodiscard]] std::span<const SkippedKey> skipped() const { return skipped_; }

 private:
  std::vector<VerificationKey> keys_;
  std::vector<VerificationKey> kept_;
  std::vector<SkippedKey> skipped_;
};

}  // namespace authcached
