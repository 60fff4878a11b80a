// The only file that asks OpenSSL whether a signature is good. OpenSSL is lenient where JWS is exact (it
// takes a PSS signature without its leading zero octet, any PSS salt, any curve with any hash), so lengths,
// salt, MGF and the binding of key to algorithm are decided here.
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "daemon/token/jws.hpp"

namespace authcached {
namespace {

struct OpensslDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, OpensslDeleter>;

enum class Padding : std::uint8_t { kPkcs1, kPss, kEcdsa, kNone };

struct Recipe {
  Padding padding;
  const EVP_MD* hash;  // null: the algorithm hashes by itself
  std::size_t ecdsa_half_bytes;
};

Recipe recipe_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRS256: return {Padding::kPkcs1, EVP_sha256(), 0};
    case Algorithm::kRS384: return {Padding::kPkcs1, EVP_sha384(), 0};
    case Algorithm::kRS512: return {Padding::kPkcs1, EVP_sha512(), 0};
    case Algorithm::kPS256: return {Padding::kPss, EVP_sha256(), 0};
    case Algorithm::kPS384: return {Padding::kPss, EVP_sha384(), 0};
    case Algorithm::kPS512: return {Padding::kPss, EVP_sha512(), 0};
    case Algorithm::kES256: return {Padding::kEcdsa, EVP_sha256(), 32};
    case Algorithm::kES384: return {Padding::kEcdsa, EVP_sha384(), 48};
    case Algorithm::kES512: return {Padding::kEcdsa, EVP_sha512(), 66};
    case Algorithm::kEdDSA: break;
  }
  return {Padding::kNone, nullptr, 0};
}

constexpr std::size_t kEd25519SignatureBytes = 64;

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::size_t exact_length(const Recipe& recipe, const VerificationKey& key) {
  switch (recipe.padding) {
    case Padding::kEcdsa: return 2 * recipe.ecdsa_half_bytes;
    case Padding::kNone: return kEd25519SignatureBytes;
    case Padding::kPkcs1:
    case Padding::kPss: break;
  }
  return static_cast<std::size_t>(EVP_PKEY_get_size(key.pkey.get()));  // of the modulus
}

bool is_zero(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c == 0; });
}

// JWS writes r and s side by side (RFC 7518 section 3.4), OpenSSL reads DER. Nothing: out of memory.
std::optional<std::string> ecdsa_der(std::string_view raw) {
  const auto half = static_cast<int>(raw.size() / 2);
  Owned<BIGNUM> r(BN_bin2bn(octets(raw), half, nullptr));
  Owned<BIGNUM> s(BN_bin2bn(octets(raw) + half, half, nullptr));
  const Owned<ECDSA_SIG> signature(ECDSA_SIG_new());
  if (!r || !s || !signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return std::nullopt;
  [[maybe_unused]] BIGNUM* const taken_r = r.release();
  [[maybe_unused]] BIGNUM* const taken_s = s.release();
  const int length = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (length <= 0) return std::nullopt;
  std::string der(static_cast<std::size_t>(length), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  if (i2d_ECDSA_SIG(signature.get(), &out) != length) return std::nullopt;
  return der;
}

// Empties this thread's queue, in which a bad signature leaves entries too.
bool drain_errors_for_lack_of_memory() {
  bool lack = false;
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    lack = lack || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
  }
  return lack;
}

bool set_pss(EVP_PKEY_CTX* context, const EVP_MD* hash) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool set_pkcs1(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
}

}  // namespace

SignatureCheck check_signature(Algorithm algorithm, const VerificationKey& key,
                               std::string_view signing_input, std::string_view signature) {
  if (!key.serves(algorithm)) return SignatureCheck::kBad;
  const Recipe recipe = recipe_of(algorithm);
  if (signature.size() != exact_length(recipe, key)) return SignatureCheck::kBad;
  std::optional<std::string> der;
  if (recipe.padding == Padding::kEcdsa) {
    // No signature has a half of zero, and code that forgot so accepted it for every message
    // (CVE-2022-21449).
    if (is_zero(signature.substr(0, recipe.ecdsa_half_bytes)) ||
        is_zero(signature.substr(recipe.ecdsa_half_bytes))) {
      return SignatureCheck::kBad;
    }
    der = ecdsa_der(signature);
    if (!der) return SignatureCheck::kCannotTell;
    signature = *der;
  }
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;  // owned by context
  if (!context ||
      EVP_DigestVerifyInit(context.get(), &key_context, recipe.hash, nullptr, key.pkey.get()) != 1 ||
      (recipe.padding == Padding::kPss && !set_pss(key_context, recipe.hash)) ||
      (recipe.padding == Padding::kPkcs1 && !set_pkcs1(key_context))) {
    ERR_clear_error();
    return SignatureCheck::kCannotTell;
  }
  const int answer = EVP_DigestVerify(context.get(), octets(signature), signature.size(),
                                      octets(signing_input), signing_input.size());
  const bool lack_of_memory = drain_errors_for_lack_of_memory();
  if (answer == 1) return SignatureCheck::kGood;
  return lack_of_memory ? SignatureCheck::kCannotTell : SignatureCheck::kBad;
}

}  // namespace authcached
