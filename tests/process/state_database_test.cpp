// D7: the state database holds the revocations. Where it is lost, damaged or older than the table, everything
// issued before is refused; where predecessors may still be mapped, acknowledgements wait.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
constexpr auto kAgain = DaemonProcess::First::kNo;
constexpr milliseconds kNotYet{1'000};  // far below any wait that is asked for here

void remove_database(const Scene& scene) {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(scene.state_db().string() + suffix);
}

// After a next start that finds the rules gone: refused is what is older, good is what is newer.
class LostRules {
 public:
  LostRules() {
    scene.start();
    old_session_ = session(scene.create_session());
    old_jwt_ = api(scene.issuer.es256());
    revoked_ = api(scene.issuer.es256());
    unseen_jwt_ = api(scene.issuer.es256());
    EXPECT_EQ(reader.validate(old_jwt_), "valid");
    EXPECT_EQ(reader.validate(revoked_), "valid");
    EXPECT_EQ(scene.daemon.revoke(revoked_.token).exit, 0);
    EXPECT_EQ(scene.daemon.stop(), 0);
  }

  void expect_only_newer_ones_valid() {
    EXPECT_TRUE(scene.daemon.logs("rules_lost")) << scene.daemon.log();
    for (const Question& question : {old_session_, old_jwt_, revoked_, unseen_jwt_}) {
      EXPECT_NE(reader.lookup(question), "valid");
      EXPECT_EQ(reader.validate(question), "invalid/revoked");
    }
    EXPECT_EQ(reader.lookup(session(scene.create_session())), "valid");
    // A JWT tells its time in whole seconds: the next one is surely later.
    EXPECT_TRUE(eventually([&] { return reader.validate(api(scene.issuer.es256())) == "valid"; }));
    for (const Question& question : {old_session_, old_jwt_, revoked_, unseen_jwt_})
      EXPECT_NE(reader.validate(question), "valid");
  }

  void expect_it_lasts() {
    scene.daemon.kill();
    scene.start(kAgain);
    for (const Question& question : {old_session_, old_jwt_, revoked_, unseen_jwt_})
      EXPECT_NE(reader.validate(question), "valid");
  }

  Scene scene;
  ReaderProcess reader{scene.daemon.runtime_dir()};

 private:
  Question old_session_, old_jwt_, revoked_, unseen_jwt_;
};

TEST(StateDatabase, LostBesideATableRefusesWhatWasIssuedBefore) {
  LostRules lost;
  remove_database(lost.scene);
  lost.scene.start(kAgain);
  lost.expect_only_newer_ones_valid();
  EXPECT_TRUE(lost.scene.daemon.logs("later state of this one")) << lost.scene.daemon.log();
  lost.expect_it_lasts();
}

TEST(StateDatabase, LostBesideATableRefusesWhatWasIssuedBeforeEvenIfThisIsSaidToBeTheFirstStart) {
  LostRules lost;
  remove_database(lost.scene);
  lost.scene.start(DaemonProcess::First::kYes);
  lost.expect_only_newer_ones_valid();
  lost.expect_it_lasts();
}

TEST(StateDatabase, DamagedIsSetAsideAndRefusesWhatWasIssuedBefore) {
  LostRules lost;
  remove_database(lost.scene);
  write_file(lost.scene.state_db(), std::string(64 * 1024, '\xa5'));
  lost.scene.start(kAgain);
  bool kept = false;
  for (const auto& each : fs::directory_iterator(lost.scene.daemon.state_dir())) {
    kept = kept || each.path().filename().string().contains(".corrupt-");
  }
  EXPECT_TRUE(kept);
  EXPECT_TRUE(lost.scene.daemon.logs("state_database_corrupt"));
  lost.expect_only_newer_ones_valid();
  lost.expect_it_lasts();
}

TEST(StateDatabase, AnOlderCopyPutBackRefusesWhatWasIssuedBefore) {
  LostRules lost;
  Scene& scene = lost.scene;
  const fs::path copy = scene.daemon.scratch("state.db.copy");
  fs::copy_file(scene.state_db(), copy);
  scene.start(kAgain);
  const std::string token = scene.issuer.es256();
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  ASSERT_EQ(scene.daemon.stop(), 0);
  remove_database(scene);
  fs::copy_file(copy, scene.state_db());
  scene.start(kAgain);
  EXPECT_EQ(lost.reader.validate(api(token)), "invalid/revoked");
  lost.expect_only_newer_ones_valid();
}

// Nobody says that no earlier table can be mapped, so the greatest heartbeat_timeout passes before anything
// is acknowledged; what is revoked is refused meanwhile.
TEST(Acknowledgement, WaitsAtAFirstStartThatIsNotSaidToBeOne) {
  Scene scene;
  scene.start(kAgain);
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(question), "valid");
  PendingRevoke revoke(scene.daemon.runtime_dir(), question.token);
  EXPECT_TRUE(eventually([&] { return reader.lookup(question) != "valid"; }));
  EXPECT_TRUE(throughout([&] { return !revoke.process().ended(); }, kNotYet));
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
}

void unlink_tables(const fs::path& dir) {
  std::vector<fs::path> files;
  for (const auto& each : fs::directory_iterator(dir)) {
    if (each.path().filename().string().starts_with("table")) files.push_back(each.path());
  }
  for (const fs::path& file : files) fs::remove(file);
}

// The reader has a table mapped that nobody can retire any more.
TEST(Acknowledgement, WaitsForATableThatLostItsName) {
  Scene scene({.heartbeat_timeout = "2s"});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  scene.daemon.kill();
  unlink_tables(scene.daemon.runtime_dir());
  scene.start(kAgain);
  PendingRevoke revoke(scene.daemon.runtime_dir(), question.token);
  EXPECT_TRUE(throughout([&] { return !revoke.process().ended(); }, kNotYet));
  ASSERT_EQ(revoke.process().wait(), 0);
  EXPECT_NE(reader.lookup(question), "valid");
}

TEST(Acknowledgement, GoesOnWaitingForATableThatLostItsNameAfterAnotherRestart) {
  Scene scene({.heartbeat_timeout = "20s"});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  scene.daemon.kill();
  unlink_tables(scene.daemon.runtime_dir());
  scene.start(kAgain);
  scene.daemon.kill();
  scene.start(kAgain);
  PendingRevoke revoke(scene.daemon.runtime_dir(), question.token);
  const bool waited = throughout([&] { return !revoke.process().ended(); }, kNotYet);
  // The reader still believes the table that nobody can reach, so an acknowledgement would be a lie.
  EXPECT_TRUE(waited) << "acknowledged while a reader answers " << reader.lookup(question);
}

TEST(Acknowledgement, WaitsAgainWhenTheDaemonIsKilledDuringTheWaitOfAFirstStart) {
  Scene scene;
  scene.start(kAgain);
  scene.daemon.kill();
  scene.start(kAgain);
  PendingRevoke revoke(scene.daemon.runtime_dir(), scene.issuer.es256());
  EXPECT_TRUE(throughout([&] { return !revoke.process().ended(); }, kNotYet));
}

}  // namespace
}  // namespace authcache_test
