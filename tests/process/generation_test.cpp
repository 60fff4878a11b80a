// D1: the table is replaced by a new generation while other processes read it without a pause.
#include <gtest/gtest.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

std::vector<Question> sessions_of(const Scene& scene, unsigned count) {
  std::vector<Question> questions;
  for (const std::string& token : scene.create_sessions(count)) questions.push_back(session(token));
  return questions;
}

std::size_t tables_in(const std::filesystem::path& dir) {
  std::size_t count = 0;
  for (const auto& each : std::filesystem::directory_iterator(dir))
    count += each.path().filename().string().starts_with("table.") ? 1 : 0;
  return count;
}

bool replaced(const DaemonProcess& daemon, std::int64_t old_generation) {
  return eventually([&] {
    const auto table = daemon.authctl({"stats", "--json"}).json().at("table");
    return table.at("generation").to_number<std::int64_t>() != old_generation &&
           !table.at("replacing").as_bool();
  });
}

TEST(Generation, ReadersGoOnToSeeEveryGoodTokenValidAndEndOnTheNewTable) {
  Scene scene({.heartbeat_timeout = "3s"});
  scene.start();
  const std::vector<Question> questions = sessions_of(scene, 500);
  SpinningReaders readers(scene.daemon.runtime_dir(), questions, 2);
  ASSERT_TRUE(readers.warm());
  const std::int64_t before = scene.daemon.stat("table", "generation");
  const std::filesystem::path old_file = scene.daemon.runtime_dir() / ("table." + std::to_string(before));
  ASSERT_TRUE(std::filesystem::exists(old_file));

  scene.settings.capacity = 20'000;
  scene.configure();
  const Ran reload = scene.daemon.authctl({"reload"});
  ASSERT_EQ(reload.exit, 0) << reload.err;
  ASSERT_TRUE(replaced(scene.daemon, before));
  const std::int64_t after = scene.daemon.stat("table", "generation");
  EXPECT_GT(after, before) << "numbers never repeat";
  EXPECT_EQ(scene.daemon.stat("table", "capacity"), 20'000);
  EXPECT_TRUE(
      eventually([&] { return readers.tally().newest_generation == static_cast<std::uint64_t>(after); }));
  EXPECT_TRUE(readers.sees_valid(10'000));
  EXPECT_TRUE(readers.finish());
  EXPECT_EQ(readers.tally().bad(), 0u) << readers.tally().text();
  EXPECT_FALSE(std::filesystem::exists(old_file));
  EXPECT_EQ(tables_in(scene.daemon.runtime_dir()), 1u);
}

TEST(Generation, AMissDuringTheReplacementIsAHitInBothTables) {
  Scene scene({.heartbeat_timeout = "3s"});
  scene.start();
  (void)scene.create_session();
  ReaderProcess attached_before(scene.daemon.runtime_dir());
  const std::int64_t before = scene.daemon.stat("table", "generation");
  ASSERT_EQ(attached_before.generation(), static_cast<std::uint64_t>(before));
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("table", "generation") != before; }));
  ReaderProcess attached_after(scene.daemon.runtime_dir());
  ASSERT_NE(attached_after.generation(), static_cast<std::uint64_t>(before));
  const Question question = api(scene.issuer.es256());
  EXPECT_EQ(attached_after.validate(question), "valid");
  EXPECT_EQ(attached_before.lookup(question), "valid");
}

TEST(Generation, ATokenRevokedDuringTheReplacementIsRefusedFromBothTables) {
  Scene scene({.heartbeat_timeout = "3s"});
  scene.start();
  const std::vector<Question> questions = sessions_of(scene, 10);
  const Question jwt = api(scene.issuer.es256());
  ReaderProcess attached_before(scene.daemon.runtime_dir());
  ASSERT_EQ(attached_before.validate(jwt), "valid");
  const std::int64_t before = scene.daemon.stat("table", "generation");
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("table", "generation") != before; }));
  ASSERT_TRUE(scene.daemon.authctl({"stats", "--json"}).json().at("table").at("replacing").as_bool());
  ReaderProcess attached_after(scene.daemon.runtime_dir());
  ASSERT_EQ(attached_before.generation(), static_cast<std::uint64_t>(before));
  for (const Question& question : {questions[0], jwt}) {
    ASSERT_EQ(attached_before.lookup(question), "valid");
    ASSERT_EQ(attached_after.lookup(question), "valid");
    ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
    EXPECT_NE(attached_before.lookup(question), "valid");
    EXPECT_NE(attached_after.lookup(question), "valid");
    EXPECT_EQ(attached_before.validate(question), "invalid/revoked");
    EXPECT_EQ(attached_after.validate(question), "invalid/revoked");
  }
  ASSERT_TRUE(replaced(scene.daemon, before));
  for (const Question& question : {questions[0], jwt}) {
    EXPECT_NE(attached_before.lookup(question), "valid");
    EXPECT_NE(attached_after.lookup(question), "valid");
  }
  EXPECT_EQ(attached_before.lookup(questions[1]), "valid");
}

TEST(Generation, ADaemonKilledDuringTheReplacementLeavesNothingThatForgetsARevocation) {
  Scene scene({.heartbeat_timeout = "3s"});
  scene.start();
  const std::vector<Question> questions = sessions_of(scene, 100);
  ReaderProcess attached_before(scene.daemon.runtime_dir());
  ASSERT_EQ(attached_before.lookup(questions[0]), "valid");
  const std::int64_t before = scene.daemon.stat("table", "generation");
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("table", "generation") != before; }));
  scene.daemon.kill();
  scene.start(DaemonProcess::First::kNo);
  // Whichever table it goes on with, a reader of either obeys the revocation.
  ReaderProcess attached_after(scene.daemon.runtime_dir());
  ASSERT_EQ(scene.daemon.revoke(questions[0].token).exit, 0);
  EXPECT_NE(attached_before.lookup(questions[0]), "valid");
  EXPECT_NE(attached_after.lookup(questions[0]), "valid");
  EXPECT_TRUE(eventually([&] { return attached_before.validate(questions[1]) == "valid"; }));
  EXPECT_TRUE(eventually([&] { return tables_in(scene.daemon.runtime_dir()) == 1; }));
  EXPECT_EQ(scene.daemon.stat("table", "capacity"), 20'000);
}

// Larger, smaller than what is live, another timeout: each replacement runs while tokens come, go and are read.
TEST(Generation, OneAfterTheOtherUnderLoadNoneForgetsARevocationAndNoneRefusesAGoodToken) {
  Scene scene({.heartbeat_timeout = "2s"});
  scene.start();
  const std::vector<Question> kept = sessions_of(scene, 300);
  SpinningReaders spinning(scene.daemon.runtime_dir(), kept, 1);
  ASSERT_TRUE(spinning.warm());
  ReaderProcess reader(scene.daemon.runtime_dir());
  std::vector<Question> revoked;
  for (const std::uint64_t capacity : {40'000, 1'000, 5'000}) {
    const std::int64_t before = scene.daemon.stat("table", "generation");
    scene.settings.capacity = capacity;
    scene.configure();
    ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
    // Some before the successor is there, some while it is filled, some while both are written.
    unsigned rounds = 0;
    const bool done = eventually([&] {
      const std::vector<Question> fresh = sessions_of(scene, 2);
      EXPECT_EQ(reader.validate(fresh[0]), "valid");
      EXPECT_EQ(reader.validate(fresh[1]), "valid");
      EXPECT_EQ(scene.daemon.revoke(fresh[0].token).exit, 0);
      EXPECT_NE(reader.lookup(fresh[0]), "valid");
      revoked.push_back(fresh[0]);
      ++rounds;
      const auto table = scene.daemon.authctl({"stats", "--json"}).json().at("table");
      return table.at("generation").to_number<std::int64_t>() != before && !table.at("replacing").as_bool();
    });
    ASSERT_TRUE(done) << capacity;
    EXPECT_GE(rounds, 3u);
    for (const Question& each : revoked) ASSERT_NE(reader.lookup(each), "valid") << capacity;
  }
  for (const Question& each : revoked) EXPECT_EQ(reader.validate(each), "invalid/revoked");
  EXPECT_TRUE(spinning.sees_valid(10'000));
  EXPECT_TRUE(spinning.finish());
  EXPECT_EQ(spinning.tally().bad(), 0u) << spinning.tally().text();
}

}  // namespace
}  // namespace authcache_test
