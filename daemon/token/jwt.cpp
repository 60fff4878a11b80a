#include "daemon/token/jwt.hpp"

#include <exception>
#include <expected>
#include <optional>
#include <string>

#include "daemon/token/base64url.hpp"
#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/media_type.hpp"

namespace authcached {
namespace {

namespace json = boost::json;
using authcache::shm::Reason;
using authcache::shm::Verdict;

bool is_accepted_type(const JwsHeader& header, TokenType wanted) {
  // A nested JWT says so by its cty (RFC 7519 section 5.2); none is taken.
  if (header.cty && short_media_type(*header.cty) == "jwt") return false;
  if (!header.typ) return wanted == TokenType::kLegacy;
  const std::string type = short_media_type(*header.typ);
  return type == "at+jwt" || (wanted == TokenType::kLegacy && type == "jwt");
}

// Cheap refusals first; what the payload says is parsed only once the signature is good.
std::expected<Proof, Reason> prove(const CompactJws& jws, const JwtPolicy& policy, const KeySet& keys,
                                   std::int64_t wall_now_ns) {
  const std::optional<std::string> header_text = base64url_decode(jws.header);
  const std::optional<std::string> payload = base64url_decode(jws.payload);
  if (!header_text || !payload || payload->empty()) return std::unexpected(Reason::kMalformed);
  const auto header = parse_jws_header(*header_text);
  if (!header) return std::unexpected(header.error());
  if (!is_accepted_type(*header, policy.token_type)) return std::unexpected(Reason::kType);
  const auto key = verify_jws(jws, *header, policy.algorithms, keys);
  if (!key) return std::unexpected(key.error());
  const auto document = parse_json(*payload, kTokenJson);
  const json::object* claims = document ? document->if_object() : nullptr;
  if (claims == nullptr) return std::unexpected(Reason::kMalformed);
  Proof proof = judge_claims(*claims, policy, wall_now_ns);
  if (proof.verdict == Verdict::kValid) proof.key_thumbprint = (*key)->thumbprint;
  return proof;
}

Proof judge(std::string_view token, const JwtPolicy& policy, const KeySet& keys, std::int64_t wall_now_ns) {
  const auto jws = split_compact_jws(token);
  std::expected<Proof, Reason> proof = std::unexpected(jws ? Reason::kMalformed : jws.error());
  if (jws) proof = prove(*jws, policy, keys, wall_now_ns);
  if (!proof) {
    Proof refused;
    refused.verdict = proof.error() == Reason::kUpstream ? Verdict::kUnavailable : Verdict::kInvalid;
    refused.reason = proof.error();
    proof = std::move(refused);
  }
  if (jws) proof->signing_input = signing_input_digest(*jws);
  return std::move(*proof);
}

}  // namespace

bool is_compact_jws(std::string_view token) {
  const auto jws = split_compact_jws(token);
  return jws && !jws->payload.empty();
}

Proof verify_jwt(std::string_view token, const JwtPolicy& policy, const KeySet& keys,
                 std::int64_t wall_now_ns) {
  try {
    return judge(token, policy, keys, wall_now_ns);
  } catch (const std::exception&) {
    // Want of memory says nothing about the token: it must not be remembered as bad.
    Proof unknown;
    unknown.verdict = Verdict::kUnavailable;
    unknown.reason = Reason::kOverloaded;
    return unknown;
  }
}

}  // namespace authcached
