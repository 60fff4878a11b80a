#include "bench/signed_token.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <ctime>

#include "bench/die.hpp"
#include "daemon/token/base64url.hpp"

namespace authcache_bench {
namespace {

using authcached::base64url_decode;
using authcached::base64url_encode;

constexpr std::time_t kLifeSeconds = 6 * 3600;  // a daemon admits no token that lives for years
constexpr int kScalarBytes = 32;  // of P-256; JOSE writes both numbers side by side, OpenSSL wants DER

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

using EcdsaSignature =
    std::unique_ptr<ECDSA_SIG, decltype([](ECDSA_SIG* signature) { ECDSA_SIG_free(signature); })>;

std::string der_to_jose(const std::string& der) {
  const unsigned char* at = bytes_of(der);
  const EcdsaSignature numbers(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string jose(2 * kScalarBytes, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(numbers.get()), reinterpret_cast<unsigned char*>(jose.data()), kScalarBytes);
  BN_bn2binpad(ECDSA_SIG_get0_s(numbers.get()), reinterpret_cast<unsigned char*>(jose.data()) + kScalarBytes,
               kScalarBytes);
  return jose;
}

// Both numbers as DER integers in a sequence, into a buffer that holds the longest.
std::size_t jose_to_der(std::string_view jose, unsigned char (&der)[80]) {
  const EcdsaSignature numbers(ECDSA_SIG_new());
  ECDSA_SIG_set0(numbers.get(), BN_bin2bn(bytes_of(jose), kScalarBytes, nullptr),
                 BN_bin2bn(bytes_of(jose) + kScalarBytes, kScalarBytes, nullptr));
  unsigned char* at = der;
  const int size = i2d_ECDSA_SIG(numbers.get(), &at);
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

EVP_PKEY* make_key(Signature kind) {
  switch (kind) {
    case Signature::kRs256: return EVP_RSA_gen(2048);
    case Signature::kEs256: return EVP_EC_gen("P-256");
    case Signature::kEdDsa: return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

const char* name_of(Signature kind) {
  return kind == Signature::kRs256 ? "RS256" : kind == Signature::kEs256 ? "ES256" : "EdDSA";
}

}  // namespace

SignedTokens::SignedTokens(Signature kind, std::size_t token_bytes, std::size_t count)
    : kind_(kind),
      expires_s_(std::time(nullptr) + kLifeSeconds),
      key_(make_key(kind)),
      context_(EVP_MD_CTX_new()) {
  if (!key_) die("OpenSSL made no key");
  if (kind == Signature::kEdDsa) {
    whole_.reset(EVP_MD_CTX_new());
    if (EVP_DigestVerifyInit(whole_.get(), nullptr, nullptr, nullptr, key_.get()) != 1)
      die("OpenSSL does not verify");
  } else {
    digest_.reset(EVP_MD_fetch(nullptr, "SHA256", nullptr));
    hashed_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    if (EVP_PKEY_verify_init(hashed_.get()) != 1 ||
        EVP_PKEY_CTX_set_signature_md(hashed_.get(), digest_.get()) != 1) {
      die("OpenSSL does not verify");
    }
  }
  for (std::size_t i = 0; i < count; ++i) tokens_.push_back(mint(i, token_bytes));
}

// A filler claim and a longer key id make up the length: of base64url, one length in four does not occur.
std::string SignedTokens::mint(std::size_t serial, std::size_t token_bytes) {
  const std::string claims =
      R"({"iss":"https://issuer.example","sub":"3f2c1e9a-5b47-4d0e-9c86-7a1b2c3d4e5f","aud":"api","client_id":"web","iat":)" +
      std::to_string(expires_s_ - kLifeSeconds) + R"(,"exp":)" + std::to_string(expires_s_) + R"(,"jti":")" +
      std::to_string(1'000'000 + serial) + R"(","scope":"orders:read orders:write","note":")";
  const std::size_t signature_chars = kind_ == Signature::kRs256 ? 342 : 86;
  for (std::size_t kid_bytes = 5; kid_bytes < 9; ++kid_bytes) {
    const std::string header =
        base64url_encode(std::string(R"({"alg":")") + name_of(kind_) + R"(","typ":"at+jwt","kid":")" +
                         std::string(kid_bytes, 'k') + "\"}");
    const std::size_t claims_chars = token_bytes - header.size() - signature_chars - 2;
    const std::size_t claims_bytes = claims_chars * 3 / 4;
    if (claims_chars % 4 == 1 || claims_bytes < claims.size() + 2) continue;
    const std::string input =
        header + '.' + base64url_encode(claims + std::string(claims_bytes - claims.size() - 2, 'x') + "\"}");
    if (input.size() + 1 + signature_chars != token_bytes) continue;
    kid_ = std::string(kid_bytes, 'k');  // the same for all: their claims have one length
    return input + "." + base64url_encode(sign(input));
  }
  die("no JWT has this length");
}

std::string SignedTokens::rsa_key_set() const {
  const auto number = [&](const char* name) {
    BIGNUM* value = nullptr;
    if (EVP_PKEY_get_bn_param(key_.get(), name, &value) != 1) die("the key is not an RSA key");
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
    BN_bn2bin(value, reinterpret_cast<unsigned char*>(bytes.data()));
    BN_free(value);
    return base64url_encode(bytes);
  };
  return R"({"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":")" + kid_ + R"(","n":")" +
         number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" + number(OSSL_PKEY_PARAM_RSA_E) + "\"}]}";
}

std::string SignedTokens::sign(std::string_view signing_input) const {
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, digest_.get(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(signing_input), signing_input.size()) != 1) {
    die("OpenSSL does not sign");
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     bytes_of(signing_input), signing_input.size()) != 1) {
    die("OpenSSL does not sign");
  }
  signature.resize(size);
  return kind_ == Signature::kEs256 ? der_to_jose(signature) : signature;
}

bool SignedTokens::verify(std::string_view token) const {
  const std::size_t dot = token.rfind('.');
  const auto signature = base64url_decode(token.substr(dot + 1));
  if (!signature) return false;
  const unsigned char* input = bytes_of(token);
  if (kind_ == Signature::kEdDsa) {
    return EVP_MD_CTX_copy_ex(context_.get(), whole_.get()) == 1 &&
           EVP_DigestVerify(context_.get(), bytes_of(*signature), signature->size(), input, dot) == 1;
  }
  unsigned char hash[32];
  if (EVP_Digest(input, dot, hash, nullptr, digest_.get(), nullptr) != 1) return false;
  if (kind_ == Signature::kRs256) {
    return EVP_PKEY_verify(hashed_.get(), bytes_of(*signature), signature->size(), hash, sizeof hash) == 1;
  }
  unsigned char der[80];
  const std::size_t size = jose_to_der(*signature, der);
  return EVP_PKEY_verify(hashed_.get(), der, size, hash, sizeof hash) == 1;
}

}  // namespace authcache_bench
