// Makes real keys and signs tokens with them, for tests and demonstrations only. Written against OpenSSL
// alone and without any code of the daemon, so that a mistake there is not made here too. Signs whatever it
// is told to: that is the point. Algorithms go by their JWA names. Any failure throws std::runtime_error. Not
// thread-safe per key.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace authcache_test {

[[nodiscard]] std::string base64url(std::string_view bytes);

enum class KeyKind : std::uint8_t { kRsa, kP256, kP384, kP521, kEd25519 };

class SigningKey {
 public:
  [[nodiscard]] static SigningKey generate(KeyKind kind);  // RSA: 2048 bits, e = 65537
  [[nodiscard]] static SigningKey generate_rsa(unsigned bits, std::uint64_t exponent = 65537);
  // The 32 bytes of RFC 8032 section 5.1.5, for vectors.
  [[nodiscard]] static SigningKey from_ed25519_seed(std::string_view seed);

  [[nodiscard]] KeyKind kind() const { return kind_; }
  [[nodiscard]] EVP_PKEY* pkey() const { return pkey_.get(); }

  // {"kty":...}, with kid and alg where not empty; `extra` is pasted in as it is: R"("use":"sig")".
  [[nodiscard]] std::string public_jwk(std::string_view kid = {}, std::string_view alg = {},
                                       std::string_view extra = {}) const;
  // One public number, big-endian bytes: "n", "e", "x" or "y".
  [[nodiscard]] std::string public_number(std::string_view name) const;

  // The signature as JWS writes it. The hash and padding are those of alg, even where alg does not go with
  // the key's curve. PS*: salt as long as the hash unless salt_bytes is set.
  [[nodiscard]] std::string sign(std::string_view alg, std::string_view signing_input,
                                 int salt_bytes = -1) const;

 private:
  struct Deleter {
    void operator()(EVP_PKEY* key) const;
  };
  SigningKey(KeyKind kind, EVP_PKEY* key) : kind_(kind), pkey_(key) {}

  KeyKind kind_;
  std::unique_ptr<EVP_PKEY, Deleter> pkey_;
};

// {"keys":[...]}
[[nodiscard]] std::string jwks(const std::vector<std::string>& public_jwks);

// base64url(header).base64url(payload).base64url(signature over the two)
[[nodiscard]] std::string mint(const SigningKey& key, std::string_view alg, std::string_view header,
                               std::string_view payload);

// A token of RFC 9068: typ at+jwt, the kid where not empty.
[[nodiscard]] std::string mint_access_token(const SigningKey& key, std::string_view alg, std::string_view kid,
                                            std::string_view claims);

// HMAC-SHA-256 with any bytes as the key: what an attacker does who takes a public key for a secret.
[[nodiscard]] std::string mint_hs256(std::string_view secret, std::string_view header,
                                     std::string_view payload);

// The same token with (r, n - s) in place of (r, s): as good a signature, made without the key. ES* only.
[[nodiscard]] std::string malleated_twin(const SigningKey& key, std::string_view token);

// The claims of an access token as JSON text. Members are set and left out one by one.
class Claims {
 public:
  // iss, aud, sub "alice", client_id "web", jti "t-1", iat = now, exp = now + 300
  Claims(std::string_view issuer, std::string_view audience, std::int64_t now_seconds);

  Claims& set(std::string_view name, std::string_view json);    // json is pasted in as it is
  Claims& text(std::string_view name, std::string_view value);  // quoted; value must need no escapes
  Claims& number(std::string_view name, std::int64_t value);
  Claims& without(std::string_view name);
  [[nodiscard]] std::string json() const;

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace authcache_test
