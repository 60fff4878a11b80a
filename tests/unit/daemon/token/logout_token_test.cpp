#include "daemon/token/logout_token.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/token/token_fixture.hpp"

namespace authcache_test {
namespace {

using authcached::Logout;
using authcached::LogoutPolicy;

constexpr std::string_view kEvent = R"({"http://schemas.openid.net/event/backchannel-logout":{}})";
constexpr std::int64_t kHour = 3'600;

Claims logout() {
  Claims made(kIssuer, "web", kNow);
  made.without("client_id")
      .number("exp", kNow + 120)
      .text("jti", "l-1")
      .text("sid", "s-1")
      .set("events", kEvent);
  return made;
}

std::string sign(const Claims& claims, const std::string& typ = "logout+jwt") {
  return mint(ed25519_key(), "EdDSA", R"({"alg":"EdDSA","kid":"ed","typ":")" + typ + "\"}", claims.json());
}

LogoutPolicy for_us(std::int64_t leeway_seconds = 0) {
  return {std::string(kIssuer), {"shop", "web"}, policy().algorithms, leeway_seconds * kNanos};
}

// "sid/sub/jti", or the sentence that refuses it.
std::string said(const std::string& token, const LogoutPolicy& with = for_us(),
                 std::int64_t now_ns = kNow * kNanos) {
  const auto found = verify_logout_token(token, with, all_keys(), now_ns);
  return found ? found->sid + "/" + found->subject + "/" + found->jti : std::string(found.error());
}

TEST(LogoutToken, A9_1_SaysWhoAndUntilWhenItIsToBeRemembered) {
  const auto found = verify_logout_token(sign(logout()), for_us(30), all_keys(), kNow * kNanos);
  ASSERT_TRUE(found.has_value()) << found.error();
  EXPECT_EQ(found->sid, "s-1");
  EXPECT_EQ(found->subject, "alice");
  EXPECT_EQ(found->jti, "l-1");
  EXPECT_EQ(found->issued_wall_ns, kNow * kNanos);
  EXPECT_EQ(found->expires_wall_ns, (kNow + 150) * kNanos);
  EXPECT_EQ(said(sign(logout().without("sid"))), "/alice/l-1");
  EXPECT_EQ(said(sign(logout().without("sub"))), "s-1//l-1");
}

TEST(LogoutToken, A9_1_OneOfSeveralAudiencesSufficesAndTheTypeIsReadAsAMediaType) {
  const std::string good = "s-1/alice/l-1";
  EXPECT_EQ(said(sign(logout().set("aud", R"(["other","shop"])"))), good);
  EXPECT_EQ(said(sign(logout(), "application/logout+jwt")), good);
  EXPECT_EQ(said(sign(logout(), "LOGOUT+JWT")), good);
  EXPECT_EQ(
      said(sign(logout().set(
          "events", R"({"urn:other":{},"http://schemas.openid.net/event/backchannel-logout":{"a":1}})"))),
      good);
}

TEST(LogoutToken, A9_2_EachThingThatIsWrongIsNamed) {
  const std::pair<Claims, const char*> refused[] = {
      {logout().text("nonce", "n"), "nonce must not be there"},
      {logout().set("nonce", "null"), "nonce must not be there"},
      {logout().without("sid").without("sub"), "neither sid nor sub"},
      {logout().without("events"), "no back-channel logout event"},
      {logout().text("events", "http://schemas.openid.net/event/backchannel-logout"), "no back-channel"},
      {logout().set("events", R"(["http://schemas.openid.net/event/backchannel-logout"])"),
       "no back-channel"},
      {logout().set("events", R"({"http://schemas.openid.net/event/backchannel-logout":null})"),
       "no back-channel"},
      {logout().set("events", R"({"http://schemas.openid.net/event/backchannel-logout/":{}})"),
       "no back-channel"},
      {logout().text("aud", "other"), "aud names none"},
      {logout().text("aud", ""), "aud names none"},
      {logout().set("aud", "[]"), "aud names none"},
      {logout().set("aud", R"(["web",1])"), "aud names none"},
      {logout().without("aud"), "aud names none"},
      {logout().text("iss", std::string(kIssuer) + "/"), "iss is not"},
      {logout().without("iss"), "iss is not"},
      {logout().without("jti"), "jti is missing"},
      {logout().text("jti", ""), "jti is missing"},
      {logout().number("sid", 1), "sid or sub is no text"},
      {logout().text("sid", ""), "sid or sub is no text"},
      {logout().text("sub", std::string(5'000, 'a')), "sid or sub is no text"},
      {logout().without("iat"), "iat is missing"},
      {logout().without("exp"), "exp is missing"},
      {logout().text("exp", "2100000000"), "exp is missing"},
  };
  for (const auto& [claims, sentence] : refused)
    EXPECT_NE(said(sign(claims)).find(sentence), std::string::npos) << claims.json();
}

TEST(LogoutToken, A9_2_ItsTimesAreJudgedToTheSecond) {
  const auto at = [](std::int64_t iat, std::int64_t exp, std::int64_t leeway = 0) {
    return said(sign(logout().number("iat", kNow + iat).number("exp", kNow + exp)), for_us(leeway));
  };
  const std::string good = "s-1/alice/l-1";
  EXPECT_EQ(at(0, 1), good);
  EXPECT_EQ(at(-1, 0), "the logout token has expired");
  EXPECT_EQ(at(-1, 0, 1), good);
  EXPECT_EQ(at(-2, -1, 1), "the logout token has expired");
  EXPECT_EQ(at(1, 60), "iat is later than now");
  EXPECT_EQ(at(1, 60, 1), good);
  EXPECT_EQ(at(0, kHour), good);
  EXPECT_EQ(at(0, kHour + 1), "the logout token lives longer than an hour");
  EXPECT_EQ(at(-kHour, 1), "the logout token lives longer than an hour");
  // Past what 64 bits of nanoseconds hold nothing wraps round into a good one.
  EXPECT_NE(at(-kNow, std::int64_t{1} << 60), good);
  EXPECT_NE(said(sign(logout().number("iat", -(std::int64_t{1} << 60)))), good);
}

TEST(LogoutToken, A9_2_OnlyALogoutTokenOfTheIssuersOwnKeysCounts) {
  const auto with_header = [](const SigningKey& key, const char* algorithm, const std::string& header) {
    return said(mint(key, algorithm, header, logout().json()));
  };
  EXPECT_EQ(said(sign(logout(), "JWT")), "typ is not logout+jwt");
  EXPECT_EQ(said(sign(logout(), "at+jwt")), "typ is not logout+jwt");
  EXPECT_EQ(said(sign(logout(), "")), "typ is not logout+jwt");
  EXPECT_EQ(with_header(ed25519_key(), "EdDSA", R"({"alg":"EdDSA","kid":"ed"})"), "typ is not logout+jwt");
  const SigningKey stranger = SigningKey::generate(KeyKind::kEd25519);
  EXPECT_NE(
      with_header(stranger, "EdDSA", R"({"alg":"EdDSA","kid":"ed","typ":"logout+jwt"})").find("signature"),
      std::string::npos);
  EXPECT_NE(
      with_header(ed25519_key(), "EdDSA", R"({"alg":"EdDSA","kid":"ed","typ":"logout+jwt","crit":["x"]})")
          .find("critical"),
      std::string::npos);
  EXPECT_NE(said(base64url(R"({"alg":"none","typ":"logout+jwt"})") + "." + base64url(logout().json()) + ".AA")
                .find("algorithm"),
            std::string::npos);
  LogoutPolicy narrow = for_us();
  narrow.algorithms = {authcached::Algorithm::kES256};
  EXPECT_NE(said(sign(logout()), narrow).find("signature"), std::string::npos);
  LogoutPolicy nobody = for_us();
  nobody.issuer.clear();
  EXPECT_EQ(said(sign(logout().text("iss", "")), nobody), "iss is not the profile's issuer");
  for (const char* junk : {"", "..", "a.b", "a.b.c", "a.b.c.d.e", "{}"})
    EXPECT_NE(said(junk), "s-1/alice/l-1") << junk;
}

TEST(LogoutToken, B18_NoRefusalRepeatsAnythingOfTheToken) {
  std::string token = sign(logout().text("sid", "canary-sid").text("nonce", "canary-nonce"));
  EXPECT_EQ(said(token).find("canary"), std::string::npos);
  token.back() = token.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(said(token).find(token.substr(0, 20)), std::string::npos);
}

}  // namespace
}  // namespace authcache_test
