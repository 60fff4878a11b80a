// Logout tokens against a fixed key set: nobody is logged out but by what was signed, as a logout token, for
// us; and its claims, read a second time here, must say who.
//
// First byte: 0 the token as it stands; 1 a good token with pieces replaced; 2 any header and claims, signed.
#include "daemon/token/logout_token.hpp"

#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/jwt_mint.hpp"

namespace {

using namespace authcached;
using authcache_fuzz::Bytes;
using authcache_test::SigningKey;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSecond;
constexpr std::string_view kIssuer = "https://issuer.example";
constexpr std::string_view kEvent = "http://schemas.openid.net/event/backchannel-logout";
constexpr std::string_view kHeader = R"({"alg":"EdDSA","typ":"logout+jwt","kid":"ed"})";
constexpr std::string_view kAnySeed =
    "a seed of 32 bytes, as good as 1";  // makes the replayed tokens repeatable

struct World {
  SigningKey ed = SigningKey::from_ed25519_seed(kAnySeed);
  KeySet keys = KeySet::parse(authcache_test::jwks({ed.public_jwk("ed")})).value();
  std::string good = authcache_test::mint(
      ed, "EdDSA", kHeader,
      R"({"iss":"https://issuer.example","aud":"web","iat":1700000000,"exp":1700000120,"jti":"l-1","sid":"s-1",)"
      R"("sub":"alice","events":{"http://schemas.openid.net/event/backchannel-logout":{}}})");
};

const World& world() {
  static const World made;
  return made;
}

bool is_identifier(const std::string& text) {
  return text.size() <= kIdentifierBytesMax && text.find('\0') == std::string::npos;
}

std::expected<Logout, std::string_view> verify(std::string_view token, std::uint8_t flags) {
  const LogoutPolicy policy{std::string(kIssuer),
                            {"web", "shop"},
                            {Algorithm::kES256, Algorithm::kEdDSA},
                            (flags & 1) != 0 ? 300 * kSecond : 0};
  auto logout = verify_logout_token(token, policy, world().keys, kNow);
  if (!logout) {
    FUZZ_REQUIRE(!logout.error().empty());
    return logout;
  }
  FUZZ_REQUIRE(!logout->sid.empty() || !logout->subject.empty());
  FUZZ_REQUIRE(is_identifier(logout->sid) && is_identifier(logout->subject) && is_identifier(logout->jti));
  FUZZ_REQUIRE(!logout->jti.empty() && logout->expires_wall_ns > kNow);
  FUZZ_REQUIRE(logout->issued_wall_ns <= kNow + policy.leeway_ns);
  FUZZ_REQUIRE(logout->expires_wall_ns - policy.leeway_ns - logout->issued_wall_ns <= kLogoutLifeMaxNs);
  // Past its end it is no more, to the nanosecond.
  FUZZ_REQUIRE(!verify_logout_token(token, policy, world().keys, logout->expires_wall_ns));
  return logout;
}

std::string edited(std::string token, Bytes& bytes) {
  while (!bytes.empty()) {
    const std::size_t at = bytes.take<std::uint16_t>() % (token.size() + 1);
    const std::size_t cut = bytes.byte() % 8;
    token.replace(at, cut, bytes.take_bytes(bytes.byte() % 8));
  }
  return token;
}

std::string_view text_of(const boost::json::object& claims, std::string_view name) {
  const auto* value = claims.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

void require_stated(const Logout& logout, std::string_view header, std::string_view payload) {
  const auto parsed = parse_jws_header(header);
  FUZZ_REQUIRE(parsed.has_value() && parsed->typ.has_value());
  FUZZ_REQUIRE(parsed->typ->size() == 10 || parsed->typ->size() == 22);  // with application/
  const auto document = parse_json(payload, kTokenJson);
  FUZZ_REQUIRE(document.has_value() && document->is_object());
  const auto& claims = document->as_object();
  FUZZ_REQUIRE(text_of(claims, "iss") == kIssuer && !claims.contains("nonce"));
  FUZZ_REQUIRE(text_of(claims, "sid") == logout.sid && text_of(claims, "sub") == logout.subject);
  FUZZ_REQUIRE(text_of(claims, "jti") == logout.jti);
  FUZZ_REQUIRE(claims.contains("aud") && claims.contains("iat") && claims.contains("exp"));
  const auto* events = claims.if_contains("events");
  FUZZ_REQUIRE(events != nullptr && events->is_object() && events->as_object().contains(kEvent));
  FUZZ_REQUIRE(events->as_object().at(kEvent).is_object());
}

void require_signed(Bytes& bytes, std::uint8_t flags) {
  const std::string_view own = bytes.take_counted();
  const std::string_view header = own.empty() ? kHeader : own;
  const std::string_view payload = bytes.rest();
  const auto logout = verify(authcache_test::mint(world().ed, "EdDSA", header, payload), flags);
  if (logout) require_stated(*logout, header, payload);
}

void require_unforged(std::string_view token, std::uint8_t flags) {
  const std::string& good = world().good;
  if (verify(token, flags))
    FUZZ_REQUIRE(token.substr(0, token.rfind('.')) == good.substr(0, good.rfind('.')));
}

}  // namespace

FUZZ_TARGET(logout_token) {
  Bytes bytes(input);
  const std::uint8_t choice = bytes.byte();
  const auto flags = static_cast<std::uint8_t>(choice >> 4);
  switch (choice % 4) {
    case 0: return require_unforged(bytes.rest(), flags);
    case 1: return require_unforged(edited(world().good, bytes), flags);
    default: return require_signed(bytes, flags);
  }
}
