// The private key by which the daemon says who it is to an authorization server (RFC 7523). The key stays in OpenSSL's
// memory and is wiped by it; no error quotes any of it. Immutable after read: sign from any thread.
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "shm/result.hpp"

namespace authcached {

class ClientKey {
 public:
  // PEM without a passphrase, guarded like any secret file (secret_file.hpp). Refused: RSA below 2048 or beyond 8192 bits,
  // other curves than P-256, P-384, P-521 and Ed25519, and an algorithm that is not the key's.
  [[nodiscard]] static authcache::shm::Result<ClientKey> read(const std::filesystem::path& file, std::optional<Algorithm> algorithm);

  [[nodiscard]] Algorithm algorithm() const { return algorithm_; }
  // The signature as JWS writes it (RFC 7518 section 3), before base64url.
  [[nodiscard]] authcache::shm::Result<std::string> sign(std::string_view signing_input) const;

 private:
  struct Deleter {
    void operator()(EVP_PKEY* key) const;
  };
  ClientKey(EVP_PKEY* key, Algorithm algorithm) : key_(key), algorithm_(algorithm) {}

  std::unique_ptr<EVP_PKEY, Deleter> key_;
  Algorithm algorithm_;
};

}  // namespace authcached
