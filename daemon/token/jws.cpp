#include "daemon/token/jws.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"

namespace authcached {

namespace json = boost::json;
using authcache::shm::Reason;

namespace {

bool is_segment(std::string_view segment) {
  return segment.size() % 4 != 1 && std::ranges::all_of(segment, is_base64url_char);
}

bool copy_string(const json::object& object, std::string_view name, std::optional<std::string>& out) {
  std::optional<std::string_view> text;
  if (!read_string(object, name, text)) return false;
  if (text) out.emplace(*text);
  return true;
}

}  // namespace

std::expected<CompactJws, Reason> split_compact_jws(std::string_view token) {
  if (token.size() > kTokenBytesMax) return std::unexpected(Reason::kTooLong);
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::unexpected(Reason::kMalformed);
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::unexpected(Reason::kMalformed);
  // A third dot is no base64url character, so that the last segment's test refuses it.
  const CompactJws jws{token.substr(0, first), token.substr(first + 1, second - first - 1),
                       token.substr(second + 1), token.substr(0, second)};
  const bool sound = !jws.header.empty() && !jws.signature.empty() && is_segment(jws.header) &&
                     is_segment(jws.payload) && is_segment(jws.signature);
  if (!sound) return std::unexpected(Reason::kMalformed);
  return jws;
}

Sha256 signing_input_digest(const CompactJws& jws) {
  Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(jws.signing_input.data()), jws.signing_input.size(),
         digest.data());
  return digest;
}

std::expected<JwsHeader, Reason> parse_jws_header(std::string_view text) {
  const auto value = parse_json(text, kTokenJson);
  const json::object* object = value ? value->if_object() : nullptr;
  if (object == nullptr) return std::unexpected(Reason::kMalformed);
  std::optional<std::string_view> alg;
  if (!read_string(*object, "alg", alg) || !alg) return std::unexpected(Reason::kAlgorithm);
  const std::optional<Algorithm> algorithm = jose_algorithm(*alg);
  if (!algorithm) return std::unexpected(Reason::kAlgorithm);
  if (object->contains("crit") || object->contains("b64")) return std::unexpected(Reason::kCritical);
  JwsHeader header{*algorithm, {}, {}, {}};
  if (!copy_string(*object, "kid", header.kid) || (header.kid && !is_sound_kid(*header.kid))) {
    return std::unexpected(Reason::kMalformed);
  }
  if (!copy_string(*object, "typ", header.typ) || !copy_string(*object, "cty", header.cty)) {
    return std::unexpected(Reason::kType);
  }
  return header;
}

std::expected<const VerificationKey*, Reason> verify_jws(const CompactJws& jws, const JwsHeader& header,
                                                         std::span<const Algorithm> allowed,
                                                         const KeySet& keys) {
  if (std::ranges::find(allowed, header.algorithm) == allowed.end())
    return std::unexpected(Reason::kAlgorithm);
  const auto key = keys.find(header.kid, header.algorithm);
  if (!key) return key;
  const std::optional<std::string> signature = base64url_decode(jws.signature);
  if (!signature) return std::unexpected(Reason::kMalformed);
  switch (check_signature(header.algorithm, **key, jws.signing_input, *signature)) {
    case SignatureCheck::kGood: return key;
    case SignatureCheck::kBad: return std::unexpected(Reason::kBadSignature);
    case SignatureCheck::kCannotTell: break;
  }
  return std::unexpected(Reason::kUpstream);
}

}  // namespace authcached
