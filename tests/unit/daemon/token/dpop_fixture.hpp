// Proofs as a client makes them, one member at a time.
#pragma once

#include <string>

#include "daemon/base/sha256.hpp"
#include "daemon/token/dpop.hpp"
#include "tests/unit/daemon/token/token_fixture.hpp"

namespace authcache_test {

inline constexpr std::string_view kAccessToken = "an-access-token";
inline constexpr std::string_view kUrl = "https://api.example/orders";

inline std::string token_hash(std::string_view token) {
  const auto digest = authcached::sha256(token);
  return base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// What a proof for a POST of kUrl with kAccessToken says, at kNow.
inline Claims proof_claims() {
  Claims claims("", "", kNow);
  claims.without("iss").without("aud").without("sub").without("client_id").without("exp");
  claims.text("jti", "proof-1").text("htm", "POST").text("htu", kUrl).text("ath", token_hash(kAccessToken));
  return claims;
}

inline std::string proof_header(const SigningKey& key = p256_key(), std::string_view alg = "ES256") {
  return R"({"typ":"dpop+jwt","alg":")" + std::string(alg) + R"(","jwk":)" + key.public_jwk() + "}";
}

inline std::string mint_proof(const Claims& claims = proof_claims(), const SigningKey& key = p256_key(),
                              std::string_view alg = "ES256") {
  return mint(key, alg, proof_header(key, alg), claims.json());
}

inline authcached::DpopRequest request_for(std::string_view method = "POST", std::string_view url = kUrl,
                                           std::string_view token = kAccessToken) {
  return {method, url, authcached::sha256(token), {}};
}

inline authcache::shm::Reason proof_reason(std::string_view proof,
                                           const authcached::DpopRequest& request = request_for(),
                                           std::int64_t now_ns = kNow * kNanos) {
  const auto judged = authcached::verify_dpop(proof, request, now_ns);
  return judged ? authcache::shm::Reason::kNone : judged.error();
}

}  // namespace authcache_test
