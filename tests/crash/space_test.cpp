// No room left: in the runtime directory, in the state directory, in the daemon's table of descriptors. Each
// is told in a sentence, nothing is acknowledged that is not so, the daemon stays, and goes on when there is
// room.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>

#include "shm/table_file.hpp"
#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"
#include "tests/support/temp_table.hpp"

namespace crash {
namespace {

using namespace authcache_test;
namespace fs = std::filesystem;
using std::chrono::milliseconds;
constexpr auto kAgain = DaemonProcess::First::kNo;

// A file system of its own of a few kilobytes. mounted() is false where that is not permitted.
class SmallDisk {
 public:
  SmallDisk(const fs::path& at, const std::string& size) : at_(at) {
    fs::create_directories(at);
    mounted_ = ::mount("none", at.c_str(), "tmpfs", 0, ("mode=0700,size=" + size).c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }
  void resize(const std::string& size) const {
    EXPECT_EQ(::mount("none", at_.c_str(), "tmpfs", MS_REMOUNT, ("mode=0700,size=" + size).c_str()), 0);
  }
  // Leaves no block.
  void fill() const {
    std::ofstream file(at_ / "filler", std::ios::binary | std::ios::app);
    const std::string block(4'096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void drain() const { fs::remove(at_ / "filler"); }

 private:
  fs::path at_;
  bool mounted_ = false;
};

constexpr const char* kMayNotMount = "needs the right to mount a small tmpfs";

TEST(Space, ATableThatDoesNotFitIsAnErrorAndLeavesNothingBehind) {
  const TempTableDirectory directory;
  const SmallDisk disk(directory.path() / "small", "1m");
  if (!disk.mounted()) GTEST_SKIP() << kMayNotMount;
  const auto make = [&] {
    return authcache::shm::create_table(directory.path() / "small", small_table_spec());
  };
  const auto refused = make();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message, "");
  EXPECT_TRUE(fs::is_empty(directory.path() / "small"));
  struct statvfs room {};
  ASSERT_EQ(::statvfs((directory.path() / "small").c_str(), &room), 0);
  EXPECT_EQ(room.f_bfree, room.f_blocks) << "blocks are still taken";
  disk.resize("16m");
  EXPECT_TRUE(make());
}

TEST(Space, ARevocationIntoAFullStateDirectoryIsNotAcknowledgedAndTheDaemonGoesOn) {
  Scene scene;
  const SmallDisk disk(scene.daemon.state_dir(), "1m");
  if (!disk.mounted()) GTEST_SKIP() << kMayNotMount;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question kept = session(scene.create_session());
  const Question jwt = api(scene.issuer.es256());
  ASSERT_EQ(reader.validate(jwt), "valid");
  ASSERT_EQ(reader.validate(kept), "valid");
  disk.fill();
  // The log has room of its own for some commits; then one fails.
  std::vector<Question> acknowledged;
  Ran last;
  for (int i = 0; i < 200; ++i) {
    const Question question = api(scene.issuer.es256());
    last = scene.daemon.revoke(question.token);
    if (last.exit != 0) break;
    acknowledged.push_back(question);
  }
  ASSERT_NE(last.exit, 0) << "the disk never filled";
  EXPECT_NE(last.err + last.out, "");
  const Ran revoked = scene.daemon.revoke(jwt.token);
  EXPECT_NE(revoked.exit, 0);
  EXPECT_TRUE(scene.daemon.running());
  EXPECT_EQ(reader.lookup(kept), "valid");
  // Not acknowledged, so not refused for good: what was killed is asked for again.
  EXPECT_EQ(reader.validate(jwt), "valid");
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid") << "misses of JWTs need no disk";
  for (const Question& question : acknowledged) EXPECT_EQ(reader.validate(question), "invalid/revoked");
  EXPECT_NE(
      scene.daemon.authctl({"session", "create", "--subject", "alice", "--count", "1000", "--json"}).exit, 0);
  disk.drain();
  ASSERT_EQ(scene.daemon.revoke(jwt.token).exit, 0) << "there is room again";
  EXPECT_NE(reader.lookup(jwt), "valid");
  acknowledged.push_back(jwt);
  scene.daemon.kill();
  scene.start(kAgain);
  for (const Question& question : acknowledged) EXPECT_EQ(reader.validate(question), "invalid/revoked");
  EXPECT_EQ(reader.validate(kept), "valid");
  EXPECT_EQ(scene.daemon.stop(), 0);
}

TEST(Space, AReplacementThatDoesNotFitLeavesTheOldTableInUse) {
  Scene scene({.capacity = 50'000});
  const SmallDisk disk(scene.daemon.runtime_dir(), "48m");
  if (!disk.mounted()) GTEST_SKIP() << kMayNotMount;
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  const std::int64_t generation = scene.daemon.stat("table", "generation");
  // Two such tables never fit: told before anything is begun. The old one's room would do, but is not free
  // yet: told when it is tried.
  scene.settings.capacity = 100'000;
  scene.configure();
  scene.daemon.signal(SIGHUP);
  EXPECT_TRUE(scene.daemon.logs("two table files need")) << scene.daemon.log();
  disk.fill();
  scene.settings.capacity = 15'000;
  scene.configure();
  scene.daemon.signal(SIGHUP);
  EXPECT_TRUE(scene.daemon.logs("table_not_replaced")) << scene.daemon.log();
  EXPECT_EQ(scene.daemon.stat("table", "generation"), generation);
  EXPECT_EQ(reader.lookup(question), "valid");
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  EXPECT_NE(reader.lookup(question), "valid");
  scene.daemon.kill();
  disk.drain();
  scene.start(kAgain);
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
  EXPECT_TRUE(scene.daemon.logs("table_replaced")) << scene.daemon.log();
  EXPECT_EQ(scene.daemon.stop(), 0);
}

TEST(Space, AStartWithoutRoomForATableEndsWithASentence) {
  Scene scene({.capacity = 100'000});
  const SmallDisk disk(scene.daemon.runtime_dir(), "1m");
  if (!disk.mounted()) GTEST_SKIP() << kMayNotMount;
  scene.daemon.launch();
  EXPECT_NE(scene.daemon.exit_status().value_or(0), 0);
  EXPECT_NE(scene.daemon.log(), "");
}

TEST(Space, WithoutDescriptorsItRefusesTheNewcomerAndServesHimLater) {
  Scene scene;
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess known(scene.daemon.runtime_dir());
  ASSERT_EQ(known.validate(api(scene.issuer.es256())), "valid");
  const auto used = static_cast<rlim_t>(scene.daemon.descriptors());
  rlimit before{};
  const rlimit few{used + 8, used + 8};
  ASSERT_EQ(::prlimit(scene.daemon.pid(), RLIMIT_NOFILE, &few, &before), 0);
  std::vector<RawConnection> crowd;
  for (int i = 0; i < 40; ++i) crowd.emplace_back(scene.daemon.runtime_dir() / "authcached.sock");
  ASSERT_TRUE(eventually([&] { return scene.daemon.descriptors() >= used + 6; }));
  EXPECT_EQ(known.lookup(question), "valid");
  EXPECT_EQ(known.validate(api(scene.issuer.es256())), "valid") << "who is connected is served";
  EXPECT_TRUE(scene.daemon.running());
  crowd.clear();
  EXPECT_TRUE(eventually([&] { return scene.daemon.descriptors() <= used + 1; }))
      << scene.daemon.descriptors();
  ReaderProcess newcomer(scene.daemon.runtime_dir());
  EXPECT_EQ(newcomer.validate(api(scene.issuer.es256())), "valid");
  EXPECT_EQ(scene.daemon.revoke(question.token).exit, 0);
}

}  // namespace
}  // namespace crash
