// POST /introspect, /revoke and /logout/PROFILE of the HTTP face.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>

#include "tests/process/support/http_scene.hpp"
#include "tests/process/support/reader_process.hpp"

namespace authcache_test {
namespace {

namespace json = boost::json;
constexpr std::string_view kEvent = R"({"http://schemas.openid.net/event/backchannel-logout":{}})";
const FieldLines kClient{basic("rs", "s3cret")};

HttpReply introspect(const HttpScene& scene, const std::string& token,
                     const std::string& query = "profile=api", const FieldLines& fields = kClient) {
  return scene.ask(
      http_post("/introspect?" + query, "token=" + token + "&token_type_hint=access_token", fields));
}
HttpReply revoke(const HttpScene& scene, const std::string& form, const FieldLines& fields = kClient) {
  return scene.ask(http_post("/revoke", form, fields));
}

// What a process that uses nothing of ours as another user gets for this request. Needs root.
int status_as(uid_t uid, gid_t gid, const std::vector<gid_t>& groups, const std::filesystem::path& socket,
              const std::string& request) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other =
        ::setgroups(groups.size(), groups.data()) == 0 && ::setgid(gid) == 0 && ::setuid(uid) == 0;
    const HttpReply reply = other ? HttpPeer(socket).ask(request) : HttpReply{};
    ::_exit(reply.status / 100 * 10 + reply.status % 10);  // an exit status has 8 bits: 200 -> 20, 401 -> 41
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST(HttpIntrospection, TellsOfAGoodTokenWhatIsKnownAndOfABadOneNothing) {
  HttpScene scene;
  const Claims claims = scene.issuer.claims();
  const std::string token = scene.issuer.es256(claims);
  const HttpReply reply = introspect(scene, token);
  ASSERT_EQ(reply.status, 200) << reply.bytes;
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_EQ(reply.field("Content-Type"), "application/json");
  const json::object told = json::parse(reply.body).as_object();
  const json::object stated = json::parse(claims.json()).as_object();
  EXPECT_TRUE(told.at("active").as_bool());
  EXPECT_EQ(told.at("sub").as_string(), "alice");
  EXPECT_EQ(told.at("iss").as_string(), kIssuer);
  EXPECT_EQ(told.at("client_id").as_string(), "web");
  EXPECT_EQ(told.at("scope").as_string(), "read write");
  EXPECT_EQ(told.at("aud").as_array().at(0).as_string(), kAudience);
  EXPECT_EQ(told.at("exp"), stated.at("exp"));
  EXPECT_EQ(told.at("iat"), stated.at("iat"));
  EXPECT_EQ(told.at("jti"), stated.at("jti"));
  EXPECT_EQ(introspect(scene, "nonsense").body, R"({"active":false})");
  EXPECT_EQ(introspect(scene, token, "profile=api&audience=https://other.example").body,
            R"({"active":false})");
  // The twin's leeway is part of how long its record lives, not of what the token says.
  EXPECT_EQ(json::parse(introspect(scene, token, "profile=twin").body).at("exp"), stated.at("exp"));
}

TEST(HttpIntrospection, ABoundTokenIsActiveAndItsKeyIsTold) {
  HttpScene scene;
  const std::string thumbprint = base64url(std::string(32, 'k'));
  const std::string token =
      scene.issuer.es256(scene.issuer.claims().set("cnf", "{\"jkt\":\"" + thumbprint + "\"}"));
  const json::object told = json::parse(introspect(scene, token).body).as_object();
  EXPECT_TRUE(told.at("active").as_bool());
  EXPECT_EQ(told.at("token_type").as_string(), "DPoP");
  EXPECT_EQ(told.at("cnf").at("jkt").as_string(), thumbprint);
  EXPECT_EQ(scene.auth(token).status, 401);
}

TEST(HttpIntrospection, WhatNobodyCanTellIsNotInactive) {
  HttpScene scene({}, {}, {.limits = "misses_per_second_per_uid = 1\nmiss_burst_per_uid = 1"});
  int unavailable = 0;
  for (int i = 0; i < 4; ++i) unavailable += introspect(scene, scene.issuer.es256()).status == 503 ? 1 : 0;
  EXPECT_GE(unavailable, 2);
  EXPECT_EQ(introspect(scene, "a", "profile=nobody").status, 503);
}

TEST(HttpClients, AClientMayDoNoMoreThanItsConfigurationSays) {
  HttpScene scene({}, "[http.client.reader]\nsecret_file = \"@secret@\"\nmay = [\"introspect\"]\n");
  EXPECT_EQ(introspect(scene, "a", "profile=api", {basic("reader", "s3cret")}).status, 200);
  const HttpReply refused = revoke(scene, "token=a", {basic("reader", "s3cret")});
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("unauthorized_client"), std::string::npos);
  EXPECT_EQ(scene.daemon.stat("daemon", "rules"), 0);
}

TEST(HttpClients, CredentialsAreTakenByHeaderOrByFormAndOnlyOnce) {
  HttpScene scene;
  const uid_t nobody = 4'321;
  ASSERT_EQ(::chmod(scene.socket().c_str(), 0666), 0);  // else nobody but root reaches it here
  for (auto dir = scene.socket().parent_path(); dir.native().size() > std::string("/dev/shm").size();
       dir = dir.parent_path())
    ::chmod(dir.c_str(), 0755);
  const auto status = [&](const std::string& form, const FieldLines& fields) {
    return status_as(nobody, nobody, {}, scene.socket(), http_post("/introspect?profile=api", form, fields));
  };
  EXPECT_EQ(status("token=a", {}), 41);
  EXPECT_EQ(status("token=a", {basic("rs", "s3cret")}), 20);
  EXPECT_EQ(status("token=a", {basic("rs", "s3cre")}), 41);
  EXPECT_EQ(status("token=a", {basic("rs", "")}), 41);
  EXPECT_EQ(status("token=a", {basic("nobody", "s3cret")}), 41);
  EXPECT_EQ(status("token=a", {"Authorization: Basic !!!!"}), 41);
  EXPECT_EQ(status("token=a", {"Authorization: Bearer abc"}), 41);
  EXPECT_EQ(status("token=a&client_id=rs&client_secret=s3cret", {}), 20);
  EXPECT_EQ(status("token=a&client_id=rs&client_secret=S3cret", {}), 41);
  EXPECT_EQ(status("token=a&client_id=rs", {}), 41);
  EXPECT_EQ(status("token=a&client_id=rs&client_secret=s3cret", {basic("rs", "s3cret")}), 40);
  EXPECT_EQ(status("token=a", {basic("rs", "s3cret"), basic("rs", "s3cret")}), 40);
  EXPECT_EQ(status_as(nobody, nobody, {}, scene.socket(), http_post("/revoke", "token=a")), 41);
  // Members of the admin group, as their first group or as a further one, need none; the daemon's own group
  // is it here.
  EXPECT_EQ(status_as(nobody, ::getegid(), {}, scene.socket(), http_post("/revoke", "token=a")), 20);
  EXPECT_EQ(status_as(nobody, nobody, {7, ::getegid()}, scene.socket(), http_post("/revoke", "token=a")), 20);
  EXPECT_EQ(scene.http_stat("bad_client"), 9);
  EXPECT_EQ(scene.daemon.log().find("s3cret"), std::string::npos);
}

TEST(HttpForms, A7_3_WhatCanBeReadInTwoWaysIsRefused) {
  HttpScene scene;
  EXPECT_EQ(revoke(scene, "token=a&token=b").status, 400);
  EXPECT_EQ(revoke(scene, "").status, 400);
  EXPECT_EQ(revoke(scene, "token=").status, 400);
  EXPECT_EQ(revoke(scene, "token=%zz").status, 400);
  EXPECT_EQ(revoke(scene, "token").status, 400);
  EXPECT_EQ(scene.ask(http_post("/revoke?token=a", "token=a", kClient)).status, 400);
  EXPECT_EQ(scene.ask(http_get("/revoke", kClient)).status, 405);
  EXPECT_EQ(scene
                .ask("POST /revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/json\r\nContent-Length: 13\r\n\r\n{\"token\":\"a\"}")
                .status,
            400);
  EXPECT_EQ(introspect(scene, "a", "").status, 400);
  EXPECT_EQ(introspect(scene, "a", "profile=api&scope=read").status, 400);
  for (const std::string_view origin : {"https://evil.example", "null", "http://localhost"}) {
    EXPECT_EQ(revoke(scene, "token=a", {basic("rs", "s3cret"), "Origin: " + std::string(origin)}).status, 403)
        << origin;
  }
  EXPECT_EQ(scene.http_stat("revocations"), 0);
}

TEST(HttpRevocation, A7_6_WhateverTheTokenIsItIsAcknowledged) {
  HttpScene scene;
  const std::string token = scene.issuer.es256(), hinted = scene.issuer.es256();
  ASSERT_EQ(scene.auth(token).status, 200);
  for (int i = 0; i < 2; ++i) {  // known, and then already revoked
    const HttpReply reply = revoke(scene, "token=" + token);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  }
  EXPECT_EQ(revoke(scene, "token=" + hinted + "&token_type_hint=refresh_token").status, 200);
  EXPECT_EQ(revoke(scene, "token=never-seen").status, 200);
  EXPECT_EQ(revoke(scene, "token=%00%01+garbage&token_type_hint=no_such_type").status, 200);
  EXPECT_EQ(scene.auth(token).status, 401);
  EXPECT_EQ(scene.auth(hinted).status, 401);
  EXPECT_TRUE(scene.daemon.logs("token over http by client rs"));
  EXPECT_EQ(scene.daemon.log().find(token), std::string::npos);
}

TEST(HttpRevocation, A7_9_AfterTheAnswerNoProcessFindsItValid) {
  HttpScene scene;
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (int i = 0; i < 50; ++i) {
    const std::string token = scene.issuer.eddsa();
    ASSERT_EQ(reader.validate({.profile = "api", .token = token}), "valid");
    ASSERT_EQ(revoke(scene, "token=" + token).status, 200);
    ASSERT_NE(reader.lookup({.profile = "api", .token = token}), "valid") << i;
    ASSERT_EQ(reader.validate({.profile = "api", .token = token}), "invalid/revoked") << i;
  }
}

// A9: logout tokens.

struct LogoutScene : HttpScene {
  LogoutScene() : HttpScene({}, "[http.logout.api]\naudience = [\"web\", \"shop\"]\n") {}

  [[nodiscard]] Claims logout() {
    Claims claims(kIssuer, "web", now_seconds());
    claims.without("client_id")
        .number("exp", now_seconds() + 120)
        .text("jti", "l-" + std::to_string(++logouts))
        .set("events", kEvent);
    return claims;
  }
  [[nodiscard]] std::string sign(const Claims& claims, std::string_view typ = "logout+jwt") const {
    return mint(issuer.ec(), "ES256", R"({"alg":"ES256","kid":"ec-1","typ":")" + std::string(typ) + "\"}",
                claims.json());
  }
  [[nodiscard]] HttpReply send(const std::string& token) const {
    return ask(http_post("/logout/api", "logout_token=" + token));
  }
  [[nodiscard]] HttpReply send(const Claims& claims) const { return send(sign(claims)); }

  int logouts = 0;
};

TEST(HttpLogout, A9_1_BySidItEndsThatSessionAndNoOther) {
  LogoutScene scene;
  const std::string ended = scene.issuer.es256(scene.issuer.claims().text("sid", "s-1"));
  const std::string other = scene.issuer.es256(scene.issuer.claims().text("sid", "s-2"));
  ASSERT_EQ(scene.auth(ended).status, 200);
  ASSERT_EQ(scene.auth(other).status, 200);
  const HttpReply reply = scene.send(scene.logout().text("sid", "s-1"));
  EXPECT_EQ(reply.status, 200) << reply.bytes;
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_EQ(scene.auth(ended).status, 401);
  EXPECT_EQ(scene.auth(other).status, 200);
  EXPECT_TRUE(scene.daemon.logs("\"logout\""));
  // Durable: the next life of the daemon knows it.
  EXPECT_EQ(scene.daemon.stop(), 0);
  scene.start();
  EXPECT_EQ(scene.auth(ended).status, 401);
  EXPECT_EQ(scene.auth(other).status, 200);
}

TEST(HttpLogout, A9_2_WhatIsNotALogoutTokenForUsIsRefusedAndNothingIsRevoked) {
  LogoutScene scene;
  const std::string token = scene.issuer.es256(scene.issuer.claims().text("sid", "s-1"));
  ASSERT_EQ(scene.auth(token).status, 200);
  const auto good = [&] { return scene.logout().text("sid", "s-1"); };
  const std::pair<const char*, Claims> refused[] = {
      {"nonce", good().text("nonce", "n")},
      {"neither sid nor sub", scene.logout().without("sub")},
      {"no events", good().without("events")},
      {"events no object", good().text("events", "logout")},
      {"event no object",
       good().set("events", R"({"http://schemas.openid.net/event/backchannel-logout":true})")},
      {"another event", good().set("events", R"({"http://schemas.openid.net/event/other":{}})")},
      {"aud", good().text("aud", "another-client")},
      {"no aud", good().without("aud")},
      {"iss", good().text("iss", "https://other.example")},
      {"expired", good().number("iat", now_seconds() - 200).number("exp", now_seconds() - 1)},
      {"no exp", good().without("exp")},
      {"no iat", good().without("iat")},
      {"iat ahead", good().number("iat", now_seconds() + 60)},
      {"long-lived", good().number("exp", now_seconds() + 7'200)},
      {"no jti", good().without("jti")},
      {"sid no text", good().number("sid", 1)},
  };
  for (const auto& [what, claims] : refused) {
    const HttpReply reply = scene.send(claims);
    EXPECT_EQ(reply.status, 400) << what << reply.bytes;
    EXPECT_NE(reply.body.find("\"error\""), std::string::npos) << what;
  }
  EXPECT_EQ(scene.send(scene.sign(good(), "JWT")).status, 400) << "an ID token";
  EXPECT_EQ(scene.send(scene.sign(good(), "at+jwt")).status, 400) << "an access token";
  EXPECT_EQ(
      scene.send(mint(scene.issuer.ec(), "ES256", R"({"alg":"ES256","kid":"ec-1"})", good().json())).status,
      400)
      << "no typ";
  EXPECT_EQ(
      scene.send(base64url(R"({"alg":"none","typ":"logout+jwt"})") + "." + base64url(good().json()) + ".")
          .status,
      400)
      << "alg none";
  const SigningKey stranger = SigningKey::generate(KeyKind::kP256);
  EXPECT_EQ(
      scene.send(mint(stranger, "ES256", R"({"alg":"ES256","kid":"ec-1","typ":"logout+jwt"})", good().json()))
          .status,
      400)
      << "a stranger's key";
  const std::string fine = scene.sign(good());
  EXPECT_EQ(scene.ask(http_post("/logout/api", "logout_token=" + fine + "&logout_token=" + fine)).status,
            400);
  EXPECT_EQ(scene.ask(http_post("/logout/api?logout_token=" + fine, "a=b")).status, 400);
  EXPECT_EQ(scene.ask(http_post("/logout/api", "")).status, 400);
  EXPECT_EQ(scene
                .ask("POST /logout/api HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/json\r\nContent-Length: " +
                     std::to_string(fine.size()) + "\r\n\r\n" + fine)
                .status,
            400);
  EXPECT_EQ(scene.ask(http_post("/logout/twin", "logout_token=" + fine)).status, 404);
  EXPECT_EQ(
      scene.ask(http_post("/logout/api", "logout_token=" + fine, {"Origin: https://issuer.example"})).status,
      403);
  EXPECT_EQ(scene.auth(token).status, 200);
  EXPECT_EQ(scene.daemon.stat("daemon", "rules"), 0);
  EXPECT_EQ(scene.send(fine).status, 200);
  EXPECT_EQ(scene.auth(token).status, 401);
}

TEST(HttpLogout, A9_3_TheSameOneAgainIsGoodAndChangesNothing) {
  LogoutScene scene;
  const std::string token = scene.sign(scene.logout().text("sid", "s-1"));
  EXPECT_EQ(scene.send(token).status, 200);
  const auto change = scene.daemon.stat("table", "durable_change");
  EXPECT_EQ(scene.send(token).status, 200);
  EXPECT_EQ(scene.daemon.stat("table", "durable_change"), change);
}

TEST(HttpLogout, A9_4_ASessionThatIsNotKnownYetIsRefusedWhenItComes) {
  LogoutScene scene;
  ASSERT_EQ(scene.send(scene.logout().text("sid", "s-9")).status, 200);
  EXPECT_EQ(scene.auth(scene.issuer.es256(scene.issuer.claims().text("sid", "s-9"))).status, 401);
}

TEST(HttpLogout, A9_5_BySubjectItEndsWhatWasIssuedUntilThenAndNothingLater) {
  LogoutScene scene;
  const std::int64_t then = now_seconds() - 10;
  const auto issued = [&](std::int64_t at) {
    return scene.issuer.es256(scene.issuer.claims().number("iat", at));
  };
  const std::string before = issued(then - 1), at = issued(then), after = issued(then + 1),
                    bobs =
                        scene.issuer.es256(scene.issuer.claims().text("sub", "bob").number("iat", then - 1));
  for (const std::string& token : {before, at, after, bobs}) ASSERT_EQ(scene.auth(token).status, 200);
  ASSERT_EQ(scene.send(scene.logout().number("iat", then)).status, 200);
  EXPECT_EQ(scene.auth(before).status, 401);
  EXPECT_EQ(scene.auth(at).status, 401);
  EXPECT_EQ(scene.auth(after).status, 200);
  EXPECT_EQ(scene.auth(bobs).status, 200);
  EXPECT_EQ(scene.auth(issued(now_seconds())).status, 200);
}

}  // namespace
}  // namespace authcache_test
