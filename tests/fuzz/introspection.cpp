// Answers of an introspection endpoint: nothing is valid but what says so by the boolean true, within its own times; and of
// a signed one, only what the issuer signed for this client just now.
//
// First byte: 0 a plain answer; 1 a signed one as it stands; 2 any claims, signed; 3 any members in a good signed answer.
#include "daemon/token/introspection.hpp"

#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/jwt_mint.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_test::Claims;
using authcache_test::SigningKey;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000;
constexpr std::string_view kIssuer = "https://issuer.example";
constexpr std::string_view kHeader = R"({"alg":"EdDSA","kid":"ed","typ":"token-introspection+jwt"})";

struct World {
  SigningKey key = SigningKey::from_ed25519_seed("a seed of 32 bytes, as good as 1");
  KeySet keys = KeySet::parse(authcache_test::jwks({key.public_jwk("ed")})).value();
};
const World& world() {
  static const World made;
  return made;
}

IntrospectionPolicy policy() {
  IntrospectionPolicy made;
  made.issuer = kIssuer;
  made.client_id = "rs";
  made.algorithms = {Algorithm::kEdDSA};
  made.leeway_ns = 30 * kSecond;
  made.max_lifetime_ns = 86'400 * kSecond;
  return made;
}

// What a valid proof must have stood in.
void require_active(const boost::json::object& members, const Proof& proof) {
  FUZZ_REQUIRE(members.at("active").is_bool() && members.at("active").get_bool());
  if (const auto* issuer = members.if_contains("iss")) FUZZ_REQUIRE(std::string_view(issuer->as_string()) == kIssuer);
  FUZZ_REQUIRE(members.contains("token_type"));
  FUZZ_REQUIRE(members.contains("exp") == proof.expires_wall_ns.has_value());
  if (proof.expires_wall_ns) FUZZ_REQUIRE(*proof.expires_wall_ns > kNow * kSecond);
}

void require_sound(const authcache::shm::Result<Proof>& proof) {
  if (!proof) return FUZZ_REQUIRE(!proof.error().message.empty());
  FUZZ_REQUIRE(proof->verdict == Verdict::kValid || proof->verdict == Verdict::kInvalid);
  FUZZ_REQUIRE((proof->verdict == Verdict::kValid) == (proof->reason == Reason::kNone));
  if (proof->verdict == Verdict::kInvalid) FUZZ_REQUIRE(proof->identity.subject.empty() && !proof->expires_wall_ns);
}

void judge_plain(std::string_view body) {
  const auto proof = judge_introspection(body, policy(), kNow * kSecond);
  require_sound(proof);
  if (!proof || proof->verdict != Verdict::kValid) return;
  const auto document = parse_json(body, {kIntrospectionBytesMax, 4'096});
  FUZZ_REQUIRE(document && document->is_object());
  require_active(document->as_object(), *proof);
}

void judge_signed(std::string_view body, bool by_us) {
  const auto proof = judge_signed_introspection(body, policy(), world().keys, kNow * kSecond);
  require_sound(proof);
  if (!proof || proof->verdict != Verdict::kValid) return;
  FUZZ_REQUIRE(by_us && proof->key_thumbprint);
  const auto jws = split_compact_jws(body);
  const auto claims = parse_json(*base64url_decode(jws->payload), kTokenJson);
  FUZZ_REQUIRE(std::string_view(claims->as_object().at("iss").as_string()) == kIssuer);
  FUZZ_REQUIRE(claims->as_object().contains("aud") && claims->as_object().contains("iat"));
  require_active(claims->as_object().at("token_introspection").as_object(), *proof);
}

}  // namespace

FUZZ_TARGET(introspection) {
  authcache_fuzz::Bytes bytes(input);
  const std::uint8_t mode = bytes.byte() % 4;
  const std::string_view rest = bytes.rest();
  if (mode == 0) return judge_plain(rest);
  if (mode == 1) return judge_signed(rest, false);
  const std::string claims =
      mode == 2 ? std::string(rest)
                : Claims(kIssuer, "rs", kNow).without("exp").without("sub").set("token_introspection", rest).json();
  judge_signed(authcache_test::mint(world().key, "EdDSA", kHeader, claims), true);
}
