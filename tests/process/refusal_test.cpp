// B4, B7, B25: a table that must not be trusted is refused with a sentence, by clients and by the next
// daemon.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <functional>

#include "shm/layout.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;
namespace shm = authcache::shm;

void patch_word(const fs::path& file, std::size_t offset, std::uint64_t value) {
  const shm::UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), &value, sizeof value, static_cast<off_t>(offset)),
            static_cast<ssize_t>(sizeof value));
}

// What a client that is opened now says of the table; "" if it takes it.
std::string refusal(const fs::path& runtime_dir) { return ReaderProcess(runtime_dir).refused(); }

// A live table is taken, and after `harm` it is not, for this reason.
void expect_refused(const std::function<void(const Scene&)>& harm, const std::string& sentence) {
  Scene scene;
  scene.start();
  ASSERT_EQ(refusal(scene.daemon.runtime_dir()), "");
  harm(scene);
  const std::string said = refusal(scene.daemon.runtime_dir());
  EXPECT_NE(said.find(sentence), std::string::npos) << said;
}

TEST(Refusal, ATableOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a file to another user needs root";
  expect_refused([](const Scene& scene) { ASSERT_EQ(::chown(scene.daemon.table().c_str(), 12'345, 0), 0); },
                 "owned by uid 12345");
}

TEST(Refusal, ARuntimeDirectoryOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory to another user needs root";
  expect_refused(
      [](const Scene& scene) { ASSERT_EQ(::chown(scene.daemon.runtime_dir().c_str(), 12'345, 0), 0); },
      "owned by uid 12345");
}

TEST(Refusal, ATableThatOthersCanWrite) {
  for (const mode_t mode : {0660, 0642, 0666}) {
    expect_refused([&](const Scene& scene) { ASSERT_EQ(::chmod(scene.daemon.table().c_str(), mode), 0); },
                   "wider mode than 0640");
  }
}

TEST(Refusal, ARuntimeDirectoryThatTheGroupCanWrite) {
  expect_refused([](const Scene& scene) { ASSERT_EQ(::chmod(scene.daemon.runtime_dir().c_str(), 0770), 0); },
                 "chmod it to 0750");
}

TEST(Refusal, B25_ATableOfAnotherFormatVersion) {
  expect_refused(
      [](const Scene& scene) { patch_word(scene.daemon.table(), offsetof(shm::Header, version), 999); },
      "has format version 999");
}

TEST(Refusal, ATableOfAnotherBoot) {
  expect_refused(
      [](const Scene& scene) { patch_word(scene.daemon.table(), offsetof(shm::Header, boot_id), 1); },
      "in another boot");
}

TEST(Refusal, AFileThatIsNoTable) {
  expect_refused(
      [](const Scene& scene) { patch_word(scene.daemon.table(), offsetof(shm::Header, magic), 1); },
      "is not a table file");
}

TEST(Refusal, ATableWhoseSizeItsHeaderDoesNotExplain) {
  expect_refused(
      [](const Scene& scene) {
        patch_word(scene.daemon.table(), offsetof(shm::Header, capacity), 1'234'567);
      },
      "does not explain");
  expect_refused(
      [](const Scene& scene) {
        patch_word(scene.daemon.table(), offsetof(shm::Header, capacity), UINT64_MAX / 3);
      },
      "does not explain");
}

TEST(Refusal, ASymbolicLinkInPlaceOfTheTable) {
  expect_refused(
      [](const Scene& scene) {
        fs::rename(scene.daemon.table(), scene.daemon.scratch("elsewhere"));
        fs::create_symlink(scene.daemon.scratch("elsewhere"), scene.daemon.table());
      },
      "is a symbolic link");
}

TEST(Refusal, APipeInPlaceOfTheTableIsRefusedWithoutAWait) {
  expect_refused(
      [](const Scene& scene) {
        fs::remove(scene.daemon.table());
        ASSERT_EQ(::mkfifo(scene.daemon.table().c_str(), 0640), 0);
      },
      "is not a regular file");
}

TEST(Refusal, ATableThatIsNotOnTmpfs) {
  Scene scene;
  scene.start();
  const fs::path dir = scene.daemon.state_dir() / "copy";
  fs::create_directory(dir);
  struct statfs filesystem {};
  ASSERT_EQ(::statfs(dir.c_str(), &filesystem), 0);
  if (filesystem.f_type == 0x01021994)
    GTEST_SKIP() << "the temporary directory is on tmpfs itself here; set TMPDIR to one on a disk";
  ::chmod(dir.c_str(), 0750);
  fs::copy_file(scene.daemon.table(), dir / "table");
  EXPECT_NE(refusal(dir).find("is not on tmpfs"), std::string::npos);
}

// B4: what a process of the group may do with the file is read it.
TEST(Refusal, B4_AMemberOfTheGroupCannotWriteTheTable) {
  if (::geteuid() != 0) GTEST_SKIP() << "another user's process needs root";
  Scene scene;
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess other(scene.daemon.runtime_dir(), 12'345);
  EXPECT_EQ(other.lookup(question), "valid");
  const std::string table = scene.daemon.table().string();
  // setpriv would do the same, but is not on every machine.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(12'345, 12'345, 12'345) != 0) ::_exit(9);
    const int fd = ::open(table.c_str(), O_RDONLY | O_CLOEXEC);
    const std::string again = "/proc/self/fd/" + std::to_string(fd);
    const bool harmless = fd >= 0 && ::open(table.c_str(), O_RDWR | O_CLOEXEC) < 0 &&
                          ::open(again.c_str(), O_RDWR | O_CLOEXEC) < 0 &&
                          ::truncate(table.c_str(), 0) != 0 && ::unlink(table.c_str()) != 0 &&
                          ::ftruncate(fd, 0) != 0;
    ::_exit(harmless ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(other.lookup(question), "valid");
}

fs::path set_aside_table(const fs::path& dir) {
  for (const auto& each : fs::directory_iterator(dir)) {
    if (each.path().filename().string().starts_with("corrupt.table.")) return each.path();
  }
  return {};
}

void expect_rebuilt(const std::function<void(const Scene&)>& harm) {
  Scene scene;
  scene.start();
  const Question question = session(scene.create_session()), revoked = session(scene.create_session());
  ReaderProcess attached(scene.daemon.runtime_dir());
  ASSERT_EQ(attached.lookup(question), "valid");
  ASSERT_EQ(scene.daemon.revoke(revoked.token).exit, 0);
  const std::int64_t before = scene.daemon.stat("table", "generation");
  scene.daemon.kill();
  harm(scene);
  scene.start(DaemonProcess::First::kNo);
  EXPECT_NE(attached.lookup(question), "valid") << "the old file is retired, the new one empty";
  EXPECT_NE(set_aside_table(scene.daemon.runtime_dir()), fs::path());
  EXPECT_NE(scene.daemon.log().find("set aside as corrupt.table."), std::string::npos) << scene.daemon.log();
  EXPECT_GT(scene.daemon.stat("table", "generation"), before);
  EXPECT_EQ(attached.validate(question), "valid");
  EXPECT_EQ(attached.validate(revoked), "invalid/revoked");
}

TEST(CorruptTable, IsSetAsideAndMadeAnewAndNoReaderGoesOnWithIt) {
  expect_rebuilt(
      [](const Scene& scene) { patch_word(scene.daemon.table(), offsetof(shm::Header, magic), 1); });
  expect_rebuilt(
      [](const Scene& scene) { patch_word(scene.daemon.table(), offsetof(shm::Header, capacity), 77'777); });
}

TEST(CorruptTable, ARecordThatIsNotWhatWasWrittenIsDroppedAndTheOthersKept) {
  Scene scene;
  scene.start();
  const Question harmed = session(scene.create_sessions(1, {"--client-id", "find-me-in-the-table"}).at(0)),
                 other = session(scene.create_session());
  scene.daemon.kill();
  const std::size_t at = read_file(scene.daemon.table()).find("find-me-in-the-table");
  ASSERT_NE(at, std::string::npos);
  const shm::UniqueFd fd(::open(scene.daemon.table().c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "F", 1, static_cast<off_t>(at)), 1);
  scene.start(DaemonProcess::First::kNo);
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.lookup(harmed), "miss");
  EXPECT_EQ(reader.lookup(other), "valid");
  EXPECT_EQ(reader.validate(harmed), "valid");
}

}  // namespace
}  // namespace authcache_test
