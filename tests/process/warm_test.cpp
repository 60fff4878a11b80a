// A daemon that starts without a table, as after a boot: the sessions made last are hits before anybody asks.
#include <gtest/gtest.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

Settings warming(unsigned sessions) {
  Settings settings;
  settings.sessions = "warm = " + std::to_string(sessions) + "\n";
  return settings;
}

// What is left after a boot: the state directory, and nothing in memory.
void start_as_after_a_boot(Scene& scene) {
  ASSERT_EQ(scene.daemon.stop(), 0);
  const auto empty = scene.daemon.scratch("empty");
  std::filesystem::create_directory(empty);
  scene.daemon.use_runtime_dir(empty);
  scene.configure();
  scene.start(DaemonProcess::First::kNo);
}

boost::json::object progress_of(const Scene& scene) {
  const auto stats = scene.daemon.authctl({"stats", "--json"}).json();
  const auto& runs = stats.at("warm").as_array();
  return runs.empty() ? boost::json::object{} : runs.at(0).as_object();
}

bool is_done(const Scene& scene) {
  return eventually([&] {
    const auto progress = progress_of(scene);
    return progress.contains("done") && progress.at("done").as_bool();
  });
}

TEST(WarmStart, TheSessionsMadeLastAreHitsBeforeAnybodyAsks) {
  Scene scene(warming(20));
  scene.start();
  const auto older = scene.create_sessions(5);
  const auto tokens = scene.create_sessions(20, {"--permission", "orders:list"});
  start_as_after_a_boot(scene);
  ASSERT_TRUE(is_done(scene));
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (const std::string& token : tokens) {
    Question question = session(token);
    question.permission = "orders:list";
    EXPECT_EQ(reader.lookup(question), "valid");
  }
  for (const std::string& token : older) EXPECT_EQ(reader.lookup(session(token)), "miss");
  const auto progress = progress_of(scene);
  EXPECT_EQ(progress.at("profile").as_string(), "sessions");
  EXPECT_EQ(progress.at("wanted").to_number<int>(), 20);
  EXPECT_EQ(progress.at("records").to_number<int>(), 20);
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 0);
  EXPECT_TRUE(scene.daemon.authctl({"stats"}).out.contains("Warm start"));
  EXPECT_TRUE(scene.daemon.logs("warmed"));
}

TEST(WarmStart, OneThatWasRevokedByAnyRuleIsNoHit) {
  Scene scene(warming(100));
  scene.start();
  const auto made =
      scene.daemon.authctl({"session", "create", "--subject", "carol", "--count", "3", "--json"}).json();
  const auto& sessions = made.at("sessions").as_array();
  const auto token = [&](int i) {
    return std::string(sessions.at(static_cast<std::size_t>(i)).at("token").as_string());
  };
  const auto theirs = scene.daemon.authctl({"session", "create", "--subject", "mallory", "--json"}).json();
  const std::string other(theirs.at("sessions").as_array().at(0).at("token").as_string());
  ASSERT_EQ(
      scene.daemon.authctl({"session", "revoke", std::string(sessions.at(0).at("sid").as_string())}).exit, 0);
  ASSERT_EQ(scene.daemon.revoke(token(1)).exit, 0);
  ASSERT_EQ(scene.daemon.authctl({"revoke", "--subject", "mallory"}).exit, 0);
  start_as_after_a_boot(scene);
  ASSERT_TRUE(is_done(scene));
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.lookup(session(token(2))), "valid");
  for (const std::string& refused : {token(0), token(1), other}) {
    EXPECT_NE(reader.lookup(session(refused)), "valid");
    EXPECT_EQ(reader.validate(session(refused)), "invalid/revoked");
  }
}

TEST(WarmStart, ATableThatIsTakenOverIsNotFilled) {
  Scene scene(warming(20));
  scene.start();
  (void)scene.create_session();
  ASSERT_EQ(scene.daemon.stop(), 0);
  scene.start(DaemonProcess::First::kNo);
  EXPECT_TRUE(progress_of(scene).empty());
}

// What a login needs next is there when it gets its token: the session's record with its permissions.
TEST(WarmStart, ANewSessionIsPlacedWithItsPermissionsAndNobodyAsks) {
  Settings settings;
  settings.sessions = "roles = [\"editor\"]\n";
  settings.more = "\n[role.editor]\npermissions = [\"documents.write\"]\n";
  Scene scene(settings);
  scene.start();
  const std::string token = scene.create_session({"--role", "editor", "--permission", "orders:list"});
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (const char* permission : {"orders:list", "documents.write"}) {
    Question question = session(token);
    question.permission = permission;
    EXPECT_EQ(reader.lookup(question), "valid") << permission;
  }
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 0);
}

}  // namespace
}  // namespace authcache_test
