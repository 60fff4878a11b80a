// B5, A7: after `authctl revoke` has returned, no process of the host accepts the token, whatever happens to
// the daemon.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

Question twin_profile(std::string token) { return {.profile = "twin", .token = std::move(token)}; }

TEST(Revocation, B5_EveryProcessRefusesOnceRevokeHasReturned) {
  Scene scene;
  scene.start();
  ReaderProcess first(scene.daemon.runtime_dir()), second(scene.daemon.runtime_dir());
  for (const Question& question :
       {api(scene.issuer.es256()), api(scene.issuer.rs256()), session(scene.create_session())}) {
    ASSERT_EQ(first.validate(question), "valid");
    ASSERT_EQ(second.lookup(question), "valid");
    const Ran revoke = scene.daemon.revoke(question.token);
    ASSERT_EQ(revoke.exit, 0) << revoke.err;
    EXPECT_NE(first.lookup(question), "valid");
    EXPECT_NE(second.lookup(question), "valid");
    EXPECT_EQ(second.validate(question), "invalid/revoked");
    EXPECT_EQ(first.lookup(question), "invalid/revoked");
  }
}

TEST(Revocation, AReaderThatLooksWithoutAPauseSeesNothingValidAfterTheAcknowledgement) {
  Scene scene;
  scene.start();
  const Question question = api(scene.issuer.es256());
  SpinningReaders readers(scene.daemon.runtime_dir(), {question}, 2);
  ASSERT_TRUE(readers.warm());
  ASSERT_TRUE(readers.sees_valid(1'000));
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  const std::uint64_t valid = readers.tally().valid;
  const std::uint64_t refused = readers.tally().invalid;
  ASSERT_TRUE(eventually([&] { return readers.tally().invalid > refused + 10'000; }));
  // A lookup that began before the acknowledgement may be counted after it: one for each process.
  EXPECT_LE(readers.tally().valid, valid + 2);
  EXPECT_EQ(readers.tally().repaired, 0u);
  EXPECT_TRUE(readers.finish());
}

TEST(Revocation, ATokenThatWasNeverSeenIsRefusedWhenItComes) {
  Scene scene;
  scene.start();
  const std::string token = scene.issuer.es256();
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(api(token)), "invalid/revoked");
}

TEST(Revocation, ATokenThatWasRefusedFromTheCacheAsUnknownIsAcknowledgedTwiceAlike) {
  Scene scene;
  scene.start();
  const std::string token = random_token();
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(session(token)), "invalid/unknown");
  EXPECT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_NE(reader.validate(session(token)), "valid");
}

TEST(Revocation, TheSecondSignatureOfAnEs256TokenIsRefusedToo) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string token = scene.issuer.es256();
  const std::string twin = malleated_twin(scene.issuer.ec(), token);
  ASSERT_NE(twin, token);
  ASSERT_EQ(reader.validate(api(token)), "valid");
  ASSERT_EQ(reader.validate(api(twin)), "valid");  // it verifies: that is the danger
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_NE(reader.lookup(api(twin)), "valid");
  EXPECT_EQ(reader.validate(api(twin)), "invalid/revoked");
}

TEST(Revocation, TheSecondSignatureIsRefusedWhenItFirstComesAfterTheRevocation) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string token = scene.issuer.es256();
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_EQ(reader.validate(api(malleated_twin(scene.issuer.ec(), token))), "invalid/revoked");
}

TEST(Revocation, CopiesInOtherProfilesAreRefusedToo) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string token = scene.issuer.es256(), unseen = scene.issuer.es256();
  ASSERT_EQ(reader.validate(api(token)), "valid");
  ASSERT_EQ(reader.validate(twin_profile(token)), "valid");
  ASSERT_EQ(reader.validate(api(unseen)), "valid");
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  ASSERT_EQ(scene.daemon.revoke(unseen).exit, 0);
  EXPECT_NE(reader.lookup(twin_profile(token)), "valid");
  EXPECT_EQ(reader.validate(twin_profile(token)), "invalid/revoked");
  EXPECT_EQ(reader.validate(twin_profile(unseen)), "invalid/revoked");
}

TEST(Revocation, ItSurvivesARestart) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question revoked = api(scene.issuer.es256()), kept = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(revoked), "valid");
  ASSERT_EQ(reader.validate(kept), "valid");
  ASSERT_EQ(scene.daemon.revoke(revoked.token).exit, 0);
  ASSERT_EQ(scene.daemon.stop(), 0);
  EXPECT_NE(reader.lookup(revoked), "valid");
  scene.start(DaemonProcess::First::kNo);
  EXPECT_EQ(reader.validate(revoked), "invalid/revoked");
  EXPECT_EQ(reader.lookup(kept), "valid");
}

TEST(Revocation, B5_ItSurvivesAKillRightAfterItsAcknowledgement) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (int round = 0; round < 5; ++round) {
    const Question question = api(scene.issuer.es256());
    ASSERT_EQ(reader.validate(question), "valid");
    ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
    scene.daemon.kill();
    EXPECT_NE(reader.lookup(question), "valid");
    scene.start(DaemonProcess::First::kNo);
    EXPECT_NE(reader.lookup(question), "valid");
    EXPECT_EQ(reader.validate(question), "invalid/revoked");
  }
}

TEST(Revocation, ItOutlivesAFloodOfOtherTokens) {
  Scene scene({.capacity = 1'000});
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(question), "valid");
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  for (int i = 0; i < 10; ++i) (void)scene.create_sessions(1'000);
  scene.daemon.kill();
  scene.start(DaemonProcess::First::kNo);
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
}

// A tmpfs of its own, so that it can be filled up.
class SmallDisk {
 public:
  explicit SmallDisk(const std::filesystem::path& at) : at_(at) {
    std::filesystem::create_directories(at_);
    mounted_ = ::mount("tmpfs", at_.c_str(), "tmpfs", 0, "size=2m,mode=0700") == 0;
    if (!mounted_) why_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] const std::string& why() const { return why_; }
  void fill() const {
    std::ofstream out(at_ / "filler", std::ios::binary);
    const std::string block(4'096, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void make_room() const { std::filesystem::remove(at_ / "filler"); }

 private:
  std::filesystem::path at_;
  std::string why_;
  bool mounted_ = false;
};

// A7.8
TEST(Revocation, A7_8_WithoutRoomOnTheDiskNothingIsAcknowledgedAndLaterItWorksAgain) {
  Scene scene;
  const SmallDisk disk(scene.daemon.scratch("disk"));
  if (!disk.mounted()) GTEST_SKIP() << "a file system of its own needs the right to mount: " << disk.why();
  scene.daemon.use_state_dir(scene.daemon.scratch("disk") / "state");
  scene.configure();
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(question), "valid");
  disk.fill();
  Ran failed;
  // The log may have a few blocks left that were its own before.
  std::string token;
  const bool full = eventually([&] {
    token = scene.issuer.es256();
    failed = scene.daemon.revoke(token);
    return failed.exit != 0;
  });
  ASSERT_TRUE(full);
  EXPECT_EQ(failed.exit, 5) << failed.err;
  EXPECT_NE(failed.err.find(' '), std::string::npos) << "a sentence: " << failed.err;
  EXPECT_EQ(failed.out, "");
  EXPECT_TRUE(scene.daemon.running());
  EXPECT_EQ(reader.validate(question), "valid") << "what was not revoked is served";
  EXPECT_EQ(reader.validate(api(token)), "valid") << "not acknowledged, so withdrawn";
  disk.make_room();
  const Ran revoke = scene.daemon.revoke(question.token);
  ASSERT_EQ(revoke.exit, 0) << revoke.err;
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
  scene.daemon.kill();
  scene.start(DaemonProcess::First::kNo);
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
}

}  // namespace
}  // namespace authcache_test
