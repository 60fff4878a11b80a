// JWTs of one length signed by a fresh key, and their verification as OpenSSL offers it: what a program does
// on each request that asks no cache. Everything that OpenSSL lets a program prepare once is prepared once:
// the digest fetched, the key set up for verification and used for every token (EVP_PKEY_verify; Ed25519 has
// only the form that hashes, so its prepared context is copied). Only the signature is checked here, not the
// claims, the times or the key's choice, so a real verification takes longer. One thread for each
// SignedTokens.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace authcache_bench {

enum class Signature : std::uint8_t { kRs256, kEs256, kEdDsa };  // RSA of 2048 bits, P-256, Ed25519

class SignedTokens {
 public:
  SignedTokens(Signature kind, std::size_t token_bytes, std::size_t count);

  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  [[nodiscard]] bool verify(std::string_view token) const;
  // The public key as a JSON Web Key Set; RS256 only.
  [[nodiscard]] std::string rsa_key_set() const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_MD* md) const { EVP_MD_free(md); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  [[nodiscard]] std::string sign(std::string_view signing_input) const;
  [[nodiscard]] std::string mint(std::size_t serial, std::size_t token_bytes);

  Signature kind_;
  std::time_t expires_s_;
  std::string kid_;
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<EVP_MD, Free> digest_;        // RS256 and ES256
  std::unique_ptr<EVP_PKEY_CTX, Free> hashed_;  // RS256 and ES256
  std::unique_ptr<EVP_MD_CTX, Free> whole_;     // EdDSA
  std::unique_ptr<EVP_MD_CTX, Free> context_;   // its copy
  std::vector<std::string> tokens_;
};

}  // namespace authcache_bench
