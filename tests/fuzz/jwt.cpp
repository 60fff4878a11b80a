// JWTs against a fixed key set: nothing is valid but what was signed, however it is spelled; and what was
// signed is valid only if its claims, read a second time here, permit it.
//
// First byte: 0 the token as it stands; 1 a good token with pieces replaced; 2 any header and claims, signed.
#include "daemon/token/jwt.hpp"

#include <array>
#include <limits>
#include <set>
#include <vector>

#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/jwt_mint.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_fuzz::Bytes;
using authcache_test::KeyKind;
using authcache_test::SigningKey;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNowSeconds = 1'700'000'000;
constexpr std::int64_t kNow = kNowSeconds * kSecond;
constexpr std::int64_t kDay = std::int64_t{86'400} * kSecond;
constexpr std::string_view kIssuer = "https://issuer.example";
constexpr std::string_view kAnySeed =
    "a seed of 32 bytes, as good as 1";  // makes the replayed tokens repeatable

struct World {
  SigningKey ed = SigningKey::from_ed25519_seed(kAnySeed);
  SigningKey es = SigningKey::generate(KeyKind::kP256);
  SigningKey rs = SigningKey::generate(KeyKind::kRsa);
  KeySet keys =
      KeySet::parse(authcache_test::jwks({ed.public_jwk("ed"), es.public_jwk("es"), rs.public_jwk("rs")}))
          .value();
  std::vector<std::string> good;
  std::set<std::string> signed_inputs;

  World() {
    const std::string claims = authcache_test::Claims(kIssuer, "https://api.example", kNowSeconds).json();
    good = {authcache_test::mint_access_token(ed, "EdDSA", "ed", claims),
            authcache_test::mint_access_token(es, "ES256", "es", claims),
            authcache_test::mint_access_token(rs, "RS256", "rs", claims),
            authcache_test::mint_access_token(rs, "PS256", "rs", claims)};
    for (const std::string& token : good) signed_inputs.insert(token.substr(0, token.rfind('.')));
  }
};

const World& world() {
  static const World made;
  return made;
}

JwtPolicy policy(std::uint8_t flags) {
  using enum Algorithm;
  return {std::string(kIssuer),
          {kRS256, kPS256, kES256, kEdDSA},
          (flags & 1) != 0 ? TokenType::kLegacy : TokenType::kAccessToken,
          (flags & 2) != 0 ? 300 * kSecond : 0,
          (flags & 4) != 0 ? 0 : kDay};
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

void require_valid_proof(const Proof& proof, const JwtPolicy& with) {
  const auto& identity = proof.identity;
  FUZZ_REQUIRE(identity.issuer == kIssuer);
  FUZZ_REQUIRE(proof.expires_wall_ns.has_value() && *proof.expires_wall_ns > kNow);
  FUZZ_REQUIRE(proof.signing_input.has_value() && proof.key_thumbprint.has_value());
  FUZZ_REQUIRE(!proof.issued_wall_ns || *proof.issued_wall_ns <= kNow + with.leeway_ns);
  if (with.max_lifetime_ns > 0) {
    const std::int64_t from = proof.issued_wall_ns.value_or(kNow);
    FUZZ_REQUIRE(*proof.expires_wall_ns - with.leeway_ns - from <= with.max_lifetime_ns + kSecond);
  }
  for (const auto* text : {&identity.subject, &identity.client_id, &identity.sid, &identity.jti}) {
    FUZZ_REQUIRE(text->size() <= kIdentifierBytesMax && !has_nul(*text));
  }
  FUZZ_REQUIRE(identity.audience.size() <= kAudiencesMax);
  FUZZ_REQUIRE(identity.scopes.size() <= kGrantsMax && identity.permissions.size() <= kGrantsMax);
  for (const auto& scope : identity.scopes) FUZZ_REQUIRE(!scope.empty() && scope.size() <= kGrantBytesMax);
  FUZZ_REQUIRE(identity.claims_json.empty() || parse_json(identity.claims_json, kKeySetJson).has_value());
  if (with.token_type == TokenType::kAccessToken) {
    FUZZ_REQUIRE(!identity.subject.empty() && !identity.client_id.empty() && !identity.jti.empty());
    FUZZ_REQUIRE(!identity.audience.empty() && proof.issued_wall_ns.has_value());
  }
}

Proof require_any_proof(std::string_view token, const JwtPolicy& with) {
  Proof proof = verify_jwt(token, with, world().keys, kNow);
  FUZZ_REQUIRE(proof.verdict == Verdict::kValid || proof.verdict == Verdict::kInvalid);
  FUZZ_REQUIRE((proof.reason == Reason::kNone) == (proof.verdict == Verdict::kValid));
  FUZZ_REQUIRE(proof.signing_input.has_value() == split_compact_jws(token).has_value());
  if (!is_compact_jws(token)) FUZZ_REQUIRE(proof.verdict == Verdict::kInvalid);
  if (proof.verdict != Verdict::kValid) {
    FUZZ_REQUIRE(proof.identity == Identity());
    return proof;
  }
  require_valid_proof(proof, with);
  // Past its end it is expired, to the nanosecond.
  const Proof later = verify_jwt(token, with, world().keys, *proof.expires_wall_ns);
  FUZZ_REQUIRE(later.verdict == Verdict::kInvalid && later.reason == Reason::kExpired);
  return proof;
}

void require_unforged(std::string_view token, const JwtPolicy& with) {
  if (require_any_proof(token, with).verdict != Verdict::kValid) return;
  FUZZ_REQUIRE(world().signed_inputs.contains(std::string(token.substr(0, token.rfind('.')))));
}

std::string edited(std::string token, Bytes& bytes) {
  while (!bytes.empty()) {
    const std::size_t at = bytes.take<std::uint16_t>() % (token.size() + 1);
    const std::size_t cut = bytes.byte() % 8;
    token.replace(at, cut, bytes.take_bytes(bytes.byte() % 8));
  }
  return token;
}

// Only these of the claims decide; whoever reads them otherwise than the daemon does has found a difference.
bool claims_permit(std::string_view payload, const JwtPolicy& with) {
  const auto document = parse_json(payload, kTokenJson);
  if (!document || !document->is_object()) return false;
  const auto& claims = document->as_object();
  const auto* issuer = claims.if_contains("iss");
  const auto* expiry = claims.if_contains("exp");
  if (issuer == nullptr || !issuer->is_string() || expiry == nullptr || !expiry->is_number()) return false;
  const double end = expiry->to_number<double>();
  const double leeway = static_cast<double>(with.leeway_ns) / static_cast<double>(kSecond);
  return issuer->as_string() == boost::json::string_view(kIssuer.data(), kIssuer.size()) &&
         end + leeway > static_cast<double>(kNowSeconds);
}

void require_signed(Bytes& bytes, const JwtPolicy& with) {
  const std::string_view own_header = bytes.take_counted();
  const std::string_view header =
      own_header.empty() ? R"({"alg":"EdDSA","typ":"at+jwt","kid":"ed"})" : own_header;
  const std::string_view payload = bytes.rest();
  const std::string token = authcache_test::mint(world().ed, "EdDSA", header, payload);
  if (require_any_proof(token, with).verdict != Verdict::kValid) return;
  FUZZ_REQUIRE(claims_permit(payload, with));
  const auto parsed = parse_jws_header(header);
  FUZZ_REQUIRE(parsed.has_value() && parsed->algorithm == Algorithm::kEdDSA);
}

}  // namespace

FUZZ_TARGET(jwt) {
  Bytes bytes(input);
  const std::uint8_t mode = bytes.byte();
  const JwtPolicy with = policy(static_cast<std::uint8_t>(mode >> 4));
  switch (mode % 3) {
    case 0: return require_unforged(bytes.rest(), with);
    case 1: {
      const auto& good = world().good;
      const std::string& base = good[bytes.byte() % good.size()];
      return require_unforged(edited(base, bytes), with);
    }
    default: return require_signed(bytes, with);
  }
}
