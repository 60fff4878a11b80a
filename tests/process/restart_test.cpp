// B8, D8: what readers see while the daemon is stopped, killed, asleep or started twice.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
constexpr auto kAgain = DaemonProcess::First::kNo;

std::vector<Question> warm_tokens(Scene& scene) {
  std::vector<Question> questions;
  for (const std::string& token : scene.create_sessions(20)) questions.push_back(session(token));
  for (int i = 0; i < 5; ++i) questions.push_back(api(scene.issuer.es256()));
  return questions;
}

TEST(Restart, HitsGoOnThroughAStopAndAStart) {
  Scene scene;
  scene.start();
  const std::vector<Question> questions = warm_tokens(scene);
  SpinningReaders readers(scene.daemon.runtime_dir(), questions, 2);
  ASSERT_TRUE(readers.warm());
  const std::int64_t generation = scene.daemon.stat("table", "generation");
  EXPECT_EQ(scene.daemon.stop(), 0);
  EXPECT_TRUE(readers.sees_valid(1'000)) << "while the daemon is down";
  scene.start(kAgain);
  EXPECT_TRUE(readers.sees_valid(1'000));
  EXPECT_EQ(scene.daemon.stat("table", "generation"), generation) << "adopted, not made anew";
  EXPECT_GE(scene.daemon.stat("table", "live"), 25);
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (const Question& question : questions) EXPECT_EQ(reader.lookup(question), "valid");
  EXPECT_TRUE(readers.finish());
  EXPECT_EQ(readers.tally().bad(), 0u) << readers.tally().text();
  EXPECT_EQ(readers.tally().miss, 0u) << readers.tally().text();
}

TEST(Restart, AClientWhoseSocketsDiedAsksTheNextDaemon) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
  ASSERT_EQ(scene.daemon.stop(), 0);
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "unavailable/daemon_unreachable");
  scene.start(kAgain);
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

TEST(Restart, AKillUnderLoadIsAdoptedAndWhatWasRevokedStaysRefused) {
  Scene scene;
  scene.start();
  const std::vector<Question> questions = warm_tokens(scene);
  const Question revoked = api(scene.issuer.es256());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(revoked), "valid");
  SpinningReaders readers(scene.daemon.runtime_dir(), questions, 2);
  ASSERT_TRUE(readers.warm());
  ASSERT_EQ(scene.daemon.revoke(revoked.token).exit, 0);
  const std::int64_t generation = scene.daemon.stat("table", "generation");
  for (int round = 0; round < 5; ++round) {
    // Misses under way: the writer is killed between or within its stores.
    RawConnection load(scene.daemon.runtime_dir() / "authcached.sock");
    std::string frames;
    for (std::uint64_t i = 0; i < 500; ++i) frames += validate_frame(i, "sessions", random_token());
    ASSERT_TRUE(load.send(frames));
    ASSERT_TRUE(load.receive());
    scene.daemon.kill();
    EXPECT_NE(reader.lookup(revoked), "valid");
    scene.start(kAgain);
    EXPECT_EQ(reader.validate(revoked), "invalid/revoked");
  }
  EXPECT_EQ(scene.daemon.stat("table", "generation"), generation);
  EXPECT_TRUE(readers.sees_valid(1'000));
  EXPECT_TRUE(readers.finish());
  EXPECT_EQ(readers.tally().bad(), 0u) << readers.tally().text();
}

TEST(Restart, B8_ADaemonDeadForLongerThanItsTimeoutIsNotTrustedUntilItIsBack) {
  Scene scene({.heartbeat_timeout = "1s"});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  scene.daemon.kill();
  ASSERT_TRUE(eventually([&] { return reader.lookup(question) != "valid"; }));
  EXPECT_EQ(reader.lookup(question), "unavailable/heartbeat_stale");
  EXPECT_NE(reader.validate(question), "valid");
  EXPECT_TRUE(throughout([&] { return reader.lookup(question) == "unavailable/heartbeat_stale"; },
                         milliseconds(300)));
  scene.start(kAgain);
  EXPECT_TRUE(eventually([&] { return reader.lookup(question) == "valid"; }));
}

TEST(Restart, B8_ADaemonThatStandsStillForLongerThanItsTimeoutIsNotTrustedUntilItGoesOn) {
  Scene scene({.heartbeat_timeout = "1s"});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  scene.daemon.suspend();
  ASSERT_TRUE(eventually([&] { return reader.lookup(question) != "valid"; }));
  EXPECT_EQ(reader.lookup(question), "unavailable/heartbeat_stale");
  Question hurried = question;
  hurried.timeout_ms = 200;
  EXPECT_NE(reader.validate(hurried), "valid");
  scene.daemon.resume();
  EXPECT_TRUE(eventually([&] { return reader.lookup(question) == "valid"; }));
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

TEST(Clients, KilledInTheMiddleOfTheirMissesLeaveNothingBehind) {
  Scene scene({.limits = "misses_per_second_per_uid = 1_000_000\nmiss_burst_per_uid = 1_000_000"});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess survivor(scene.daemon.runtime_dir());
  ASSERT_EQ(survivor.validate(api(scene.issuer.es256())), "valid");
  ASSERT_EQ(scene.daemon.stat("daemon", "connections"), 2);  // the survivor's and authctl's
  const std::size_t descriptors = scene.daemon.descriptors();
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<ReaderProcess>> clients;
    for (int i = 0; i < 10; ++i)
      clients.push_back(std::make_unique<ReaderProcess>(scene.daemon.runtime_dir()));
    for (auto& client : clients) ASSERT_EQ(client->validate(api(scene.issuer.es256())), "valid");
    std::vector<RawConnection> connections;
    for (int i = 0; i < 20; ++i) {
      connections.emplace_back(scene.daemon.runtime_dir() / "authcached.sock");
      std::string frames;
      for (std::uint64_t j = 0; j < 20; ++j) frames += validate_frame(j, "sessions", random_token());
      ASSERT_TRUE(connections.back().send(frames + frames.substr(0, 11)));
    }
  }
  EXPECT_TRUE(eventually([&] { return scene.daemon.stat("daemon", "connections") == 2; }));
  EXPECT_TRUE(eventually([&] { return scene.daemon.descriptors() <= descriptors; }))
      << scene.daemon.descriptors() << " after " << descriptors;
  EXPECT_TRUE(eventually([&] { return scene.daemon.stat("daemon", "flights") == 0; }));
  EXPECT_EQ(survivor.lookup(question), "valid");
  EXPECT_EQ(survivor.validate(api(scene.issuer.es256())), "valid");
}

// B26
TEST(Clients, B26_AChildOfAClientWithOpenSocketsValidatesAndSoDoesItsParent) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(reader.fork_and_validate(api(scene.issuer.es256())), "valid|valid");
    EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
  }
}

// The second of the two must end with a sentence, and the first must not notice.
void expect_refused(DaemonProcess& first, DaemonProcess& second, const std::string& held) {
  second.launch();
  const auto status = second.exit_status();
  ASSERT_TRUE(status) << "both run";
  EXPECT_EQ(*status, 5);
  EXPECT_NE(second.log().find("another authcached holds " + held), std::string::npos) << second.log();
  EXPECT_TRUE(first.running());
  EXPECT_EQ(first.authctl({"stats"}).exit, 0);
}

TEST(TwoDaemons, ASecondOneOnTheSameDirectoriesEndsWithASentence) {
  Scene one, two;
  two.daemon.use_runtime_dir(one.daemon.runtime_dir());
  two.daemon.use_state_dir(one.daemon.state_dir());
  two.configure();
  one.start();
  const Question question = session(one.create_session());
  ReaderProcess reader(one.daemon.runtime_dir());
  expect_refused(one.daemon, two.daemon, one.daemon.runtime_dir().string());
  EXPECT_EQ(reader.lookup(question), "valid");
  EXPECT_EQ(reader.validate(api(one.issuer.es256())), "valid");
}

TEST(TwoDaemons, ASecondOneOnTheSameRuntimeDirectoryEndsWithASentence) {
  Scene one, two;
  two.daemon.use_runtime_dir(one.daemon.runtime_dir());
  two.configure();
  one.start();
  expect_refused(one.daemon, two.daemon, one.daemon.runtime_dir().string());
}

TEST(TwoDaemons, ASecondOneOnTheSameStateDirectoryEndsWithASentence) {
  Scene one, two;
  two.daemon.use_state_dir(one.daemon.state_dir());
  two.configure();
  one.start();
  expect_refused(one.daemon, two.daemon, one.daemon.state_dir().string());
}

TEST(TwoDaemons, OfTwoThatAreStartedAtOnceExactlyOneLives) {
  for (int round = 0; round < 5; ++round) {
    Scene one, two;
    two.daemon.use_runtime_dir(one.daemon.runtime_dir());
    two.daemon.use_state_dir(one.daemon.state_dir());
    two.configure();
    one.daemon.launch();
    two.daemon.launch();
    ASSERT_TRUE(eventually([&] { return one.daemon.running() != two.daemon.running(); }));
    DaemonProcess& alive = one.daemon.running() ? one.daemon : two.daemon;
    DaemonProcess& dead = one.daemon.running() ? two.daemon : one.daemon;
    EXPECT_TRUE(alive.becomes_ready()) << alive.log();
    EXPECT_EQ(dead.exit_status(), 5);
    EXPECT_NE(dead.log().find("another authcached holds"), std::string::npos) << dead.log();
  }
}

TEST(Leftovers, AStoppedDaemonTakesItsSocketsWithItAndLeavesTheTable) {
  Scene scene;
  scene.start();
  const auto& dir = scene.daemon.runtime_dir();
  ASSERT_TRUE(std::filesystem::is_socket(dir / "authcached.sock"));
  ASSERT_TRUE(std::filesystem::is_socket(dir / "control.sock"));
  EXPECT_EQ(scene.daemon.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(dir / "authcached.sock"));
  EXPECT_FALSE(std::filesystem::exists(dir / "control.sock"));
  EXPECT_TRUE(std::filesystem::exists(scene.daemon.table()));
}

TEST(Leftovers, SocketsAndTableAreForTheOwnerAndTheGroupOnly) {
  Scene scene;
  scene.start();
  const auto mode = [&](const char* name) {
    struct stat inode {};
    EXPECT_EQ(::stat((scene.daemon.runtime_dir() / name).c_str(), &inode), 0);
    return inode.st_mode & 07777;
  };
  EXPECT_EQ(mode("authcached.sock"), 0660u);
  EXPECT_EQ(mode("control.sock"), 0660u);
  EXPECT_EQ(mode("table"), 0640u);
  EXPECT_EQ(mode("."), 0750u);
}

TEST(Leftovers, ARuntimeDirectoryThatTheGroupCanWriteIsRefused) {
  Scene scene;
  std::filesystem::create_directory(scene.daemon.runtime_dir());
  ASSERT_EQ(::chmod(scene.daemon.runtime_dir().c_str(), 0770), 0);
  scene.daemon.launch();
  EXPECT_EQ(scene.daemon.exit_status(), 2);
  EXPECT_NE(scene.daemon.log().find("run chmod go-w " + scene.daemon.runtime_dir().string()),
            std::string::npos)
      << scene.daemon.log();
}

}  // namespace
}  // namespace authcache_test
