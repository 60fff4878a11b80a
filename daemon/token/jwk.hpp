// One JWK (RFC 7517, RFC 7518 section 6, RFC 8037) judged and turned into a key that can verify. Strict: a
// key that is refused costs some tokens until its issuer mends it, a key that should have been refused costs
// everything. Pure; any thread. A VerificationKey is unchanged after it was made, and OpenSSL verifies with
// one EVP_PKEY on many threads at once.
#pragma once

#include <openssl/types.h>

#include <boost/json/object.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"

namespace authcached {

enum class KeyType : std::uint8_t { kRsa, kEc, kOkp };

struct PkeyDeleter {
  void operator()(EVP_PKEY* key) const;
};
using PkeyPointer = std::unique_ptr<EVP_PKEY, PkeyDeleter>;

struct VerificationKey {
  std::string kid;  // empty: the JWK has none
  KeyType type;
  Sha256 thumbprint;  // RFC 7638
  std::vector<Algorithm>
      algorithms;  // one, except for an RSA key that does not say: then all that RSA can do
  PkeyPointer pkey;

  [[nodiscard]] bool serves(Algorithm algorithm) const;
};

// Why a key is not used; the label under which it is counted.
enum class KeyFault : std::uint8_t {
  kUnsupported,  // kty, crv or alg unknown here
  kMalformed,    // a member is missing or wrong
  kWeak,         // well-formed, and anybody may be able to sign for it
  kPurpose,      // made for something else than verifying
  kSymmetric,    // oct: a shared secret has no place in a published set
  kPrivate,      // holds a private member: alarm, the issuer gave its key away
  kAmbiguous,    // a second key of the same kid and type
};
[[nodiscard]] std::string_view key_fault_name(KeyFault fault);  // "weak", ...

struct KeyRefusal {
  KeyFault fault;
  std::string sentence;  // never quotes key material
};

// The algorithm that an alg member names: algorithm_from_name, and "Ed25519", as RFC 9864 renames EdDSA over
// that curve.
[[nodiscard]] std::optional<Algorithm> jose_algorithm(std::string_view alg);

// Longer than any UUID, thumbprint or URL seen in use; bounds what is compared and printed.
inline constexpr std::size_t kKidBytesMax = 256;
[[nodiscard]] bool is_sound_kid(std::string_view kid);  // 1 to kKidBytesMax bytes, no control characters

[[nodiscard]] std::expected<VerificationKey, KeyRefusal> import_jwk(const boost::json::object& jwk);

}  // namespace authcached
