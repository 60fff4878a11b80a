#include "daemon/token/dpop.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <string>

#include "daemon/base/sha256.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/token/http_uri.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jwk.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/numeric_date.hpp"
#include "shm/wire.hpp"

namespace authcached {

namespace {

namespace json = boost::json;
using authcache::shm::Reason;
template <class T>
using Judged = std::expected<T, Reason>;

constexpr std::array kAlgorithms{Algorithm::kES256, Algorithm::kES384, Algorithm::kES512, Algorithm::kEdDSA};

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Checks 4, 5 and 7: what the header says, and its key. The key is judged as strictly as a published one.
Judged<VerificationKey> read_key(std::string_view text, Algorithm& algorithm) {
  const auto header = parse_jws_header(text);
  if (!header) return std::unexpected(header.error());
  if (header->typ != "dpop+jwt" || header->cty) return std::unexpected(Reason::kType);
  if (std::ranges::find(kAlgorithms, header->algorithm) == kAlgorithms.end())
    return std::unexpected(Reason::kAlgorithm);
  algorithm = header->algorithm;
  const auto document = parse_json(text, kTokenJson);
  const json::value* jwk = document ? document->get_object().if_contains("jwk") : nullptr;
  if (jwk == nullptr || !jwk->is_object()) return std::unexpected(Reason::kProofKey);
  // Before the import, whose cost for this kind the sender must not make us pay.
  std::optional<std::string_view> type;
  if (!read_string(jwk->get_object(), "kty", type) || type == "RSA")
    return std::unexpected(Reason::kProofKey);
  auto key = import_jwk(jwk->get_object());
  if (!key) return std::unexpected(Reason::kProofKey);
  if (!key->serves(algorithm)) return std::unexpected(Reason::kAlgorithm);
  return std::move(*key);
}

// Check 6.
Reason judge_signature(const CompactJws& jws, Algorithm algorithm, const VerificationKey& key) {
  const auto signature = base64url_decode(jws.signature);
  if (!signature) return Reason::kMalformed;
  switch (check_signature(algorithm, key, jws.signing_input, *signature)) {
    case SignatureCheck::kGood: return Reason::kNone;
    case SignatureCheck::kBad: return Reason::kBadSignature;
    case SignatureCheck::kCannotTell: break;
  }
  return Reason::kOverloaded;
}

// Check 11, and the two other times that a JWT may state (RFC 7519 sections 4.1.4 and 4.1.5).
Reason judge_times(const json::object& claims, std::int64_t wall_now_ns, std::int64_t& issued_ns) {
  const json::value* const iat = claims.if_contains("iat");
  const auto issued = iat == nullptr ? std::nullopt : numeric_date_ns(*iat, Rounding::kFloor);
  if (!issued) return Reason::kClaims;
  if (*issued < wall_now_ns - kProofAgeMaxNs) return Reason::kExpired;
  if (*issued > wall_now_ns + kProofAheadMaxNs) return Reason::kNotYetValid;
  issued_ns = *issued;
  if (const json::value* exp = claims.if_contains("exp")) {
    const auto end = numeric_date_ns(*exp, Rounding::kFloor);
    if (!end) return Reason::kClaims;
    if (*end <= wall_now_ns) return Reason::kExpired;
  }
  if (const json::value* nbf = claims.if_contains("nbf")) {
    const auto begin = numeric_date_ns(*nbf, Rounding::kCeil);
    if (!begin) return Reason::kClaims;
    if (*begin > wall_now_ns + kProofAheadMaxNs) return Reason::kNotYetValid;
  }
  return Reason::kNone;
}

// Checks 8, 9, 10 and 12: that the proof is for this request.
Reason judge_request(const json::object& claims, const DpopRequest& request) {
  std::optional<std::string_view> htm, htu, ath, nonce;
  if (!read_string(claims, "htm", htm) || !htm || !read_string(claims, "htu", htu) || !htu ||
      !read_string(claims, "ath", ath) || !ath || !read_string(claims, "nonce", nonce)) {
    return Reason::kClaims;
  }
  if (*htm != request.method) return Reason::kProofMethod;
  const auto asked = normal_http_uri(request.url), proved = normal_http_uri(*htu);
  if (!asked || !proved || *asked != *proved) return Reason::kProofUrl;
  if (*ath != base64url_encode(bytes_of(request.token))) return Reason::kProofToken;
  if (request.nonce && nonce != request.nonce) return Reason::kProofNonce;
  return Reason::kNone;
}

// Check 3 for jti.
Judged<Sha256> read_id(const json::object& claims, const Sha256& thumbprint) {
  std::optional<std::string_view> jti;
  if (!read_string(claims, "jti", jti) || !jti || jti->empty() || jti->size() > kProofIdBytesMax) {
    return std::unexpected(Reason::kClaims);
  }
  // The thumbprint's length is fixed, so no two pairs read the same. Without it, whoever has a key could use
  // up the identifiers of another's proofs.
  return sha256(std::string(bytes_of(thumbprint)).append(*jti));
}

Judged<DpopProof> judge(std::string_view proof, const DpopRequest& request, std::int64_t wall_now_ns) {
  if (const Reason reason = judge_dpop_shape(proof); reason != Reason::kNone) return std::unexpected(reason);
  const auto jws = split_compact_jws(proof);
  if (!jws) return std::unexpected(jws.error());
  const auto header = base64url_decode(jws->header), payload = base64url_decode(jws->payload);
  if (!header || !payload) return std::unexpected(Reason::kMalformed);
  Algorithm algorithm{};
  const auto key = read_key(*header, algorithm);
  if (!key) return std::unexpected(key.error());
  // A claim is not looked at before the signature: what comes out of an unsigned one would be the sender's to
  // choose.
  if (const Reason reason = judge_signature(*jws, algorithm, *key); reason != Reason::kNone)
    return std::unexpected(reason);
  const auto document = parse_json(*payload, kTokenJson);
  const json::object* claims = document ? document->if_object() : nullptr;
  if (claims == nullptr) return std::unexpected(Reason::kMalformed);
  const auto id = read_id(*claims, key->thumbprint);
  if (!id) return std::unexpected(id.error());
  DpopProof good{key->thumbprint, *id, 0};
  if (const Reason reason = judge_request(*claims, request); reason != Reason::kNone)
    return std::unexpected(reason);
  if (const Reason reason = judge_times(*claims, wall_now_ns, good.issued_wall_ns); reason != Reason::kNone) {
    return std::unexpected(reason);
  }
  return good;
}

}  // namespace

Reason judge_dpop_shape(std::string_view proof) {
  if (proof.size() > authcache::shm::wire::kProofBytesMax) return Reason::kTooLong;
  const auto jws = split_compact_jws(proof);
  return jws && !jws->payload.empty() ? Reason::kNone : Reason::kMalformed;
}

Judged<DpopProof> verify_dpop(std::string_view proof, const DpopRequest& request, std::int64_t wall_now_ns) {
  try {
    return judge(proof, request, wall_now_ns);
  } catch (const std::exception&) {
    return std::unexpected(Reason::kOverloaded);
  }
}

}  // namespace authcached
