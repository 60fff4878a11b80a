// What each path of the HTTP face answers, with a backend that says whatever a case needs.
#include "daemon/control/face/face.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/fake_face.hpp"
#include "tests/support/temporary_directory.hpp"

namespace authcached {
namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using testing::FakeBackend;
using testing::KeptExchange;

struct FaceTest : ::testing::Test {
  FaceTest() {
    std::ofstream(directory / "rs") << "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0\n";
    config.clients = {{"rs", directory / "rs", true, true}};
    config.logouts = {{"api", {"web"}}};
    face = Face::create(config, backend).value();
  }

  // The answer to a request as text; with later ones brought, unless `wait`.
  HttpAnswer ask(const std::string& text, HttpPeer peer = {}, bool wait = false) {
    InboundRequest request;
    const InboundRead read = read_request(text, 0, request);
    EXPECT_EQ(read.state, InboundRead::State::kComplete) << text;
    last = std::make_shared<KeptExchange>(peer);
    face->handle(last, request);
    if (!wait) backend.answer_all();
    EXPECT_EQ(last->answers, wait ? 0 : 1) << text;
    return last->last;
  }
  HttpAnswer get(const std::string& target, const std::string& fields = {}) {
    return ask("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
  }
  HttpAnswer post(const std::string& target, const std::string& form, const std::string& fields = {},
                  HttpPeer peer = {}) {
    return ask("POST " + target +
                   " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded; "
                   "charset=utf-8\r\nContent-Length: " +
                   std::to_string(form.size()) + "\r\n" + fields + "\r\n" + form,
               peer);
  }
  HttpAnswer auth(const std::string& token) {
    return get("/auth?profile=api&scope=read", "Authorization: Bearer " + token + "\r\n");
  }

  testing::TemporaryDirectory directory;
  HttpConfig config;
  FakeBackend backend;
  std::unique_ptr<Face> face;
  std::shared_ptr<KeptExchange> last;
};

TEST_F(FaceTest, EachVerdictHasItsStatus) {
  backend.add_valid("good");
  backend.add("expired", Verdict::kInvalid, Reason::kExpired);
  backend.add("narrow", Verdict::kForbidden, Reason::kScope);
  backend.add("bound", Verdict::kForbidden, Reason::kConfirmationRequired);
  backend.add("down", Verdict::kUnavailable, Reason::kUpstream);
  backend.add("odd", Verdict::kMiss);  // no backend says this; if one did, nothing would be known
  EXPECT_EQ(auth("good").status, 200);
  EXPECT_EQ(auth("expired").status, 401);
  EXPECT_EQ(auth("narrow").status, 403);
  EXPECT_EQ(auth("bound").status, 401);
  EXPECT_EQ(auth("down").status, 503);
  EXPECT_EQ(auth("odd").status, 503);
  EXPECT_EQ(auth("unheard-of").status, 401);
  const FaceCounters& counters = face->counters();
  EXPECT_EQ(counters.auth, 7u);
  EXPECT_EQ(counters.hits, 6u);
  EXPECT_EQ(
      counters.ok + counters.unauthorized * 10 + counters.forbidden * 100 + counters.unavailable * 1'000,
      1u + 30 + 100 + 2'000);
}

TEST_F(FaceTest, A8_2_ATokenByDpopIsNeverLookedUpAsABearerToken) {
  backend.add_valid("good");
  const auto shown = [&](const std::string& value) {
    return get("/auth?profile=api&scope=read", "Authorization: " + value + "\r\n");
  };
  for (const char* value : {"DPoP good", "dpop   good"}) {
    const HttpAnswer answer = shown(value);
    EXPECT_EQ(answer.status, 401) << value;
    EXPECT_TRUE(answer.fields.contains("WWW-Authenticate: Bearer\r\n")) << answer.fields;
    EXPECT_TRUE(answer.fields.contains("X-Auth-Reason: confirmation_required\r\n")) << answer.fields;
  }
  for (const char* value : {"DPoP", "DPoP a b", "DPoP a, Bearer good", "DPoP a=b"})
    EXPECT_EQ(shown(value).status, 400) << value;
  EXPECT_EQ(shown("Basic dXNlcg==").status, 401);
  EXPECT_TRUE(backend.asked.empty());
  EXPECT_EQ(face->counters().malformed, 4u);
  EXPECT_EQ(face->counters().unauthorized, 3u);
}

TEST_F(FaceTest, AMissIsAnsweredWhenItsAnswerComesAndNotBefore) {
  backend.add_valid("good").is_hit = false;
  (void)ask("GET /auth?profile=api HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer good\r\n\r\n", {},
            true);
  const auto waiting = last;
  backend.answer_all();
  EXPECT_EQ(waiting->answers, 1);
  EXPECT_EQ(waiting->last.status, 200);
}

TEST_F(FaceTest, TheRequirementOfTheUriReachesTheBackendWhole) {
  (void)get("/auth?profile=api&scope=a&scope=b%20c&permission=p%26q&audience=x&audience=y+z",
            "Authorization: Bearer t\r\n");
  ASSERT_EQ(backend.asked.size(), 1u);
  const FaceRequirement& asked = *backend.asked[0].requirement;
  EXPECT_EQ(asked.profile, "api");
  EXPECT_EQ(asked.scopes, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(asked.permissions, (std::vector<std::string>{"p&q"}));
  EXPECT_EQ(asked.audiences, (std::vector<std::string>{"x", "y+z"}));
  EXPECT_FALSE(backend.asked[0].proved);
}

TEST_F(FaceTest, OneRequirementIsNotTakenForAnother) {
  for (int i = 0; i < 500; ++i) {  // more than are kept
    const std::string scope = "s" + std::to_string(i);
    for (int again = 0; again < 2; ++again)
      (void)get("/auth?profile=api&scope=" + scope, "Authorization: Bearer t\r\n");
    EXPECT_EQ(backend.asked.back().requirement->scopes.front(), scope);
  }
}

TEST_F(FaceTest, A7_8_ARevocationThatIsNotDurableIsNotAcknowledged) {
  const std::string basic = "Authorization: Basic cnM6czNjcmV0\r\n";
  EXPECT_EQ(post("/revoke", "token=t", basic).status, 200);
  backend.durable = false;
  const HttpAnswer answer = post("/revoke", "token=t", basic);
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.fields.find("Retry-After"), std::string::npos);
  EXPECT_EQ(backend.actors, (std::vector<std::string>{"rs", "rs"}));
}

TEST_F(FaceTest, NobodyWithoutCredentialsReachesTheBackend) {
  for (const std::string& fields :
       {std::string(), std::string("Authorization: Basic cnM6d3Jvbmc=\r\n"),
        std::string("Authorization: Basic cnM=\r\n"), std::string("Authorization: Basic\r\n"),
        std::string("Authorization: Basic cnM6czNjcmV\r\n")}) {
    EXPECT_EQ(post("/revoke", "token=t", fields).status, 401) << fields;
    EXPECT_EQ(post("/introspect?profile=api", "token=t", fields).status, 401) << fields;
  }
  EXPECT_TRUE(backend.revoked.empty());
  EXPECT_TRUE(backend.asked.empty());
  EXPECT_EQ(post("/revoke", "token=t", {}, {.local = Peer{1, 2, 3}, .is_admin = false}).status, 401);
  EXPECT_EQ(post("/revoke", "token=t", {}, {.local = Peer{1, 2, 3}, .is_admin = true}).status, 200);
}

TEST_F(FaceTest, A9_2_ALogoutIsAnsweredByHowItEnded) {
  EXPECT_EQ(post("/logout/api", "logout_token=t").status, 200);
  backend.logout = {LogoutEnd::kRefused, "because"};
  const HttpAnswer refused = post("/logout/api", "logout_token=t");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, R"({"error":"invalid_request","error_description":"because"})");
  backend.logout = {LogoutEnd::kNotDurable, {}};
  EXPECT_EQ(post("/logout/api", "logout_token=t").status, 503);
  EXPECT_EQ(post("/logout/other", "logout_token=t").status, 404);
  EXPECT_EQ(backend.logged_out.size(), 3u);
}

TEST_F(FaceTest, ReadyIsOnlyWhoHasEveryProfile) {
  EXPECT_EQ(get("/readyz").status, 200);
  backend.profiles = {{"api", true}, {"shop", false}};
  const HttpAnswer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"ready":false,"catching_up":["shop"]})");
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(FaceTest, ACertificateIsTakenFromTheConfiguredHeaderOnly) {
  const std::string fields = "Authorization: Bearer t\r\nX-Cert: " + std::string(64, 'a') + "\r\n";
  (void)get("/auth?profile=api", fields);
  EXPECT_FALSE(backend.asked.back().proved);
  config.certificate_header = "X-Cert";
  ASSERT_TRUE(face->configure(config));
  (void)get("/auth?profile=api", fields);
  ASSERT_TRUE(backend.asked.back().proved);
  EXPECT_EQ(backend.asked.back().proved->bytes[31], 0xaa);
  EXPECT_EQ(get("/auth?profile=api", fields + "x-cert: b\r\n").status, 400);
}

TEST_F(FaceTest, AReloadWithAnUnusableSecretFileKeepsTheSecrets) {
  std::ofstream(directory / "rs") << "not a hash\n";
  const auto configured = face->configure(config);
  ASSERT_FALSE(configured);
  EXPECT_NE(configured.error().message.find("sha256sum"), std::string::npos);
  EXPECT_EQ(post("/revoke", "token=t", "Authorization: Basic cnM6czNjcmV0\r\n").status, 200);
  EXPECT_FALSE(Face::create(config, backend));
}

}  // namespace
}  // namespace authcached
