// What the tests of this folder share: keys made once per process (an RSA key takes long), one issuer, one
// moment.
#pragma once

#include <string>
#include <string_view>

#include "daemon/token/jwt.hpp"
#include "tests/support/jwt_mint.hpp"

namespace authcache_test {

inline constexpr std::int64_t kNow = 1'700'000'000;  // seconds
inline constexpr std::int64_t kNanos = 1'000'000'000;
inline constexpr std::string_view kIssuer = "https://issuer.example";
inline constexpr std::string_view kAudience = "https://api.example";

inline const SigningKey& rsa_key() {
  static const SigningKey key = SigningKey::generate(KeyKind::kRsa);
  return key;
}
inline const SigningKey& p256_key() {
  static const SigningKey key = SigningKey::generate(KeyKind::kP256);
  return key;
}
inline const SigningKey& p384_key() {
  static const SigningKey key = SigningKey::generate(KeyKind::kP384);
  return key;
}
inline const SigningKey& p521_key() {
  static const SigningKey key = SigningKey::generate(KeyKind::kP521);
  return key;
}
inline const SigningKey& ed25519_key() {
  static const SigningKey key = SigningKey::generate(KeyKind::kEd25519);
  return key;
}

// Keys "rs", "es", "es384", "es512", "ed"; the RSA key does not say its algorithm, so it serves RS* and PS*.
inline const authcached::KeySet& all_keys() {
  static const authcached::KeySet set =
      authcached::KeySet::parse(
          jwks({rsa_key().public_jwk("rs"), p256_key().public_jwk("es"), p384_key().public_jwk("es384"),
                p521_key().public_jwk("es512"), ed25519_key().public_jwk("ed")}))
          .value();
  return set;
}

inline authcached::JwtPolicy policy() {
  using enum authcached::Algorithm;
  return {std::string(kIssuer),
          {kRS256, kRS384, kRS512, kPS256, kPS384, kPS512, kES256, kES384, kES512, kEdDSA},
          authcached::TokenType::kAccessToken,
          0,
          std::int64_t{86'400} * kNanos};
}

inline Claims claims() { return {kIssuer, kAudience, kNow}; }

inline authcached::Proof verify(std::string_view token, const authcached::JwtPolicy& with = policy(),
                                const authcached::KeySet& keys = all_keys(),
                                std::int64_t now_ns = kNow * kNanos) {
  return authcached::verify_jwt(token, with, keys, now_ns);
}

}  // namespace authcache_test
