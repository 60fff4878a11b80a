// What other processes are told about good and bad tokens, first by the daemon, then from shared memory.
#include <gtest/gtest.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

std::string tampered(std::string token) {
  char& letter = token[token.find('.') + 20];
  letter = letter == 'A' ? 'B' : 'A';
  return token;
}

// Validated by one process, then a hit in another that asks nobody.
void expect_miss_then_hit(const Scene& scene, const Question& question) {
  ReaderProcess first(scene.daemon.runtime_dir()), second(scene.daemon.runtime_dir());
  EXPECT_EQ(second.lookup(question), "miss");
  EXPECT_EQ(first.validate(question), "valid");
  EXPECT_EQ(first.subject(), "alice");
  EXPECT_EQ(second.lookup(question), "valid");
  EXPECT_EQ(second.subject(), "alice");
}

TEST(Verdicts, AJwtOfEachAlgorithmIsAMissAndThenAHitInEveryProcess) {
  Scene scene;
  scene.start();
  expect_miss_then_hit(scene, api(scene.issuer.rs256()));
  expect_miss_then_hit(scene, api(scene.issuer.es256()));
  expect_miss_then_hit(scene, api(scene.issuer.eddsa()));
}

TEST(Verdicts, ASessionWhoseRecordIsGoneIsAMissAndThenAHitInEveryProcess) {
  Scene scene;
  scene.start();
  const std::string token = scene.create_session();
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  expect_miss_then_hit(scene, session(token));
}

TEST(Verdicts, ABadTokenIsRefusedWithItsReasonByTheDaemonAndThenFromMemory) {
  Scene scene;
  scene.start();
  Issuer& issuer = scene.issuer;
  const auto now = now_seconds();
  Issuer stranger;
  const struct {
    const char* answer;
    Question question;
  } cases[] = {
      {"invalid/bad_signature", api(tampered(issuer.es256()))},
      {"invalid/expired",
       api(issuer.es256(issuer.claims().number("iat", now - 600).number("exp", now - 300)))},
      {"invalid/not_yet_valid", api(issuer.es256(issuer.claims().number("nbf", now + 200)))},
      {"invalid/issuer", api(issuer.es256(issuer.claims().text("iss", "https://other.example")))},
      {"invalid/bad_signature", api(stranger.es256())},
      {"invalid/unknown", session(random_token())},
  };
  ReaderProcess first(scene.daemon.runtime_dir()), second(scene.daemon.runtime_dir());
  for (const auto& each : cases) {
    EXPECT_EQ(first.validate(each.question), each.answer);
    EXPECT_EQ(second.lookup(each.question), each.answer) << "from memory";
  }
}

TEST(Verdicts, AStrangersKeyIsRefused) {
  Scene scene;
  scene.start();
  const SigningKey key = SigningKey::generate(KeyKind::kP256);
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(api(mint_access_token(key, "ES256", "nobody-1", scene.issuer.claims().json()))),
            "invalid/unknown_key");
}

// A5.x, B22: the audience is asked of every hit and never cached, whichever caller came first.
TEST(Verdicts, B22_TheSameRecordAnswersEachCallersAudience) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question mine = api(scene.issuer.es256());
  Question theirs = mine;
  theirs.audience = "https://other.example";
  EXPECT_EQ(reader.validate(theirs), "invalid/audience");
  EXPECT_EQ(reader.validate(mine), "valid");
  EXPECT_EQ(reader.lookup(theirs), "invalid/audience");
  const Question elsewhere =
      api(scene.issuer.es256(scene.issuer.claims().text("aud", "https://other.example")));
  EXPECT_EQ(reader.validate(elsewhere), "invalid/audience");
}

TEST(Verdicts, AMissingScopeOrPermissionIsForbidden) {
  Scene scene;
  scene.start();
  const std::string token =
      scene.create_session({"--scope", "read", "--role", "clerk", "--permission", "orders.see"});
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question question = session(token);
  question.scope = "read";
  question.permission = "role:clerk";
  EXPECT_EQ(reader.lookup(question), "valid");
  question.permission = "orders.see";
  EXPECT_EQ(reader.lookup(question), "valid");
  question.permission = "orders.change";
  EXPECT_EQ(reader.lookup(question), "forbidden/permission");
  question.scope = "write";
  EXPECT_EQ(reader.lookup(question), "forbidden/scope");
}

// A8.2
TEST(Verdicts, A8_2_ADpopBoundTokenAsABearerIsForbidden) {
  Scene scene;
  scene.start();
  const std::string thumbprint = base64url(std::string(32, 'k'));
  const Question question =
      api(scene.issuer.es256(scene.issuer.claims().set("cnf", R"({"jkt":")" + thumbprint + "\"}")));
  ReaderProcess reader(scene.daemon.runtime_dir()), other(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(question), "forbidden/confirmation_required");
  EXPECT_EQ(other.lookup(question), "forbidden/confirmation_required");
}

TEST(Verdicts, AProfileThatIsNotConfiguredIsUnavailable) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate({.profile = "nobody", .token = scene.issuer.es256()}),
            "unavailable/unknown_profile");
}

TEST(Verdicts, AClientThatWasOpenedBeforeTheDaemonEverRanComesToAnswer) {
  Scene scene;
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  EXPECT_EQ(reader.lookup(question), "unavailable/no_table");
  EXPECT_EQ(reader.validate(question), "unavailable/daemon_unreachable");
  scene.start();
  EXPECT_TRUE(eventually([&] { return reader.validate(question) == "valid"; }));
}

}  // namespace
}  // namespace authcache_test
