// GET /auth of the HTTP face, as a proxy asks it: the real daemon, tokens of a real issuer.
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "tests/process/support/http_scene.hpp"

namespace authcache_test {
namespace {

std::string bound(Issuer& issuer, std::string_view member, std::string_view bytes) {
  return issuer.es256(
      issuer.claims().set("cnf", "{\"" + std::string(member) + "\":\"" + base64url(bytes) + "\"}"));
}

TEST(HttpAuth, AGoodTokenIsAnsweredWithItsIdentityAndTheSecondTimeFromTheTable) {
  HttpScene scene("identity = [\"subject\", \"issuer\", \"client\", \"scopes\"]");
  const std::string token = scene.issuer.es256();
  HttpPeer proxy(scene.socket());
  for (int i = 0; i < 2; ++i) {
    const HttpReply reply = proxy.ask(http_get("/auth?profile=api&scope=read", {bearer(token)}));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("X-Auth-Subject"), "alice");
    EXPECT_EQ(reply.field("X-Auth-Issuer"), kIssuer);
    EXPECT_EQ(reply.field("X-Auth-Client"), "web");
    EXPECT_EQ(reply.field("X-Auth-Scopes"), "read write");
    EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  }
  EXPECT_EQ(scene.http_stat("auth_hits"), 1);
  EXPECT_EQ(scene.http_stat("auth_200"), 2);
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 1);
  // What the face brought into the table is a hit for every process, and the other way round.
  Client sdk(scene.daemon.runtime_dir());
  EXPECT_EQ(sdk.lookup({.profile = "api", .token = token}), "valid");
  const std::string other = scene.issuer.es256();
  EXPECT_EQ(sdk.validate({.profile = "api", .token = other}), "valid");
  EXPECT_EQ(scene.auth(other).status, 200);
  EXPECT_EQ(scene.http_stat("auth_hits"), 2);
}

TEST(HttpAuth, EveryMethodOfAClientIsTakenAndHeadGetsNoBody) {
  HttpScene scene;
  const std::string token = scene.issuer.es256();
  HttpPeer proxy(scene.socket());
  for (const std::string_view method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"}) {
    EXPECT_EQ(proxy.ask(http_get("/auth?profile=api", {bearer(token)}, method)).status, 200) << method;
  }
  EXPECT_EQ(proxy.ask(http_post("/auth?profile=api", "a=b", {bearer(token)})).status, 200);
  const HttpReply head = proxy.ask(http_get("/auth", {}, "HEAD"));
  EXPECT_EQ(head.status, 400);
  EXPECT_NE(head.field("Content-Length"), "0");
  EXPECT_EQ(proxy.ask(http_get("/healthz")).body, "alive\n");  // and the stream is still in step
}

TEST(HttpAuth, A7_1_TheSchemeInAnyCaseAndSeveralBlanks) {
  HttpScene scene;
  const std::string token = scene.issuer.es256();
  for (const std::string_view scheme : {"Bearer ", "bearer ", "BEARER   "}) {
    EXPECT_EQ(
        scene.ask(http_get("/auth?profile=api", {"Authorization: " + std::string(scheme) + token})).status,
        200)
        << scheme;
  }
}

TEST(HttpAuth, A7_2_WhatIsNotOneWellFormedTokenIsMalformed) {
  HttpScene scene;
  for (const std::string_view value : {"Bearer", "Bearer ", "Bearer\tabc", "Bearer a b", "Bearer a,b",
                                       "Bearer \"a\"", "Bearer a\r\n b", "Bearer \xc3\xa4"}) {
    const HttpReply reply =
        scene.ask(http_get("/auth?profile=api", {"Authorization: " + std::string(value)}));
    EXPECT_EQ(reply.status, 400) << value;
  }
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api", {"Authorization: Bearer"})).field("WWW-Authenticate"),
            "Bearer error=\"invalid_request\"");
}

TEST(HttpAuth, A7_3_MoreThanOneWayToPresentATokenIsMalformed) {
  HttpScene scene;
  const std::string token = scene.issuer.es256();
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api", {bearer(token), bearer(token)})).status, 400);
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api&access_token=" + token, {bearer(token)})).status, 400);
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api&access_token=" + token)).status, 400);
}

TEST(HttpAuth, A7_4_WithoutCredentialsTheChallengeHasNoErrorCode) {
  HttpScene scene;
  for (const FieldLines& fields :
       {FieldLines{}, FieldLines{"Authorization: Basic YTpi"}, FieldLines{"Authorization:"}}) {
    const HttpReply reply = scene.ask(http_get("/auth?profile=api", fields));
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.field("WWW-Authenticate"), "Bearer");
  }
}

TEST(HttpAuth, A7_5_ABadTokenAndAMissingScopeAreToldApartAndNothingIsEchoed) {
  HttpScene scene;
  const HttpReply bad = scene.auth("no-token-of-ours");
  EXPECT_EQ(bad.status, 401);
  EXPECT_TRUE(bad.field("WWW-Authenticate").starts_with("Bearer error=\"invalid_token\"")) << bad.bytes;
  EXPECT_EQ(bad.bytes.find("no-token-of-ours"), std::string::npos);
  const std::string token = scene.issuer.es256();
  const HttpReply lacking = scene.auth(token, "profile=api&scope=read&scope=orders:write");
  EXPECT_EQ(lacking.status, 403);
  EXPECT_EQ(lacking.field("WWW-Authenticate"),
            "Bearer error=\"insufficient_scope\", scope=\"read orders:write\"");
  EXPECT_EQ(scene.auth(token, "profile=api&permission=reports").status, 403);
  EXPECT_EQ(scene.auth(token, "profile=api&scope=read%20write").status, 200);
  const HttpReply elsewhere = scene.auth(token, "profile=api&audience=https://other.example");
  EXPECT_EQ(elsewhere.status, 401);
  EXPECT_EQ(elsewhere.field("X-Auth-Reason"), "audience");
  EXPECT_EQ(scene.auth(token, "profile=api&audience=https://other.example&audience=" + std::string(kAudience))
                .status,
            200);
  const HttpReply expired = scene.auth(scene.issuer.es256(
      scene.issuer.claims().number("iat", now_seconds() - 60).number("exp", now_seconds() - 1)));
  EXPECT_EQ(expired.status, 401);
  EXPECT_EQ(expired.field("X-Auth-Reason"), "expired");
}

TEST(HttpAuth, A8_2_ADpopBoundTokenIsNeverGoodAsABearerToken) {
  HttpScene scene("certificate_header = \"X-Client-Cert\"");
  const std::string token = bound(scene.issuer, "jkt", std::string(32, 'k'));
  for (int i = 0; i < 2; ++i) {
    const HttpReply reply = scene.auth(token);
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.field("X-Auth-Reason"), "confirmation_required");
  }
  const std::string certificate = "X-Client-Cert: " + base64url(std::string(32, 'k'));
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api", {bearer(token), certificate})).status, 401);
}

TEST(HttpAuth, A8_4_ACertificateBoundTokenNeedsTheCertificateThatTheConfiguredHeaderTells) {
  HttpScene scene("certificate_header = \"X-Client-Cert\"");
  const std::string der(400, 'd');
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(der.data()), der.size(), hash);
  const std::string thumbprint(reinterpret_cast<const char*>(hash), sizeof hash);
  const std::string token = bound(scene.issuer, "x5t#S256", thumbprint);
  const auto with = [&](const std::string& value) {
    return scene.ask(http_get("/auth?profile=api", {bearer(token), "x-client-cert: " + value})).status;
  };
  EXPECT_EQ(scene.auth(token).status, 401);
  EXPECT_EQ(with(""), 401);
  EXPECT_EQ(with(base64url(thumbprint)), 200);
  EXPECT_EQ(with(base64url(std::string(32, 'x'))), 401);
  EXPECT_EQ(with("not-a-thumbprint"), 400);
  std::string hex, pem = "-----BEGIN%20CERTIFICATE-----%0A";
  for (const unsigned char byte : hash) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    hex += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  EXPECT_EQ(with(hex), 200);
  const std::string base64 =
      basic(der.substr(0, 398), "").substr(21);  // 398 bytes and a colon: another certificate
  EXPECT_EQ(with(pem + base64 + "%0A-----END%20CERTIFICATE-----%0A"), 401);
  EXPECT_EQ(with(pem + "%%"), 400);
}

TEST(HttpAuth, A8_4_WithoutTheConfiguredNameNoHeaderProvesACertificate) {
  HttpScene scene;
  const std::string token = bound(scene.issuer, "x5t#S256", std::string(32, 'c'));
  const std::string value = base64url(std::string(32, 'c'));
  EXPECT_EQ(scene
                .ask(http_get("/auth?profile=api",
                              {bearer(token), "X-Client-Cert: " + value, "X-SSL-Cert: " + value}))
                .status,
            401);
}

TEST(HttpAuth, TheRequirementIsReadStrictly) {
  HttpScene scene;
  const std::string token = scene.issuer.es256();
  for (const std::string_view query :
       {"", "profile=", "scope=read", "profile=api&profile=api", "profile=api&profile=twin",
        "profile=api&scopes=read", "profile=api&scope=", "profile=api&scope=a%22b", "profile=api&scope=%",
        "profile=api&scope", "profile=api&x=1"}) {
    EXPECT_EQ(scene.auth(token, query).status, 400) << query;
  }
  const HttpReply unknown = scene.auth(token, "profile=nobody");
  EXPECT_EQ(unknown.status, 503);
  EXPECT_EQ(unknown.field("X-Auth-Reason"), "unknown_profile");
}

// Envoy appends its client's path and query to the prefix that it is given.
TEST(HttpAuth, ARequirementInThePathIsOutOfReachOfTheClientBehindIt) {
  HttpScene scene;
  const std::string token = scene.issuer.es256();
  const auto ask = [&](std::string_view target) {
    return scene.ask(http_get(target, {bearer(token)})).status;
  };
  EXPECT_EQ(ask("/auth/profile=api&scope=read/orders/7"), 200);
  EXPECT_EQ(ask("/auth/profile=api&scope=admin/orders/7"), 403);
  EXPECT_EQ(ask("/auth/profile=api&scope=admin/orders/7?profile=api"), 403);
  EXPECT_EQ(ask("/auth/profile=api&scope=admin//auth/profile=api/"), 403);
  EXPECT_EQ(ask("/auth/profile=api"), 404);
  EXPECT_EQ(ask("/auth/profile=api?/"), 404);
  EXPECT_EQ(ask("/auth/"), 404);
  EXPECT_EQ(ask("/authx?profile=api"), 404);
}

TEST(HttpAuth, AnIdentityThatCannotStandInAHeaderIsRefusedOrEncodedAsConfigured) {
  HttpScene plain;
  const auto token = [](HttpScene& scene, const std::string& subject) {
    return scene.issuer.es256(scene.issuer.claims().set("sub", "\"" + subject + "\""));
  };
  for (const std::string_view subject :
       {"zo\xc3\xab", "a\\r\\nX-Auth-Scopes: admin", " a", "a\\u007f", "a\\u0085"}) {
    const HttpReply reply = plain.auth(token(plain, std::string(subject)));
    EXPECT_EQ(reply.status, 500) << subject;
    EXPECT_EQ(reply.field("X-Auth-Subject"), "");
    EXPECT_EQ(reply.field("X-Auth-Scopes"), "");
    EXPECT_NE(reply.body.find("http.encoding"), std::string::npos);
  }
  EXPECT_EQ(plain.http_stat("auth_500"), 5);
  HttpScene percent("encoding = \"percent\"");
  const HttpReply reply = percent.auth(token(percent, "zo\xc3\xab 100%\\r\\n"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("X-Auth-Subject"), "zo%C3%AB%20100%25%0D%0A");
}

TEST(HttpAuth, OnlyTheConfiguredPartsOfAnIdentityAreTold) {
  HttpScene scene("identity = [\"subject\"]");
  const HttpReply reply = scene.auth(scene.issuer.es256());
  EXPECT_EQ(reply.field("X-Auth-Subject"), "alice");
  EXPECT_EQ(reply.field("X-Auth-Issuer") + reply.field("X-Auth-Scopes") + reply.field("X-Auth-Client"), "");
}

TEST(HttpAuth, NobodyCanTellIsNeverToldAsABadToken) {
  HttpScene scene({}, {}, {.limits = "misses_per_second_per_uid = 1\nmiss_burst_per_uid = 1"});
  int unavailable = 0;
  for (int i = 0; i < 5; ++i) {
    const HttpReply reply = scene.auth(scene.issuer.es256());
    if (reply.status == 200) continue;
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.field("Retry-After"), "1");
    EXPECT_EQ(reply.field("X-Auth-Reason"), "over_budget");
    EXPECT_EQ(reply.field("WWW-Authenticate"), "");
    ++unavailable;
  }
  EXPECT_GE(unavailable, 3);
  // The face's budget is its own: this user's processes still ask.
  Client sdk(scene.daemon.runtime_dir());
  EXPECT_EQ(sdk.validate({.profile = "api", .token = scene.issuer.es256()}), "valid");
}

TEST(HttpAuth, A7_9_WhatIsRevokedIsRefusedByTheNextRequestAndAfterTheTableWasReplaced) {
  HttpScene scene;
  const std::string token = scene.issuer.es256(), kept = scene.issuer.es256();
  ASSERT_EQ(scene.auth(token).status, 200);
  ASSERT_EQ(scene.auth(kept).status, 200);
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  const HttpReply reply = scene.auth(token);
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.field("X-Auth-Reason"), "revoked");
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_TRUE(eventually([&] { return scene.daemon.stat("table", "capacity") == 20'000; }));
  EXPECT_EQ(scene.auth(token).status, 401);
  EXPECT_EQ(scene.auth(kept).status, 200);
}

TEST(HttpFace, HealthAndReadinessAreTold) {
  HttpScene scene;
  EXPECT_EQ(scene.ask(http_get("/healthz")).status, 200);
  const HttpReply ready = scene.ask(http_get("/readyz"));
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(ready.body, R"({"ready":true,"catching_up":[]})");
  EXPECT_EQ(scene.ask(http_get("/healthz", {}, "DELETE")).status, 405);
  EXPECT_EQ(scene.ask(http_get("/")).status, 404);
}

TEST(HttpFace, ALoopbackPortServesTheSameAndIsOffUnlessConfigured) {
  Scene scene;
  const std::uint16_t port = free_port();
  EXPECT_FALSE(HttpPeer(port).connected());
  scene.settings.more = "[http]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n";
  scene.configure();
  scene.start();
  HttpPeer peer(port);
  EXPECT_EQ(peer.ask(http_get("/auth?profile=api", {bearer(scene.issuer.es256())})).status, 200);
  EXPECT_EQ(HttpPeer(port)
                .ask("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) + "\r\n\r\n")
                .status,
            200);
  // No peer of a port is an administrator.
  EXPECT_EQ(HttpPeer(port).ask(http_post("/revoke", "token=a")).status, 401);
}

TEST(HttpFace, AReloadTakesNamesAndSecretsAndNamesWhatNeedsARestart) {
  HttpScene scene;
  const std::string odd = "GET /healthz HTTP/1.1\r\nHost: auth.internal\r\n\r\n";
  EXPECT_EQ(scene.ask(odd).status, 421);
  const std::string request = http_post("/introspect?profile=api", "token=a", {basic("rs", "n3w")});
  EXPECT_EQ(scene.ask(request).status, 401);
  write_file(scene.daemon.scratch("rs.sha256"),
             "1dd4d43658e2257be3f31504829536107b671bb92b73e5cae2629749dc0daa14");
  scene.settings.more.insert(scene.settings.more.find("[http.client"),
                             "hosts = [\"auth.internal\"]\nconnections = 7\n");
  scene.configure();
  const Ran reload = scene.daemon.authctl({"reload"});
  EXPECT_EQ(reload.exit, 0) << reload.err;
  EXPECT_NE(reload.out.find("http.connections"), std::string::npos) << reload.out;
  EXPECT_EQ(scene.ask(odd).status, 200);
  EXPECT_EQ(scene.ask(http_post("/introspect?profile=api", "token=a", {basic("rs", "s3cret")})).status, 401);
  EXPECT_EQ(scene.ask(request).status, 200);
  // A secret that cannot be read refuses the reload, whole: nothing of it is taken, and what was stays.
  write_file(scene.daemon.scratch("rs.sha256"), "n3w");
  scene.settings.more.replace(scene.settings.more.find("auth.internal"), 13, "auth.elsewhere");
  scene.configure();
  const Ran refused = scene.daemon.authctl({"reload"});
  EXPECT_NE(refused.exit, 0);
  EXPECT_NE(refused.err.find("does not hold a SHA-256"), std::string::npos) << refused.err;
  EXPECT_EQ(scene.ask(odd).status, 200);
  EXPECT_EQ(scene.ask(request).status, 200);
}

}  // namespace
}  // namespace authcache_test
