// B19, B7: names that somebody filled before the daemon or a client came. Refused with a sentence or
// replaced, never followed. The victim is a file elsewhere that must stay what it is.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "shm/layout.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

// Long enough to be taken for a table, and no table.
const std::string kVictim(64 * 1024, 'v');

enum class Kind { kSymbolicLink, kHardLink, kPipe, kDirectory, kDanglingLink };
constexpr const char* kNames[] = {"a symbolic link", "a hard link", "a pipe", "a directory",
                                  "a dangling link"};
const char* name_of(Kind kind) { return kNames[static_cast<int>(kind)]; }

void place(Kind kind, const fs::path& at, const fs::path& victim) {
  switch (kind) {
    case Kind::kSymbolicLink: return fs::create_symlink(victim, at);
    case Kind::kHardLink: return fs::create_hard_link(victim, at);
    case Kind::kPipe: ASSERT_EQ(::mkfifo(at.c_str(), 0600), 0); return;
    case Kind::kDirectory: fs::create_directory(at); return;
    case Kind::kDanglingLink: return fs::create_symlink(victim.string() + ".made", at);
  }
}

// A scene in whose directories something lies before the daemon starts.
struct Prepared : Scene {
  Prepared() {
    fs::create_directory(daemon.runtime_dir());
    ::chmod(daemon.runtime_dir().c_str(), 0750);
    fs::create_directory(daemon.state_dir());
    ::chmod(daemon.state_dir().c_str(), 0700);
    write_file(victim(false), kVictim);
    write_file(victim(true), kVictim);
    ::chmod(victim(false).c_str(), 0604);
    ::chmod(victim(true).c_str(), 0604);
  }
  // One on the file system of each directory: hard links do not cross.
  [[nodiscard]] fs::path victim(bool of_state) const {
    return of_state ? daemon.state_dir().parent_path() / "victim" : daemon.scratch("victim");
  }
  // "" or what happened to them.
  [[nodiscard]] std::string harm() const {
    for (const bool of_state : {false, true}) {
      struct stat inode;
      if (::stat(victim(of_state).c_str(), &inode) != 0) return "a victim is gone";
      if (read_file(victim(of_state)) != kVictim) return "a victim was written";
      if ((inode.st_mode & 07777) != 0604 || inode.st_uid != 0) return "a victim's mode changed";
      if (fs::exists(victim(of_state).string() + ".made")) return "a dangling link was followed";
    }
    return "";
  }
  // Either it refuses with a sentence, or it runs and serves from files of its own.
  [[nodiscard]] std::string outcome() {
    daemon.launch();
    if (!daemon.becomes_ready()) {
      const auto exit = daemon.exit_status();
      return exit && *exit == 5 && daemon.log().contains("not_started") ? "refused"
                                                                        : "died:\n" + daemon.log();
    }
    ReaderProcess reader(daemon.runtime_dir());
    const std::string verdict = reader.validate(session(create_session()));
    if (verdict != "valid") return "serves " + verdict;
    struct stat inode;
    if (::lstat(daemon.table().c_str(), &inode) != 0 || !S_ISREG(inode.st_mode))
      return "its table is no file";
    return daemon.stop() == 0 ? "serves" : "ended badly";
  }
};

void expect_neither_followed_nor_harmed(std::initializer_list<const char*> names, bool in_state,
                                        std::initializer_list<Kind> kinds) {
  for (const Kind kind : kinds) {
    Prepared scene;
    const fs::path directory = in_state ? scene.daemon.state_dir() : scene.daemon.runtime_dir();
    for (const char* name : names) place(kind, directory / name, scene.victim(in_state));
    SCOPED_TRACE(std::string(*names.begin()) + " is " + name_of(kind));
    const std::string outcome = scene.outcome();
    EXPECT_TRUE(outcome == "serves" || outcome == "refused") << outcome;
    EXPECT_EQ(scene.harm(), "");
  }
}

constexpr std::initializer_list<Kind> kAllKinds = {Kind::kSymbolicLink, Kind::kHardLink, Kind::kPipe,
                                                   Kind::kDirectory, Kind::kDanglingLink};
// Where the daemon writes in place, a hard link is told from its own file by nothing; only its own user can
// make one.
constexpr std::initializer_list<Kind> kWithoutHardLinks = {Kind::kSymbolicLink, Kind::kPipe, Kind::kDirectory,
                                                           Kind::kDanglingLink};

constexpr std::initializer_list<Kind> kWithoutDirectories = {Kind::kSymbolicLink, Kind::kHardLink,
                                                             Kind::kDanglingLink};

// Each is made by rename or link, so whatever was there gives way or stays what it is.
TEST(Precreated, B19_ATableNameIsReplacedOrRefusedAndNeverFollowed) {
  expect_neither_followed_nor_harmed({"table"}, false, kAllKinds);
}
TEST(Precreated, B19_AGenerationIsSetAsideAndNeverFollowed) {
  expect_neither_followed_nor_harmed({"table.123"}, false, kWithoutHardLinks);
}
TEST(Precreated, B19_SocketAndTemporaryNamesAreReplacedOrRefusedAndNeverFollowed) {
  expect_neither_followed_nor_harmed({"authcached.sock", "control.sock"}, false, kWithoutDirectories);
  expect_neither_followed_nor_harmed({"authcached.sock.new", "table.next"}, false, kWithoutDirectories);
  expect_neither_followed_nor_harmed({"authcached.sock"}, false, {Kind::kDirectory});
  expect_neither_followed_nor_harmed({"authcached.sock.new"}, false, {Kind::kDirectory});
}
TEST(Precreated, B19_ADatabaseNameIsRefusedUnlessItIsAFile) {
  expect_neither_followed_nor_harmed({"state.db"}, true,
                                     {Kind::kSymbolicLink, Kind::kPipe, Kind::kDirectory});
  expect_neither_followed_nor_harmed({"sessions.db"}, true, {Kind::kSymbolicLink, Kind::kDanglingLink});
}
TEST(Precreated, B19_ALockIsRefusedUnlessItIsAFileOfOurOwn) {
  for (const bool in_state : {false, true}) {
    for (const Kind kind : {Kind::kSymbolicLink, Kind::kHardLink, Kind::kPipe}) {
      SCOPED_TRACE(name_of(kind));
      Prepared scene;
      place(kind, (in_state ? scene.daemon.state_dir() : scene.daemon.runtime_dir()) / "lock",
            scene.victim(in_state));
      EXPECT_EQ(scene.outcome(), "refused");
      EXPECT_TRUE(scene.daemon.log().contains("/lock")) << scene.daemon.log();
      EXPECT_EQ(scene.harm(), "");
    }
  }
}
TEST(Precreated, B19_ALockOfAnotherUserIsRefused) {
  AUTHCACHE_NEEDS_ROOT();
  Prepared scene;
  const fs::path lock = scene.daemon.runtime_dir() / "lock";
  write_file(lock, "");
  ASSERT_EQ(::chown(lock.c_str(), kStranger.uid, kStranger.gid), 0);
  EXPECT_EQ(scene.outcome(), "refused");
}

// /dev/shm is everybody's: whoever is first can point the daemon's directory at another one of the daemon's.
TEST(Precreated, B19_ADirectoryThatIsAnotherUsersLinkIsRefused) {
  AUTHCACHE_NEEDS_ROOT();
  for (const bool in_state : {false, true}) {
    Prepared scene;
    const fs::path name = in_state ? scene.daemon.state_dir() : scene.daemon.runtime_dir();
    const fs::path elsewhere = name.string() + ".elsewhere";
    fs::remove(name);
    fs::create_directory(elsewhere);
    ::chmod(elsewhere.c_str(), 0700);
    fs::create_symlink(elsewhere, name);
    ASSERT_EQ(::lchown(name.c_str(), kStranger.uid, kStranger.gid), 0);
    EXPECT_EQ(scene.outcome(), "refused");
    EXPECT_TRUE(scene.daemon.log().contains("symbolic link of uid")) << scene.daemon.log();
    EXPECT_TRUE(fs::is_empty(elsewhere));
    // An administrator's link is one that he may make.
    ASSERT_EQ(::lchown(name.c_str(), 0, 0), 0);
    EXPECT_EQ(scene.outcome(), "serves");
  }
}

TEST(Precreated, B19_ADirectoryOfAnotherUserOrOpenToTheGroupIsRefused) {
  AUTHCACHE_NEEDS_ROOT();
  for (const bool in_state : {false, true}) {
    Prepared scene;
    const fs::path directory = in_state ? scene.daemon.state_dir() : scene.daemon.runtime_dir();
    ASSERT_EQ(::chmod(directory.c_str(), 0770), 0);
    scene.daemon.launch();
    EXPECT_FALSE(scene.daemon.becomes_ready());
    ASSERT_EQ(::chmod(directory.c_str(), 0750), 0);
    ASSERT_EQ(::chown(directory.c_str(), kStranger.uid, kStranger.gid), 0);
    scene.daemon.launch();
    EXPECT_FALSE(scene.daemon.becomes_ready());
    EXPECT_TRUE(scene.daemon.log().contains("owned by uid")) << scene.daemon.log();
  }
}

// What a client finds where the table should be. Each is refused with its sentence, and none blocks or
// crashes it.
TEST(ClientPaths, B7_B19_WhatIsNoTableIsRefusedWithASentence) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene;
  scene.start();
  const std::string token = scene.create_session();
  const fs::path table = scene.daemon.table(), kept = scene.daemon.runtime_dir() / "kept";
  fs::rename(table, kept);
  const auto refused = [&](const std::string& what, const std::string& sentence,
                           const std::function<void()>& make) {
    make();
    const std::string answer = scene.ask_as(kMember, session(token));
    EXPECT_TRUE(answer.contains(sentence)) << what << ": " << answer;
    std::error_code ignored;
    fs::remove_all(table, ignored);
  };
  const auto copy = [&](uid_t owner, mode_t mode, const std::function<void(std::string&)>& change) {
    std::string bytes = read_file(kept);
    change(bytes);
    write_file(table, bytes);
    ASSERT_EQ(::chown(table.c_str(), owner, kTableGroup), 0);
    ASSERT_EQ(::chmod(table.c_str(), mode), 0);
  };
  const auto nothing = [](std::string&) {};
  const auto word = [](std::size_t at, std::uint64_t value) {
    return [=](std::string& bytes) { std::memcpy(bytes.data() + at, &value, sizeof value); };
  };
  using Header = authcache::shm::Header;
  refused("a symbolic link", "symbolic link", [&] { fs::create_symlink(kept, table); });
  refused("a pipe", "not a regular file", [&] {
    ASSERT_EQ(::mkfifo(table.c_str(), 0640), 0);
    ASSERT_EQ(::chown(table.c_str(), kDaemonUid, kTableGroup), 0);
  });
  refused("a directory", "not a regular file", [&] {
    fs::create_directory(table);
    ::chmod(table.c_str(), 0755);
  });
  refused("a stranger's copy", "owned by uid", [&] { copy(kStranger.uid, 0640, nothing); });
  refused("another member's copy", "owned by uid", [&] { copy(kOtherMember.uid, 0640, nothing); });
  refused("one that all may read", "wider mode", [&] { copy(kDaemonUid, 0644, nothing); });
  refused("one that the group may write", "wider mode", [&] { copy(kDaemonUid, 0660, nothing); });
  refused("an empty file", "shorter",
          [&] { copy(kDaemonUid, 0640, [](std::string& bytes) { bytes.clear(); }); });
  refused("another magic", "not a table", [&] { copy(kDaemonUid, 0640, word(offsetof(Header, magic), 1)); });
  refused("another version", "format version",
          [&] { copy(kDaemonUid, 0640, word(offsetof(Header, version), 99)); });
  refused("another boot's", "another boot",
          [&] { copy(kDaemonUid, 0640, word(offsetof(Header, boot_id), 1)); });
  refused("one cut in half", "size",
          [&] { copy(kDaemonUid, 0640, [](std::string& bytes) { bytes.resize(bytes.size() / 2); }); });
  refused("one that lies about its capacity", "size",
          [&] { copy(kDaemonUid, 0640, word(offsetof(Header, capacity), 1 << 20)); });
  refused("one with the greatest capacity", "size",
          [&] { copy(kDaemonUid, 0640, word(offsetof(Header, capacity), ~0ull)); });
  fs::rename(kept, table);
  EXPECT_EQ(scene.ask_as(kMember, session(token)), "valid");
}

}  // namespace
}  // namespace authcache_test
