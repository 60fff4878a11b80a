#include "shm/table_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/support/temp_table.hpp"

namespace {

using namespace authcache::shm;
using authcache_test::small_table_spec;
using authcache_test::TempTable;
using authcache_test::TempTableDirectory;
using A = StdAtomics;

constexpr uid_t kNobody = 65534;

void expect_refused(const std::filesystem::path& file, ErrorCode code, const std::string& part,
                    const OpenTable& how = {}) {
  const auto opened = open_table(file, how);
  ASSERT_FALSE(opened) << "opened " << file;
  EXPECT_EQ(opened.error().code, code) << opened.error().message;
  EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
  EXPECT_NE(opened.error().message.find(file.string()), std::string::npos)
      << "names the file: " << opened.error().message;
}

ino_t inode_of(const std::filesystem::path& file) {
  struct stat inode {};
  return ::stat(file.c_str(), &inode) == 0 ? inode.st_ino : 0;
}

TEST(TableFile, AReaderSeesWhatTheMakerSaid) {
  TempTable table;
  const TableFile read = table.open_again(false);
  EXPECT_EQ(read.view.geometry, table.view().geometry);
  EXPECT_EQ(read.view.secret, table.view().secret);
  EXPECT_EQ(read.view.generation, 1U);
  EXPECT_EQ(read.view.heartbeat_timeout_ns, small_table_spec().heartbeat_timeout_ns);
  EXPECT_EQ(read.view.tick_ns, table.view().tick_ns);
  EXPECT_EQ(A::load_acquire(read.view.header().state), static_cast<std::uint64_t>(TableState::kLive));
}

TEST(TableFile, TwoFilesHaveDifferentSecrets) {
  TempTable one;
  TempTable other;
  EXPECT_NE(one.view().secret, other.view().secret);
}

TEST(TableFile, OutOfRangeSizesAreAUsageError) {
  TempTableDirectory dir;
  for (const std::uint64_t capacity :
       {std::uint64_t{0}, kCapacityMin - 1, kCapacityMax + 1, ~std::uint64_t{0}}) {
    TableSpec spec = small_table_spec();
    spec.capacity = capacity;
    EXPECT_EQ(create_table(dir.path(), spec).error().code, ErrorCode::kUsage);
  }
  for (const std::uint64_t text : {std::uint64_t{0}, std::uint64_t{kTextBytesPerRecordMin} - 1,
                                   std::uint64_t{kTextBytesPerRecordMax} + 1}) {
    TableSpec spec = small_table_spec();
    spec.text_bytes_per_record = text;
    EXPECT_EQ(create_table(dir.path(), spec).error().code, ErrorCode::kUsage);
  }
}

TEST(TableFile, AFileHasNoNameUntilItIsGivenOne) {
  TempTableDirectory dir;
  const auto file = create_table(dir.path(), small_table_spec());
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  publish_table(file->view);
  ASSERT_TRUE(name_table(*file, dir.path()));
  EXPECT_EQ(list_generations(dir.path()), std::vector<std::uint64_t>{1});
  EXPECT_EQ(inode_of(dir.path() / "table"), inode_of(dir.path() / "table.1"));
}

TEST(TableFile, B4_TheFileIsReadableByItsGroupAndWritableByItsOwnerOnly) {
  TempTable table;
  struct stat inode {};
  ASSERT_EQ(::stat(table.file().c_str(), &inode), 0);
  EXPECT_EQ(inode.st_mode & 07777, 0640U);
}

TEST(TableFile, EveryBlockIsReservedAtCreation) {
  TempTable table;
  struct stat inode {};
  ASSERT_EQ(::stat(table.file().c_str(), &inode), 0);
  EXPECT_GE(static_cast<std::uint64_t>(inode.st_blocks) * 512, table.view().geometry.file_bytes);
}

TEST(TableFile, NamingASuccessorReplacesTheLinkAndLeavesNothingElse) {
  TempTable table;
  TableSpec spec = small_table_spec();
  spec.generation = 20;
  const auto next = create_table(table.dir(), spec);
  ASSERT_TRUE(next);
  publish_table(next->view);
  std::ofstream(table.dir() / "table.next") << "left by a predecessor";
  ASSERT_TRUE(name_table(*next, table.dir()));
  EXPECT_EQ(list_generations(table.dir()), (std::vector<std::uint64_t>{1, 20}));
  EXPECT_EQ(inode_of(table.dir() / "table"), inode_of(table.dir() / "table.20"));
  EXPECT_FALSE(std::filesystem::exists(table.dir() / "table.next"));
  ASSERT_TRUE(name_table(*next, table.dir())) << "naming again changes nothing";
  EXPECT_EQ(inode_of(table.dir() / "table"), inode_of(table.dir() / "table.20"));
  EXPECT_FALSE(std::filesystem::exists(table.dir() / "table.next"));
}

// An opener in a loop while the link is replaced: there is always a whole file behind the name.
TEST(TableFile, TheLinkIsNeverMissingWhileItIsReplaced) {
  TempTable table;
  std::vector<TableFile> files;
  for (std::uint64_t generation = 2; generation < 6; ++generation) {
    TableSpec spec = small_table_spec();
    spec.generation = generation;
    files.push_back(std::move(create_table(table.dir(), spec).value()));
    publish_table(files.back().view);
    ASSERT_TRUE(name_table(files.back(), table.dir()));
    const auto opened = open_table(table.dir() / "table", {});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->view.generation, generation);
  }
}

TEST(TableFile, OtherNamesAreNoGenerations) {
  TempTableDirectory dir;
  for (const char* name : {"table", "table.", "table.x", "table.1x", "table.next", "table.-1",
                           "table.99999999999999999999", "tables.1", "table.7"}) {
    std::ofstream(dir.path() / name) << "";
  }
  EXPECT_EQ(list_generations(dir.path()), std::vector<std::uint64_t>{7});
  EXPECT_TRUE(list_generations(dir.path() / "absent").empty());
}

TEST(TableFile, AnAbsentFileNamesTheRemedy) {
  TempTableDirectory dir;
  expect_refused(dir.path() / "table", ErrorCode::kNotFound, "start authcached");
}

TEST(TableFile, B4_AForeignOwnerIsRefusedUnlessExpected) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  TempTable table;
  ASSERT_EQ(::chown(table.file().c_str(), kNobody, kNobody), 0);
  expect_refused(table.file(), ErrorCode::kRefused, "owned by uid 65534");
  EXPECT_TRUE(open_table(table.file(), {.expected_owner = kNobody}));
}

TEST(TableFile, B4_OnlyModesWithin0640AreOpened) {
  TempTable table;
  for (const mode_t mode : {0660U, 0644U, 0642U, 0750U, 04640U}) {
    ASSERT_EQ(::chmod(table.file().c_str(), mode), 0);
    expect_refused(table.file(), ErrorCode::kRefused, "wider mode than 0640");
  }
  for (const mode_t mode : {0640U, 0600U}) {
    ASSERT_EQ(::chmod(table.file().c_str(), mode), 0);
    EXPECT_TRUE(open_table(table.file(), {}));
  }
}

TEST(TableFile, B4_ASymbolicLinkIsRefused) {
  TempTable table;
  const auto link = table.dir() / "link";
  std::filesystem::create_symlink(table.file(), link);
  expect_refused(link, ErrorCode::kRefused, "symbolic link");
}

TEST(TableFile, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
  TempTableDirectory dir;
  const auto fifo = dir.path() / "table";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0640), 0);
  expect_refused(fifo, ErrorCode::kRefused, "not a regular file");
  expect_refused(dir.path(), ErrorCode::kRefused, "not a regular file");
}

TEST(TableFile, AFileOutsideTmpfsIsRefused) {
  struct statfs filesystem {};
  ASSERT_EQ(::statfs("/var/tmp", &filesystem), 0);
  if (filesystem.f_type == TMPFS_MAGIC) GTEST_SKIP() << "/var/tmp is on tmpfs here";
  char name[] = "/var/tmp/authcache-test.XXXXXX";
  const UniqueFd fd(::mkstemp(name));
  ASSERT_TRUE(fd);
  expect_refused(name, ErrorCode::kRefused, "not on tmpfs");
  ::unlink(name);
}

struct Damage {
  const char* what;
  std::function<void(const TempTable&)> make;
  ErrorCode code;
  const char* sentence;
};

TEST(TableFile, B25_ADamagedHeaderIsRefusedByItsSentence) {
  const auto store = [](auto member, std::uint64_t value) {
    return
        [member, value](const TempTable& table) { A::store_release(member(table.view().header()), value); };
  };
  const auto resize = [](std::int64_t by) {
    return [by](const TempTable& table) {
      const auto bytes = static_cast<std::int64_t>(table.view().geometry.file_bytes) + by;
      ASSERT_EQ(::truncate(table.file().c_str(), bytes), 0);
    };
  };
  const Damage damages[] = {
      {"magic",
       store(
           [](Header & h) -> auto& { return h.magic; }, kMagic + 1),
       ErrorCode::kCorrupt, "is not a table file"},
      {"unpublished",
       store(
           [](Header & h) -> auto& { return h.version; }, 0),
       ErrorCode::kRefused, "format version 0"},
      {"later version",
       store(
           [](Header & h) -> auto& { return h.version; }, kFormatVersion + 1),
       ErrorCode::kRefused, "install matching"},
      {"boot",
       store(
           [](Header & h) -> auto& { return h.boot_id[1]; }, 1),
       ErrorCode::kRefused, "another boot"},
      {"capacity 0",
       store(
           [](Header & h) -> auto& { return h.capacity; }, 0),
       ErrorCode::kCorrupt, "does not explain"},
      {"huge capacity",
       store(
           [](Header & h) -> auto& { return h.capacity; }, ~std::uint64_t{0}),
       ErrorCode::kCorrupt, "does not explain"},
      {"other capacity",
       store(
           [](Header & h) -> auto& { return h.capacity; }, 2000),
       ErrorCode::kCorrupt, "does not explain"},
      {"text bytes",
       store(
           [](Header & h) -> auto& { return h.text_bytes_per_record; }, 4097),
       ErrorCode::kCorrupt, "does not explain"},
      {"file bytes",
       store(
           [](Header & h) -> auto& { return h.file_bytes; }, 1),
       ErrorCode::kCorrupt, "does not explain"},
      {"a page less", resize(-4096), ErrorCode::kCorrupt, "does not explain"},
      {"a page more", resize(4096), ErrorCode::kCorrupt, "does not explain"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    TempTable table;
    damage.make(table);
    expect_refused(table.file(), damage.code, damage.sentence);
  }
}

TEST(TableFile, AFileShorterThanAHeaderIsRefused) {
  TempTable table;
  const auto file = table.dir() / "short";
  std::ofstream(file) << "x";
  ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
  expect_refused(file, ErrorCode::kCorrupt, "shorter than a table header");
}

TEST(TableFile, ADirectoryIsCheckedLikeItsTable) {
  TempTableDirectory dir;
  EXPECT_TRUE(check_directory(dir.path(), static_cast<uid_t>(-1)));
  ASSERT_EQ(::chmod(dir.path().c_str(), 0770), 0);
  EXPECT_NE(check_directory(dir.path(), static_cast<uid_t>(-1)).error().message.find("chmod it to 0750"),
            std::string::npos);
  ASSERT_EQ(::chmod(dir.path().c_str(), 0750), 0);
  EXPECT_EQ(check_directory(dir.path() / "absent", 0).error().code, ErrorCode::kNotFound);
  std::ofstream(dir.path() / "file") << "";
  EXPECT_EQ(check_directory(dir.path() / "file", 0).error().code, ErrorCode::kRefused);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(dir.path().c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(check_directory(dir.path(), static_cast<uid_t>(-1)).error().code, ErrorCode::kRefused);
    EXPECT_TRUE(check_directory(dir.path(), kNobody));
  }
}

// A full tmpfs is an error at creation, never a SIGBUS at a store.
TEST(TableFile, AFullTmpfsIsASentence) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a small tmpfs";
  TempTableDirectory dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=1m,mode=0750") != 0)
    GTEST_SKIP() << "no permission to mount here";
  const auto made = create_table(dir.path(), small_table_spec());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  ::umount2(dir.path().c_str(), MNT_DETACH);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kSystem);
  EXPECT_NE(made.error().message.find("lower table.capacity"), std::string::npos) << made.error().message;
}

std::string smaps_flags(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  char wanted[32];
  std::snprintf(wanted, sizeof wanted, "%lx-", reinterpret_cast<unsigned long>(address));
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.starts_with(wanted)) inside = true;
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return "";
}

TEST(TableFile, B16_AMappingStaysOutOfCoreDumps) {
  TempTable table;
  const TableFile read = table.open_again(false);
  const std::string flags = smaps_flags(read.mapping.data());
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  EXPECT_EQ(flags.find(" wr "), std::string::npos) << "a reader's mapping is read-only: " << flags;
}

TEST(TableFile, AMappingGivenUpReadsAsRetiredAndNothingElse) {
  TempTable table;
  TableFile read = table.open_again(false);
  read.mapping.give_up();
  EXPECT_EQ(A::load_acquire(read.view.header().state), static_cast<std::uint64_t>(TableState::kRetired));
  EXPECT_EQ(A::load_acquire(read.view.slot(read.view.geometry.slots - 1).control), 0U);
  EXPECT_FALSE(still_serving(read.view));
}

TEST(TableFile, MovingAMappingUnmapsOnce) {
  TempTable table;
  TableFile read = table.open_again(false);
  Mapping other = std::move(read.mapping);
  EXPECT_EQ(read.mapping.data(), nullptr);
  EXPECT_EQ(other.size(), table.view().geometry.file_bytes);
  EXPECT_EQ(A::load_relaxed(read.view.header().magic), kMagic);
}

}  // namespace
