#include "tests/support/jwt_mint.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <stdexcept>

namespace authcache_test {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using HashContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

void must(bool held, const char* what) {
  if (!held) throw std::runtime_error(std::string("jwt_mint: ") + what);
}

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

const char* curve_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::kP256: return "P-256";
    case KeyKind::kP384: return "P-384";
    case KeyKind::kP521: return "P-521";
    case KeyKind::kRsa:
    case KeyKind::kEd25519: break;
  }
  return nullptr;
}

int half_bytes_of(KeyKind kind) { return kind == KeyKind::kP521 ? 66 : kind == KeyKind::kP384 ? 48 : 32; }

const EVP_MD* hash_of(std::string_view alg) {
  if (alg.ends_with("256")) return EVP_sha256();
  if (alg.ends_with("384")) return EVP_sha384();
  if (alg.ends_with("512")) return EVP_sha512();
  return nullptr;  // EdDSA
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string raw_of_der(std::string_view der, int half) {
  const unsigned char* at = octets(der);
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  must(signature != nullptr, "an ECDSA signature that is not DER");
  std::string raw(2 * static_cast<std::size_t>(half), '\0');
  must(BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), octets(raw), half) == half, "r does not fit");
  must(BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), octets(raw) + half, half) == half, "s does not fit");
  return raw;
}

}  // namespace

void SigningKey::Deleter::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

std::string base64url(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(octets(text), octets(bytes), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  while (text.ends_with('=')) text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

SigningKey SigningKey::generate(KeyKind kind) {
  if (kind == KeyKind::kRsa) return generate_rsa(2048);
  EVP_PKEY* key = kind == KeyKind::kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                            : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve_of(kind));
  must(key != nullptr, "no key could be generated");
  return {kind, key};
}

SigningKey SigningKey::generate_rsa(unsigned bits, std::uint64_t exponent) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  const Number e(BN_new());
  EVP_PKEY* key = nullptr;
  must(context && e && BN_set_word(e.get(), exponent) == 1 && EVP_PKEY_keygen_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), static_cast<int>(bits)) == 1 &&
           EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), e.get()) == 1 &&
           EVP_PKEY_generate(context.get(), &key) == 1,
       "no RSA key could be generated");
  return {KeyKind::kRsa, key};
}

SigningKey SigningKey::from_ed25519_seed(std::string_view seed) {
  EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets(seed), seed.size());
  must(key != nullptr, "not an Ed25519 seed");
  return {KeyKind::kEd25519, key};
}

std::string SigningKey::public_number(std::string_view name) const {
  if (kind_ == KeyKind::kEd25519) {
    std::string point(32, '\0');
    std::size_t length = point.size();
    must(EVP_PKEY_get_raw_public_key(pkey(), octets(point), &length) == 1, "no raw public key");
    return point;
  }
  const char* parameter = name == "n"   ? OSSL_PKEY_PARAM_RSA_N
                          : name == "e" ? OSSL_PKEY_PARAM_RSA_E
                          : name == "x" ? OSSL_PKEY_PARAM_EC_PUB_X
                                        : OSSL_PKEY_PARAM_EC_PUB_Y;
  BIGNUM* raw = nullptr;
  must(EVP_PKEY_get_bn_param(pkey(), parameter, &raw) == 1, "no such public number");
  const Number number(raw);
  const int length = kind_ == KeyKind::kRsa ? BN_num_bytes(number.get()) : half_bytes_of(kind_);
  std::string bytes(static_cast<std::size_t>(length), '\0');
  must(BN_bn2binpad(number.get(), octets(bytes), length) == length, "a number that does not fit");
  return bytes;
}

std::string SigningKey::public_jwk(std::string_view kid, std::string_view alg, std::string_view extra) const {
  std::string jwk;
  const auto member = [&](std::string_view name, std::string_view value) {
    jwk += (jwk.empty() ? "{" : ",") + quoted(name) + ":" + quoted(value);
  };
  if (kind_ == KeyKind::kRsa) {
    member("kty", "RSA");
    member("n", base64url(public_number("n")));
    member("e", base64url(public_number("e")));
  } else if (kind_ == KeyKind::kEd25519) {
    member("kty", "OKP");
    member("crv", "Ed25519");
    member("x", base64url(public_number("x")));
  } else {
    member("kty", "EC");
    member("crv", curve_of(kind_));
    member("x", base64url(public_number("x")));
    member("y", base64url(public_number("y")));
  }
  if (!kid.empty()) member("kid", kid);
  if (!alg.empty()) member("alg", alg);
  if (!extra.empty()) jwk.append(",").append(extra);
  return jwk + "}";
}

std::string SigningKey::sign(std::string_view alg, std::string_view signing_input, int salt_bytes) const {
  const EVP_MD* hash = hash_of(alg);
  const HashContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  must(context && EVP_DigestSignInit(context.get(), &key_context, hash, nullptr, pkey()) == 1, "cannot sign");
  if (alg.starts_with("PS")) {
    const int salt = salt_bytes >= 0 ? salt_bytes : RSA_PSS_SALTLEN_DIGEST;
    must(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_mgf1_md(key_context, hash) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, salt) == 1,
         "cannot pad");
  }
  std::size_t length = 0;
  must(EVP_DigestSign(context.get(), nullptr, &length, octets(signing_input), signing_input.size()) == 1,
       "cannot sign");
  std::string signature(length, '\0');
  must(EVP_DigestSign(context.get(), octets(signature), &length, octets(signing_input),
                      signing_input.size()) == 1,
       "cannot sign");
  signature.resize(length);
  return curve_of(kind_) == nullptr ? signature : raw_of_der(signature, half_bytes_of(kind_));
}

std::string jwks(const std::vector<std::string>& public_jwks) {
  std::string text;
  for (const std::string& jwk : public_jwks) text += (text.empty() ? "" : ",") + jwk;
  return R"({"keys":[)" + text + "]}";
}

std::string mint(const SigningKey& key, std::string_view alg, std::string_view header,
                 std::string_view payload) {
  const std::string input = base64url(header) + "." + base64url(payload);
  return input + "." + base64url(key.sign(alg, input));
}

std::string mint_access_token(const SigningKey& key, std::string_view alg, std::string_view kid,
                              std::string_view claims) {
  std::string header = R"({"typ":"at+jwt","alg":)" + quoted(alg);
  if (!kid.empty()) header += ",\"kid\":" + quoted(kid);
  return mint(key, alg, header + "}", claims);
}

std::string mint_hs256(std::string_view secret, std::string_view header, std::string_view payload) {
  const std::string input = base64url(header) + "." + base64url(payload);
  std::string mac(32, '\0');
  unsigned length = 0;
  must(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), octets(input), input.size(),
            octets(mac), &length) != nullptr,
       "no HMAC");
  return input + "." + base64url(mac);
}

std::string malleated_twin(const SigningKey& key, std::string_view token) {
  const std::size_t dot = token.rfind('.');
  must(dot != std::string_view::npos && curve_of(key.kind()) != nullptr, "only ES* tokens have a twin");
  const int half = half_bytes_of(key.kind());
  // Signing is not repeated: it would choose another r. The signature is read back from the token instead.
  std::string text(token.substr(dot + 1));
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  const std::size_t padding = (4 - text.size() % 4) % 4;
  text.append(padding, '=');
  std::string raw(text.size() / 4 * 3, '\0');
  must(EVP_DecodeBlock(octets(raw), octets(std::as_const(text)), static_cast<int>(text.size())) > 0,
       "not base64url");
  raw.resize(2 * static_cast<std::size_t>(half));
  const std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>> group(
      EC_GROUP_new_by_curve_name(EC_curve_nist2nid(curve_of(key.kind()))));
  const Number s(BN_bin2bn(octets(raw) + half, half, nullptr));
  must(group && s && BN_sub(s.get(), EC_GROUP_get0_order(group.get()), s.get()) == 1 &&
           BN_bn2binpad(s.get(), octets(raw) + half, half) == half,
       "no twin");
  return std::string(token.substr(0, dot + 1)) + base64url(raw);
}

Claims::Claims(std::string_view issuer, std::string_view audience, std::int64_t now_seconds) {
  text("iss", issuer).text("aud", audience).text("sub", "alice").text("client_id", "web").text("jti", "t-1");
  number("iat", now_seconds).number("exp", now_seconds + 300);
}

Claims& Claims::set(std::string_view name, std::string_view json) {
  const auto held =
      std::ranges::find(members_, name, [](const auto& member) { return std::string_view(member.first); });
  if (held != members_.end()) {
    held->second = json;
  } else {
    members_.emplace_back(name, json);
  }
  return *this;
}

Claims& Claims::text(std::string_view name, std::string_view value) { return set(name, quoted(value)); }

Claims& Claims::number(std::string_view name, std::int64_t value) { return set(name, std::to_string(value)); }

Claims& Claims::without(std::string_view name) {
  std::erase_if(members_, [&](const auto& member) { return member.first == name; });
  return *this;
}

std::string Claims::json() const {
  std::string text;
  for (const auto& [name, value] : members_) text += (text.empty() ? "{" : ",") + quoted(name) + ":" + value;
  return text.empty() ? "{}" : text + "}";
}

}  // namespace authcache_test
