#include "daemon/token/key_material.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <bit>
#include <new>
#include <string>

#include "daemon/token/weak_keys.hpp"

namespace authcached {
namespace {

struct OpensslDeleter {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* params) const { OSSL_PARAM_free(params); }
};
template <class T>
using Owned = std::unique_ptr<T, OpensslDeleter>;

// What OpenSSL reports by a null pointer here is want of memory; any other cause would be ours.
template <class T>
T* must(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::unexpected<KeyRefusal> refuse(KeyFault fault, std::string sentence) {
  return std::unexpected(KeyRefusal{fault, std::move(sentence)});
}

std::expected<PkeyPointer, KeyRefusal> import(const char* type, OSSL_PARAM_BLD* builder) {
  const Owned<OSSL_PARAM> params(must(OSSL_PARAM_BLD_to_param(builder)));
  const Owned<EVP_PKEY_CTX> context(must(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)));
  EVP_PKEY* raw = nullptr;
  const bool imported = EVP_PKEY_fromdata_init(context.get()) == 1 &&
                        EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params.get()) == 1;
  PkeyPointer key(raw);
  if (!imported) {
    ERR_clear_error();
    return refuse(KeyFault::kMalformed, "OpenSSL cannot import its numbers as a public key.");
  }
  const Owned<EVP_PKEY_CTX> check(must(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)));
  if (EVP_PKEY_public_check(check.get()) != 1) {
    ERR_clear_error();
    return refuse(KeyFault::kWeak, "OpenSSL's check of public keys fails for it.");
  }
  return key;
}

std::size_t bit_length(std::string_view number) {
  return number.empty()
             ? 0
             : (number.size() - 1) * 8 + std::bit_width(static_cast<unsigned char>(number.front()));
}

bool has_leading_zero(std::string_view number) { return !number.empty() && number.front() == '\0'; }

std::expected<void, KeyRefusal> judge_exponent(std::string_view exponent) {
  if (exponent.empty() || has_leading_zero(exponent)) {
    return refuse(KeyFault::kMalformed, "Its exponent is not written in the fewest octets.");
  }
  std::uint64_t value = kRsaExponentEnd;
  if (exponent.size() <= sizeof value) {
    value = 0;
    for (const char octet : exponent) value = (value << 8) | static_cast<unsigned char>(octet);
  }
  if (value < kRsaExponentMin || value >= kRsaExponentEnd || value % 2 == 0) {
    return refuse(KeyFault::kWeak, "Its exponent is not an odd number from 65537 to below 2^33.");
  }
  return {};
}

std::expected<void, KeyRefusal> judge_modulus(std::string_view modulus) {
  if (has_leading_zero(modulus)) {
    return refuse(KeyFault::kMalformed, "Its modulus begins with a zero octet, which RFC 7518 forbids.");
  }
  const std::size_t bits = bit_length(modulus);
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return refuse(KeyFault::kWeak, "Its modulus has " + std::to_string(bits) + " bits; from " +
                                       std::to_string(kRsaBitsMin) + " to " + std::to_string(kRsaBitsMax) +
                                       " are taken.");
  }
  if (has_roca_fingerprint(modulus)) {
    return refuse(KeyFault::kWeak,
                  "Its modulus has the ROCA structure (CVE-2017-15361) and can be factored.");
  }
  return {};
}

const char* group_name(Curve curve) {
  switch (curve) {
    case Curve::kP256: return "P-256";
    case Curve::kP384: return "P-384";
    case Curve::kP521: return "P-521";
  }
  return "";
}

}  // namespace

void PkeyDeleter::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

std::size_t coordinate_bytes(Curve curve) {
  switch (curve) {
    case Curve::kP256: return 32;
    case Curve::kP384: return 48;
    case Curve::kP521: return 66;
  }
  return 0;
}

std::expected<PkeyPointer, KeyRefusal> make_rsa_key(std::string_view modulus, std::string_view exponent) {
  if (auto judged = judge_modulus(modulus); !judged) return std::unexpected(judged.error());
  if (auto judged = judge_exponent(exponent); !judged) return std::unexpected(judged.error());
  const Owned<BIGNUM> n(must(BN_bin2bn(octets(modulus), static_cast<int>(modulus.size()), nullptr)));
  const Owned<BIGNUM> e(must(BN_bin2bn(octets(exponent), static_cast<int>(exponent.size()), nullptr)));
  const Owned<OSSL_PARAM_BLD> builder(must(OSSL_PARAM_BLD_new()));
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    throw std::bad_alloc();
  }
  return import("RSA", builder.get());
}

std::expected<PkeyPointer, KeyRefusal> make_ec_key(Curve curve, std::string_view x, std::string_view y) {
  const std::size_t length = coordinate_bytes(curve);
  if (x.size() != length || y.size() != length) {
    return refuse(KeyFault::kMalformed, "Its coordinates are not of " + std::to_string(length) +
                                            " octets each, as its curve demands.");
  }
  // Always the uncompressed form of full length: the one-octet form of the point at infinity cannot arise.
  std::string point = "\x04";
  point.append(x).append(y);
  const Owned<OSSL_PARAM_BLD> builder(must(OSSL_PARAM_BLD_new()));
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group_name(curve), 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) !=
          1) {
    throw std::bad_alloc();
  }
  return import("EC", builder.get());
}

std::expected<PkeyPointer, KeyRefusal> make_ed25519_key(std::string_view point) {
  constexpr std::size_t kPointBytes = 32;
  if (point.size() != kPointBytes) return refuse(KeyFault::kMalformed, "Its x is not of 32 octets.");
  if (is_degenerate_ed25519_point(point)) {
    return refuse(KeyFault::kWeak,
                  "Its point has a small order or is not reduced: signatures need no secret.");
  }
  return PkeyPointer(
      must(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(point), point.size())));
}

}  // namespace authcached
