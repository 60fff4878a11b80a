#include "daemon/token/jwk.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/key_material.hpp"

namespace authcached {
namespace {

namespace json = boost::json;
template <class T>
using Judged = std::expected<T, KeyRefusal>;

std::unexpected<KeyRefusal> refuse(KeyFault fault, std::string sentence) {
  return std::unexpected(KeyRefusal{fault, std::move(sentence)});
}

// A required member of a key: its canonical base64url text, which the thumbprint hashes, and its bytes.
struct Number {
  std::string_view text;
  std::string bytes;
};

Judged<Number> read_number(const json::object& jwk, std::string_view name) {
  std::optional<std::string_view> text;
  if (!read_string(jwk, name, text) || !text) {
    return refuse(KeyFault::kMalformed,
                  "Its member \"" + std::string(name) + "\" is missing or not a string.");
  }
  auto bytes = base64url_decode(*text);
  if (!bytes) {
    return refuse(KeyFault::kMalformed, "Its member \"" + std::string(name) + "\" is not strict base64url.");
  }
  return Number{*text, std::move(*bytes)};
}

Judged<std::string> read_kid(const json::object& jwk) {
  std::optional<std::string_view> kid;
  if (!read_string(jwk, "kid", kid)) return refuse(KeyFault::kMalformed, "Its kid is not a string.");
  if (!kid) return std::string();
  if (!is_sound_kid(*kid)) {
    return refuse(KeyFault::kMalformed, "Its kid is empty, too long or has control characters.");
  }
  return std::string(*kid);
}

// The private members of every key type (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1).
Judged<void> refuse_secrets(const json::object& jwk, std::string_view kty) {
  if (kty == "oct")
    return refuse(KeyFault::kSymmetric, "It is a symmetric key, which a published set must not hold.");
  for (const std::string_view name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    if (jwk.contains(name)) {
      return refuse(KeyFault::kPrivate,
                    "It holds the private member \"" + std::string(name) +
                        "\": whoever reads the set can sign; the issuer must replace the key.");
    }
  }
  return {};
}

// RFC 7517 sections 4.2 and 4.3. Where both are given they must agree; a key for more than signatures is
// refused.
Judged<void> judge_purpose(const json::object& jwk) {
  std::optional<std::string_view> use;
  if (!read_string(jwk, "use", use)) return refuse(KeyFault::kMalformed, "Its use is not a string.");
  if (use && *use != "sig") return refuse(KeyFault::kPurpose, "Its use is not \"sig\".");
  std::optional<std::vector<std::string>> operations;
  if (!read_strings(jwk, "key_ops", operations)) {
    return refuse(KeyFault::kMalformed, "Its key_ops are not an array of strings.");
  }
  if (!operations) return {};
  if (std::ranges::find(*operations, "verify") == operations->end()) {
    return refuse(KeyFault::kPurpose, "Its key_ops do not include \"verify\".");
  }
  std::ranges::sort(*operations);
  if (std::ranges::adjacent_find(*operations) != operations->end()) {
    return refuse(KeyFault::kMalformed, "Its key_ops name an operation twice.");
  }
  const bool only_signatures = std::ranges::all_of(
      *operations, [](const std::string& name) { return name == "sign" || name == "verify"; });
  if (!only_signatures)
    return refuse(KeyFault::kPurpose, "Its key_ops hold more than signing and verifying.");
  return {};
}

// What is left of the algorithms that this kind of key can serve when its own alg is heard: one key, one
// algorithm.
Judged<std::vector<Algorithm>> narrow(const json::object& jwk, std::vector<Algorithm> possible) {
  std::optional<std::string_view> name;
  if (!read_string(jwk, "alg", name)) return refuse(KeyFault::kMalformed, "Its alg is not a string.");
  if (!name) return possible;
  const std::optional<Algorithm> algorithm = jose_algorithm(*name);
  if (!algorithm) return refuse(KeyFault::kUnsupported, "Its alg is not one that is verified here.");
  if (std::ranges::find(possible, *algorithm) == possible.end()) {
    return refuse(KeyFault::kPurpose, "Its alg does not go with its kty and crv.");
  }
  return std::vector{*algorithm};
}

// RFC 7638 section 3: the required members in lexicographic order without white space. Every part is
// base64url or a name of ours, so nothing needs escaping.
Sha256 thumbprint_of(const std::string& canonical) {
  Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(canonical.data()), canonical.size(), digest.data());
  return digest;
}

std::string canonical_text(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string text = "{";
  for (const auto& [name, value] : members) {
    if (text.size() > 1) text += ',';
    text.append("\"").append(name).append("\":\"").append(value).append("\"");
  }
  return text + "}";
}

Judged<VerificationKey> import_rsa(const json::object& jwk) {
  auto algorithms = narrow(jwk, {Algorithm::kRS256, Algorithm::kRS384, Algorithm::kRS512, Algorithm::kPS256,
                                 Algorithm::kPS384, Algorithm::kPS512});
  if (!algorithms) return std::unexpected(algorithms.error());
  const auto n = read_number(jwk, "n");
  if (!n) return std::unexpected(n.error());
  const auto e = read_number(jwk, "e");
  if (!e) return std::unexpected(e.error());
  auto pkey = make_rsa_key(n->bytes, e->bytes);
  if (!pkey) return std::unexpected(pkey.error());
  return VerificationKey{{},
                         KeyType::kRsa,
                         thumbprint_of(canonical_text({{"e", e->text}, {"kty", "RSA"}, {"n", n->text}})),
                         std::move(*algorithms),
                         std::move(*pkey)};
}

struct NamedCurve {
  std::string_view name;
  Curve curve;
  Algorithm algorithm;
};
constexpr std::array kCurves{NamedCurve{"P-256", Curve::kP256, Algorithm::kES256},
                             NamedCurve{"P-384", Curve::kP384, Algorithm::kES384},
                             NamedCurve{"P-521", Curve::kP521, Algorithm::kES512}};

Judged<VerificationKey> import_ec(const json::object& jwk, std::string_view crv) {
  const auto named = std::ranges::find(kCurves, crv, &NamedCurve::name);
  if (named == kCurves.end())
    return refuse(KeyFault::kUnsupported, "Its curve is not P-256, P-384 or P-521.");
  auto algorithms = narrow(jwk, {named->algorithm});
  if (!algorithms) return std::unexpected(algorithms.error());
  const auto x = read_number(jwk, "x");
  if (!x) return std::unexpected(x.error());
  const auto y = read_number(jwk, "y");
  if (!y) return std::unexpected(y.error());
  auto pkey = make_ec_key(named->curve, x->bytes, y->bytes);
  if (!pkey) return std::unexpected(pkey.error());
  const std::string canonical = canonical_text({{"crv", crv}, {"kty", "EC"}, {"x", x->text}, {"y", y->text}});
  return VerificationKey{
      {}, KeyType::kEc, thumbprint_of(canonical), std::move(*algorithms), std::move(*pkey)};
}

Judged<VerificationKey> import_okp(const json::object& jwk, std::string_view crv) {
  if (crv != "Ed25519") return refuse(KeyFault::kUnsupported, "Its curve is not Ed25519.");
  auto algorithms = narrow(jwk, {Algorithm::kEdDSA});
  if (!algorithms) return std::unexpected(algorithms.error());
  const auto x = read_number(jwk, "x");
  if (!x) return std::unexpected(x.error());
  auto pkey = make_ed25519_key(x->bytes);
  if (!pkey) return std::unexpected(pkey.error());
  const std::string canonical = canonical_text({{"crv", crv}, {"kty", "OKP"}, {"x", x->text}});
  return VerificationKey{
      {}, KeyType::kOkp, thumbprint_of(canonical), std::move(*algorithms), std::move(*pkey)};
}

Judged<VerificationKey> import_material(const json::object& jwk, std::string_view kty) {
  if (kty == "RSA") return import_rsa(jwk);
  if (kty != "EC" && kty != "OKP") return refuse(KeyFault::kUnsupported, "Its kty is not RSA, EC or OKP.");
  std::optional<std::string_view> crv;
  if (!read_string(jwk, "crv", crv) || !crv) {
    return refuse(KeyFault::kMalformed, "Its crv is missing or not a string.");
  }
  return kty == "EC" ? import_ec(jwk, *crv) : import_okp(jwk, *crv);
}

}  // namespace

bool VerificationKey::serves(Algorithm algorithm) const {
  return std::ranges::find(algorithms, algorithm) != algorithms.end();
}

std::string_view key_fault_name(KeyFault fault) {
  switch (fault) {
    case KeyFault::kUnsupported: return "unsupported";
    case KeyFault::kMalformed: return "malformed";
    case KeyFault::kWeak: return "weak";
    case KeyFault::kPurpose: return "purpose";
    case KeyFault::kSymmetric: return "symmetric";
    case KeyFault::kPrivate: return "private";
    case KeyFault::kAmbiguous: return "ambiguous";
  }
  return "?";
}

std::optional<Algorithm> jose_algorithm(std::string_view alg) {
  return alg == "Ed25519" ? Algorithm::kEdDSA : algorithm_from_name(alg);
}

bool is_sound_kid(std::string_view kid) {
  return !kid.empty() && kid.size() <= kKidBytesMax &&
         std::ranges::none_of(kid, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Judged<VerificationKey> import_jwk(const json::object& jwk) {
  std::optional<std::string_view> kty;
  if (!read_string(jwk, "kty", kty) || !kty) {
    return refuse(KeyFault::kMalformed, "Its kty is missing or not a string.");
  }
  if (auto judged = refuse_secrets(jwk, *kty); !judged) return std::unexpected(judged.error());
  auto kid = read_kid(jwk);
  if (!kid) return std::unexpected(kid.error());
  if (auto judged = judge_purpose(jwk); !judged) return std::unexpected(judged.error());
  auto key = import_material(jwk, *kty);
  if (key) key->kid = std::move(*kid);
  return key;
}

}  // namespace authcached
