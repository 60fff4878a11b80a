#include "daemon/base/client_key.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "daemon/base/secret_file.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr int kRsaBitsMin = 2'048;
constexpr int kRsaBitsMax = 8'192;

bool is_rsa_algorithm(Algorithm algorithm) { return algorithm <= Algorithm::kPS512; }
bool is_pss(Algorithm algorithm) { return algorithm >= Algorithm::kPS256 && algorithm <= Algorithm::kPS512; }

const EVP_MD* hash_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRS256:
    case Algorithm::kPS256:
    case Algorithm::kES256: return EVP_sha256();
    case Algorithm::kRS384:
    case Algorithm::kPS384:
    case Algorithm::kES384: return EVP_sha384();
    case Algorithm::kRS512:
    case Algorithm::kPS512:
    case Algorithm::kES512: return EVP_sha512();
    case Algorithm::kEdDSA: break;
  }
  return nullptr;  // EdDSA hashes by itself
}

// What a key of this type and size signs with unless told otherwise; nothing if it is none that can be used.
std::optional<Algorithm> natural_algorithm(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    return bits >= kRsaBitsMin && bits <= kRsaBitsMax ? std::optional(Algorithm::kRS256) : std::nullopt;
  }
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Algorithm::kEdDSA;
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") != 1 || EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1) return std::nullopt;
  const std::string_view name = group;
  if (name == "prime256v1") return Algorithm::kES256;
  if (name == "secp384r1") return Algorithm::kES384;
  if (name == "secp521r1") return Algorithm::kES512;
  return std::nullopt;
}

// An encrypted key must not make OpenSSL ask on a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

// ECDSA signatures come in DER; JWS wants r and s, each as long as the curve's numbers.
std::optional<std::string> raw_ecdsa(const std::string& der, int half) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  if (!signature) return std::nullopt;
  std::string raw(2 * static_cast<std::size_t>(half), '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  const bool fits = BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, half) == half &&
                    BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + half, half) == half;
  return fits ? std::optional(std::move(raw)) : std::nullopt;
}

}  // namespace

void ClientKey::Deleter::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

shm::Result<ClientKey> ClientKey::read(const std::filesystem::path& file, std::optional<Algorithm> algorithm) {
  const auto refuse = [&](const std::string& what) { return shm::fail(shm::ErrorCode::kRefused, file.native() + " " + what); };
  auto text = read_secret_file(file);
  if (!text) return std::unexpected(text.error());
  const std::unique_ptr<BIO, int (*)(BIO*)> source(BIO_new_mem_buf(text->view().data(), static_cast<int>(text->view().size())), BIO_free);
  ClientKey made(source ? PEM_read_bio_PrivateKey(source.get(), nullptr, no_passphrase, nullptr) : nullptr, Algorithm::kRS256);
  ERR_clear_error();
  if (!made.key_) return refuse("holds no private key in PEM without a passphrase");
  const auto natural = natural_algorithm(made.key_.get());
  if (!natural) return refuse("holds a key that no algorithm of ours signs with; make one of P-256 or of RSA with 2048 bits or more");
  made.algorithm_ = algorithm.value_or(*natural);
  const bool fits = made.algorithm_ == *natural || (is_rsa_algorithm(*natural) && is_rsa_algorithm(made.algorithm_));
  if (!fits) return refuse("holds a key that cannot sign with " + std::string(algorithm_name(made.algorithm_)));
  return made;
}

shm::Result<std::string> ClientKey::sign(std::string_view signing_input) const {
  const auto failed = [] {
    ERR_clear_error();
    return shm::fail(shm::ErrorCode::kUnavailable, "OpenSSL could not sign with the client's key");
  };
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  if (!context || EVP_DigestSignInit(context.get(), &options, hash_of(algorithm_), nullptr, key_.get()) != 1) return failed();
  if (is_pss(algorithm_) && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                             EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return failed();
  }
  const auto* input = reinterpret_cast<const unsigned char*>(signing_input.data());
  std::size_t size = 0;
  if (EVP_DigestSign(context.get(), nullptr, &size, input, signing_input.size()) != 1) return failed();
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, input, signing_input.size()) != 1) return failed();
  signature.resize(size);
  const bool ecdsa = algorithm_ >= Algorithm::kES256 && algorithm_ <= Algorithm::kES512;
  if (!ecdsa) return signature;
  auto raw = raw_ecdsa(signature, (EVP_PKEY_get_bits(key_.get()) + 7) / 8);
  if (!raw) return failed();
  return std::move(*raw);
}

}  // namespace authcached
