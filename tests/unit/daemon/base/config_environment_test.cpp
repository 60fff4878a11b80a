// check_environment against real directories on a real tmpfs. Builds as a program of its own: it stands in
// for table_bytes, so that "needs more than there is" can be asked without filling the machine.
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/base/config.hpp"

namespace authcached {
namespace {

std::uint64_t bytes_of_one_table = 0;

}  // namespace

std::uint64_t table_bytes(const TableConfig&) { return bytes_of_one_table; }

namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65'534;

// As root everything may be read and written; then the check runs as nobody.
class Unprivileged {
 public:
  Unprivileged() {
    if (::geteuid() == 0) {
      EXPECT_EQ(::seteuid(kNobody), 0);
      changed_ = true;
    }
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (changed_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

 private:
  bool changed_ = false;
};

class ConfigEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    struct statfs found {};
    if (::statfs("/dev/shm", &found) != 0 || found.f_type != TMPFS_MAGIC)
      GTEST_SKIP() << "/dev/shm is not tmpfs";
    std::string name = "/dev/shm/config_environment_test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    bytes_of_one_table = 4'096;
    config_.group = config_.admin_group = "";
    config_.runtime_dir = root_ / "run";
    config_.state_dir = root_ / "state";
  }
  void TearDown() override {
    if (!root_.empty()) fs::remove_all(root_);
  }

  // The faults as text; empty if there are none.
  std::string faults() const {
    std::vector<ConfigFault> found;
    check_environment(config_, found);
    std::string all;
    for (const ConfigFault& fault : found) {
      EXPECT_FALSE(fault.remedy.empty()) << fault.message;
      EXPECT_EQ(fault.line, 0u);
      all += fault.message + " -> " + fault.remedy + "\n";
    }
    return all;
  }
  bool faulted(std::string_view part) const {
    const std::string all = faults();
    const bool found = all.find(part) != std::string::npos;
    EXPECT_TRUE(found) << "no \"" << part << "\" in: " << all;
    return found;
  }
  fs::path file(const std::string& name, std::size_t bytes = 1) const {
    std::ofstream(root_ / name) << std::string(bytes, 'x');
    return root_ / name;
  }

  fs::path root_;
  Config config_;
};

TEST_F(ConfigEnvironment, DirectoriesThatCanBeCreatedAreNoFault) { EXPECT_EQ(faults(), ""); }

TEST_F(ConfigEnvironment, ExistingPrivateDirectoriesAreNoFault) {
  ASSERT_EQ(::mkdir(config_.runtime_dir.c_str(), 0750), 0);
  ASSERT_EQ(::mkdir(config_.state_dir.c_str(), 0700), 0);
  EXPECT_EQ(faults(), "");
}

TEST_F(ConfigEnvironment, ItTouchesNothing) {
  EXPECT_EQ(faults(), "");
  EXPECT_FALSE(fs::exists(config_.runtime_dir));
  EXPECT_FALSE(fs::exists(config_.state_dir));
}

TEST_F(ConfigEnvironment, B4_AGroupWritableDirectoryIsAFault) {
  ASSERT_EQ(::mkdir(config_.runtime_dir.c_str(), 0750), 0);
  ASSERT_EQ(::chmod(config_.runtime_dir.c_str(), 0770), 0);
  EXPECT_TRUE(faulted("can be written by its group"));
}

TEST_F(ConfigEnvironment, AnotherUsersDirectoryIsAFault) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a directory of another user";
  ASSERT_EQ(::mkdir(config_.runtime_dir.c_str(), 0755), 0);
  ASSERT_EQ(::chown(config_.runtime_dir.c_str(), 12'345, 12'345), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  const Unprivileged check_as_nobody;
  EXPECT_TRUE(faulted("belongs to uid 12345"));
}

TEST_F(ConfigEnvironment, AFileInPlaceOfADirectoryIsAFault) {
  config_.state_dir = file("state_file");
  EXPECT_TRUE(faulted("is not a directory"));
  config_.state_dir = root_ / "state_file" / "below";
  EXPECT_TRUE(faulted("state_file"));
}

TEST_F(ConfigEnvironment, ADirectoryThatCannotBeCreatedIsAFault) {
  config_.state_dir = root_ / "closed" / "state";
  ASSERT_EQ(::mkdir((root_ / "closed").c_str(), 0555), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  const Unprivileged check_as_nobody;
  EXPECT_TRUE(faulted("cannot be created in " + (root_ / "closed").string()));
}

TEST_F(ConfigEnvironment, AMissingGroupIsAFault) {
  config_.group = "authcache-no-such-group";
  EXPECT_TRUE(faulted("group: the group authcache-no-such-group does not exist"));
  EXPECT_TRUE(faulted("groupadd"));
}

TEST_F(ConfigEnvironment, AnExistingGroupIsNoFault) {
  config_.group = config_.admin_group = "root";
  EXPECT_EQ(faults(), "");
}

TEST_F(ConfigEnvironment, ARuntimeDirectoryOffTmpfsIsAFault) {
  config_.runtime_dir = "/proc/self/authcache";
  EXPECT_TRUE(faulted("is not on tmpfs"));
  EXPECT_TRUE(faulted("/dev/shm"));
}

TEST_F(ConfigEnvironment, TheTableMustFitTwice) {
  struct statvfs room {};
  ASSERT_EQ(::statvfs("/dev/shm", &room), 0);
  const std::uint64_t free = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
  bytes_of_one_table = free / 4;
  EXPECT_EQ(faults(), "");
  bytes_of_one_table = free / 2 + (64 << 20);  // others may free a little meanwhile, not this much
  EXPECT_TRUE(faulted("need " + std::to_string(2 * bytes_of_one_table) + " bytes"));
  EXPECT_TRUE(faulted("table.capacity"));
}

TEST_F(ConfigEnvironment, OwnTableFilesCountAsRoom) {
  constexpr std::uint64_t kHeld = 1 << 20;
  ASSERT_EQ(::mkdir(config_.runtime_dir.c_str(), 0750), 0);
  file("run/table.123", kHeld);
  file("run/other", kHeld);
  fs::create_symlink("table.123", config_.runtime_dir / "table.456");
  bytes_of_one_table = std::uint64_t{1} << 50;
  struct statvfs room {};
  ASSERT_EQ(::statvfs("/dev/shm", &room), 0);
  const std::string told = faults();
  const std::size_t has = told.find(" has ");
  ASSERT_NE(has, std::string::npos) << told;
  const auto available = std::stoull(told.substr(has + 5));
  const std::uint64_t free = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
  // Other programs use /dev/shm too; what is asserted is that exactly one of the three files counts.
  EXPECT_NEAR(static_cast<double>(available), static_cast<double>(free + kHeld), 0.5 * kHeld);
}

TEST_F(ConfigEnvironment, AnUnreadableKeySetIsAFault) {
  ProfileConfig profile;
  profile.name = "api";
  profile.upstream = UpstreamKind::kJwks;
  profile.jwks_file = root_ / "absent.json";
  config_.profiles = {profile};
  EXPECT_TRUE(
      faulted("profile.api.jwks_file: " + profile.jwks_file.string() + " cannot be read: No such file"));
  config_.profiles[0].jwks_file = file("keys.json");
  EXPECT_EQ(faults(), "");
  ASSERT_EQ(::chmod(config_.profiles[0].jwks_file.c_str(), 0), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  const Unprivileged check_as_nobody;
  EXPECT_TRUE(faulted("keys.json cannot be read: Permission denied"));
}

TEST_F(ConfigEnvironment, AKeySetThatEveryoneCanWriteIsAFault) {
  ProfileConfig profile;
  profile.upstream = UpstreamKind::kJwks;
  profile.jwks_file = file("keys.json");
  ASSERT_EQ(::chmod(profile.jwks_file.c_str(), 0666), 0);
  config_.profiles = {profile};
  EXPECT_TRUE(faulted("written by everyone"));
  config_.profiles[0].jwks_file = root_;
  EXPECT_TRUE(faulted("is not a regular file"));
}

TEST_F(ConfigEnvironment, ADatabaseWithAQueryMustExistAndOneWithoutNeedNot) {
  ProfileConfig profile;
  profile.database = root_ / "sessions.db";
  config_.profiles = {profile};
  EXPECT_EQ(faults(), "");
  config_.profiles[0].query = "SELECT ?1";
  EXPECT_TRUE(faulted("sessions.db cannot be read"));
  file("sessions.db");
  EXPECT_EQ(faults(), "");
}

TEST_F(ConfigEnvironment, OurOwnDatabaseMustBeWritable) {
  ProfileConfig profile;
  profile.database = file("sessions.db");
  config_.profiles = {profile};
  ASSERT_EQ(::chmod(profile.database.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  const Unprivileged check_as_nobody;
  EXPECT_TRUE(faulted("sessions.db cannot be written"));
}

TEST_F(ConfigEnvironment, WhatAnIssuersProfileNamesIsJudgedOffline) {
  ProfileConfig profile;
  profile.name = "m";
  profile.upstream = UpstreamKind::kIntrospection;
  profile.introspection_url = "https://i.example/introspect";
  profile.client_id = "rs";
  profile.client_secret_file = file("secret", 20);
  ASSERT_EQ(::chmod(profile.client_secret_file.c_str(), 0400), 0);
  config_.profiles = {profile};
  EXPECT_EQ(faults(), "");
  config_.profiles[0].ca_file = file("ca.pem", 20);
  EXPECT_TRUE(faulted("profile.m.ca_file: " + (root_ / "ca.pem").string() + " holds no certificate in PEM"));
  config_.profiles[0].ca_file = root_ / "absent.pem";
  EXPECT_TRUE(faulted("profile.m.ca_file"));
  config_.profiles[0].ca_file.clear();
  ASSERT_EQ(::chmod(profile.client_secret_file.c_str(), 0444), 0);
  EXPECT_TRUE(faulted("can be read by everyone"));
  config_.profiles[0].client_secret_file = root_ / "absent";
  EXPECT_TRUE(faulted("profile.m.client_secret_file"));
  config_.profiles[0].client_auth = ClientAuth::kPrivateKeyJwt;
  config_.profiles[0].client_key_file = profile.client_secret_file;
  ASSERT_EQ(::chmod(profile.client_secret_file.c_str(), 0400), 0);
  EXPECT_TRUE(faulted("holds no private key in PEM"));
  EXPECT_EQ(faults().find("xxxx"), std::string::npos);  // nothing of the file is quoted
}

}  // namespace
}  // namespace authcached
