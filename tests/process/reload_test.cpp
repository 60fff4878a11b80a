// What a reload takes, what it refuses, and what it does to records of a profile that changed.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

TEST(Reload, AFaultyFileIsRefusedWithLineAndRemedyAndTheOldOneStays) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(question), "valid");
  scene.settings.heartbeat_timeout = "a while";
  scene.configure();
  const Ran reload = scene.daemon.authctl({"reload"});
  EXPECT_EQ(reload.exit, 5);
  EXPECT_TRUE(reload.err.contains("the old configuration stays in force")) << reload.err;
  EXPECT_TRUE(reload.err.contains(scene.daemon.config_file().string() + ":8"))
      << "names the line: " << reload.err;
  EXPECT_TRUE(reload.err.contains("\"2s\"") || reload.err.contains("\"10s\"") ||
              reload.err.contains("one unit"))
      << "says what to write: " << reload.err;
  EXPECT_EQ(reader.lookup(question), "valid");
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
  EXPECT_TRUE(scene.daemon.authctl({"config", "show"}).out.contains("heartbeat_timeout = \"10"));
}

TEST(Reload, AProfileThatCannotBeOpenedIsRefusedAndTheOldOnesStay) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  scene.settings.more =
      "\n[profile.new]\nupstream = \"jwks\"\nissuer = \"https://new.example\"\njwks_file = "
      "\"/nowhere/jwks.json\"\naudience = "
      "[\"a\"]\nalgorithms = [\"ES256\"]\n";
  scene.configure();
  const Ran reload = scene.daemon.authctl({"reload"});
  EXPECT_EQ(reload.exit, 5);
  EXPECT_TRUE(reload.err.contains("/nowhere/jwks.json")) << reload.err;
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

TEST(Reload, AProfileThatTrustsLessKillsWhatItProvedBefore) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question rsa = api(scene.issuer.rs256()), ec = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(rsa), "valid");
  ASSERT_EQ(reader.validate(ec), "valid");
  scene.settings.algorithms = R"("ES256")";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_NE(reader.lookup(rsa), "valid");
  EXPECT_EQ(reader.validate(rsa), "invalid/algorithm");
  EXPECT_EQ(reader.validate(ec), "valid");
}

TEST(Reload, ARevokedTokenStaysRefusedWhenItsProfileChanges) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(question), "valid");
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  scene.settings.api = "leeway = \"3s\"\n";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
}

TEST(Reload, AProfileThatIsTakenOutAnswersNothingAndOneThatIsAddedAnswers) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string extra = "\n[profile.extra]\nupstream = \"jwks\"\nissuer = \"" + std::string(kIssuer) +
                            "\"\njwks_file = \"" + scene.jwks_file().string() + "\"\naudience = [\"" +
                            kAudience + "\"]\nalgorithms = [\"ES256\"]\nleeway = \"11s\"\n";
  const Question question{.profile = "extra", .token = scene.issuer.es256()};
  ASSERT_EQ(reader.validate(question), "unavailable/unknown_profile");
  scene.settings.more = extra;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.validate(question), "valid");
  scene.settings.more = "";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.lookup(question), "unavailable/unknown_profile");
  EXPECT_EQ(reader.validate(question), "unavailable/unknown_profile");
}

TEST(Reload, AProfileThatIsAddedCostsNoRecordOfTheOthers) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question of_session = session(scene.create_session());
  const Question of_jwt = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(of_jwt), "valid");
  ASSERT_EQ(reader.lookup(of_session), "valid");
  scene.settings.more = "\n[profile.extra]\nupstream = \"jwks\"\nissuer = \"https://extra.example\"\njwks_file = \"" +
                        scene.jwks_file().string() + "\"\naudience = [\"" + kAudience + "\"]\nalgorithms = [\"ES256\"]\n";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.lookup(of_jwt), "valid");
  EXPECT_EQ(reader.lookup(of_session), "valid");
}

TEST(Reload, AnAudienceThatChangesHoldsForCachedSessionsToo) {
  Scene scene({.sessions = "audience = [\"https://one.example\"]"});
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question question = session(scene.create_session());
  ASSERT_EQ(reader.lookup(question), "valid");
  scene.settings.sessions = "audience = [\"https://two.example\"]";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.validate(question), "valid") << "for the profile's own audience";
  question.audience = "https://one.example";
  EXPECT_EQ(reader.validate(question), "invalid/audience");
  question.audience = "https://two.example";
  EXPECT_EQ(reader.validate(question), "valid");
}

TEST(Reload, WhatNeedsARestartIsNamed) {
  Scene scene({.limits = "connections = 100\n"});
  scene.start();
  scene.settings.limits = "connections = 200\n";
  scene.configure();
  const Ran reload = scene.daemon.authctl({"reload"});
  EXPECT_EQ(reload.exit, 0);
  EXPECT_TRUE(reload.out.contains("limits.connections")) << reload.out;
}

TEST(Reload, TheLogLevelChangesByReloadBySighupAndByItsVerb) {
  Scene scene;
  scene.start();
  const auto level = [&] {
    return std::string(
        scene.daemon.authctl({"stats", "--json"}).json().at("daemon").at("log_level").as_string());
  };
  EXPECT_EQ(level(), "info");
  scene.settings.log_level = "debug";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(level(), "debug");
  scene.settings.log_level = "warning";
  scene.configure();
  scene.daemon.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return level() == "warning"; }));
  ASSERT_EQ(scene.daemon.authctl({"log-level", "error"}).exit, 0);
  EXPECT_EQ(level(), "error");
  EXPECT_EQ(scene.daemon.authctl({"log-level", "loud"}).exit, 2);
}

TEST(Reload, SighupWithAFaultyFileChangesNothingAndIsLogged) {
  Scene scene;
  scene.start();
  scene.settings.algorithms = R"("HS256")";
  scene.configure();
  scene.daemon.signal(SIGHUP);
  EXPECT_TRUE(scene.daemon.logs("reload_refused")) << scene.daemon.log();
  EXPECT_TRUE(scene.daemon.running());
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

}  // namespace
}  // namespace authcache_test
