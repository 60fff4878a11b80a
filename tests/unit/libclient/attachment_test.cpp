// Which tables a client attaches to, when it changes to another one, and what it refuses, each with its
// sentence.
#include "libclient/attachment.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::TableState;
namespace shm = authcache::shm;

// What authcache_open answers, and its sentence.
struct Refusal {
  int result = AUTHCACHE_OK;
  std::string sentence;
};
Refusal open_at(const std::filesystem::path& dir) {
  OpenClient client(dir);
  return {client.result(), client.get() == nullptr ? authcache_last_error(nullptr) : client.last_error()};
}

authcache_status_info status_of(const OpenClient& client) {
  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  EXPECT_EQ(authcache_status(client.get(), &status), AUTHCACHE_OK);
  return status;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// Runs in a forked child; true if it returned true there. _exit: the parent's fixtures are not the child's to
// destroy.
template <class F>
bool in_child(F&& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Attachment, WithoutATableOpenSucceedsAndAnswersUnavailable) {
  TempDir dir;
  OpenClient client(dir.path());
  ASSERT_EQ(client.result(), AUTHCACHE_OK);
  EXPECT_NE(client.last_error().find("start authcached"), std::string::npos);
  EXPECT_EQ(looked_up(client, "token", client.requirement()), "unavailable/no_table");
  const auto status = status_of(client);
  EXPECT_EQ(status.attached, 0u);
  EXPECT_EQ(status.table_format, 0u);
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_EQ(OpenClient(dir.path() / "absent").result(), AUTHCACHE_OK);
}

TEST(Attachment, ALookupAttachesToATableThatCameLater) {
  TempDir dir;
  OpenClient client(dir.path());
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  EXPECT_EQ(looked_up(client, "token", client.requirement()), "valid");
}

TEST(Attachment, ALookupTriesOnceASecondAtMost) {
  TempDir dir;
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  ASSERT_EQ(looked_up(client, "token", requirement), "unavailable/no_table");  // takes this second's turn
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  EXPECT_EQ(looked_up(client, "token", requirement), "unavailable/no_table");
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client, "token", requirement), "valid");
}

TEST(Attachment, WithNoReattachOnlyRefreshAttaches) {
  TempDir dir;
  OpenClient client(dir.path(), AUTHCACHE_NO_REATTACH);
  auto* requirement = client.requirement();
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  EXPECT_EQ(looked_up(client, "token", requirement), "unavailable/no_table");
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client, "token", requirement), "valid");
}

TEST(Attachment, ANewGenerationIsFollowedWhenTheOldOneIsRetired) {
  TempDir dir;
  auto old_table = make_table(dir.path(), 5);
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  authcache_requirement_add_scope(requirement, "read");
  admit(old_table, kMainId, "token", {.scopes = {"read", "other"}});
  authcache_identity old_identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(looked_up(client, "token", requirement, &old_identity), "valid");
  auto new_table = make_table(dir.path(), 6);
  admit(new_table, kMainId, "filler",
        {.scopes = {"other"}});  // "read" has another bit in a dictionary as long
  admit(new_table, kMainId, "token", {.scopes = {"read"}, .subject = "bob"});
  admit(new_table, kMainId, "less", {.scopes = {"other"}});
  ASSERT_EQ(looked_up(client, "token", requirement), "valid");
  EXPECT_EQ(status_of(client).generation, 5u);
  old_table.set_state(TableState::kRetired);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(looked_up(client, "token", requirement, &identity), "valid");
  EXPECT_EQ(identity.generation, 6u);
  EXPECT_EQ(looked_up(client, "less", requirement), "forbidden/scope");
  EXPECT_EQ(text(client, identity, AUTHCACHE_FIELD_SUBJECT), "bob");
  EXPECT_EQ(text(client, old_identity, AUTHCACHE_FIELD_SUBJECT),
            "error " + std::to_string(AUTHCACHE_ERROR_GONE));
}

TEST(Attachment, ANewGenerationIsFollowedWhenTheOldHeartbeatStops) {
  TempDir dir;
  auto old_table = make_table(dir.path(), 5);
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  auto new_table = make_table(dir.path(), 6);
  admit(new_table, kMainId, "token");
  old_table.beat(1);
  EXPECT_EQ(looked_up(client, "token", requirement), "valid");
}

TEST(Attachment, RefreshFollowsATableThatIsStillMoving) {
  TempDir dir;
  auto old_table = make_table(dir.path(), 5);
  OpenClient client(dir.path());
  auto new_table = make_table(dir.path(), 6);
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(status_of(client).generation, 6u);
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
}

TEST(Attachment, LookupsOnOtherThreadsSurviveTheChange) {
  TempDir dir;
  auto first = make_table(dir.path(), 5);
  admit(first, kMainId, "token");
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  std::atomic<bool> stop{false};
  std::atomic<int> others{0};
  const auto hammer = [&] {
    while (!stop.load()) {
      const std::string found = looked_up(client, "token", requirement);
      if (found != "valid" && found != "unavailable/retired") ++others;
    }
  };
  std::thread one(hammer);
  std::thread two(hammer);
  std::vector<shm::TableWriter> tables;
  for (std::uint64_t generation = 6; generation < 26; ++generation) {
    tables.push_back(make_table(dir.path(), generation));
    admit(tables.back(), kMainId, "token");
    EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  }
  stop = true;
  one.join();
  two.join();
  EXPECT_EQ(others.load(), 0);
  EXPECT_EQ(status_of(client).generation, 25u);
}

TEST(Attachment, NoDescriptorStaysOpen) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  const std::size_t before = open_descriptors();
  OpenClient client(dir.path());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Attachment, ARetiredTableCountsAsNone) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  writer.set_state(TableState::kRetired);
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_OK);
  EXPECT_NE(refusal.sentence.find("retired"), std::string::npos);
}

TEST(Attachment, AHeartbeatOfTheFutureIsRefused) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  writer.beat(shm::coarse_now_ns() + 5 * shm::kNsPerSecond);
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(refusal.sentence.find("time namespace"), std::string::npos);
}

TEST(Attachment, AWiderModeIsRefused) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  ::chmod((dir.path() / "table").c_str(), 0660);
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(refusal.sentence.find("0640"), std::string::npos);
}

TEST(Attachment, ADirectoryThatOthersMayWriteIsRefused) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  ::chmod(dir.path().c_str(), 0770);
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(refusal.sentence.find("writable"), std::string::npos);
}

TEST(Attachment, ASymbolicLinkIsRefused) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  std::filesystem::remove(dir.path() / "table");
  std::filesystem::create_symlink(shm::table_file_name(5), dir.path() / "table");
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(refusal.sentence.find("symbolic link"), std::string::npos);
}

TEST(Attachment, AnotherVersionIsRefusedAndShownAsSkew) {
  TempDir dir;
  OpenClient before(dir.path());
  auto writer = make_table(dir.path(), 5);
  shm::StdAtomics::store_release(writer.view().header().version, shm::kFormatVersion + 1);
  const auto refusal = open_at(dir.path());
  EXPECT_EQ(refusal.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(refusal.sentence.find("format version"), std::string::npos);
  EXPECT_EQ(status_of(before).table_format, shm::kFormatVersion + 1);
  EXPECT_EQ(status_of(before).library_format, shm::kFormatVersion);
}

TEST(Attachment, AFileThatIsNoTableIsRefused) {
  TempDir dir;
  std::ofstream(dir.path() / "table") << std::string(8192, 'x');
  ::chmod((dir.path() / "table").c_str(), 0640);
  EXPECT_EQ(open_at(dir.path()).result, AUTHCACHE_ERROR_REFUSED);
}

TEST(Attachment, ATableOfAnotherUserIsRefusedUnlessThatUserIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a file to another user takes root";
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  ASSERT_EQ(::chown(dir.path().c_str(), 4711, 0), 0);
  const auto by_directory = open_at(dir.path());
  EXPECT_EQ(by_directory.result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(by_directory.sentence.find("uid 4711"), std::string::npos);
  ASSERT_EQ(::chown(dir.path().c_str(), 0, 0), 0);
  ASSERT_EQ(::chown((dir.path() / "table").c_str(), 4711, 0), 0);
  EXPECT_EQ(open_at(dir.path()).result, AUTHCACHE_ERROR_REFUSED);
  EXPECT_EQ(OpenClient(dir.path(), 0, 4711).result(), AUTHCACHE_OK);
  EXPECT_EQ(OpenClient(dir.path(), 0, 4712).result(), AUTHCACHE_ERROR_REFUSED);
}

TEST(Attachment, ARefusedSuccessorLeavesTheClientAsItWas) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  OpenClient client(dir.path());
  auto successor = make_table(dir.path(), 6);
  ::chmod((dir.path() / "table").c_str(), 0666);
  EXPECT_EQ(authcache_refresh(client.get()), AUTHCACHE_ERROR_REFUSED);
  EXPECT_NE(client.last_error().find("0640"), std::string::npos);
  EXPECT_EQ(looked_up(client, "token", client.requirement()), "valid");
}

TEST(Attachment, AChildGoesOnLookingUpAndAttaching) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  EXPECT_TRUE(in_child([&] { return looked_up(client, "token", requirement) == "valid"; }));
  writer.set_state(TableState::kRetired);
  auto successor = make_table(dir.path(), 6);
  admit(successor, kMainId, "token");
  EXPECT_TRUE(in_child([&] { return looked_up(client, "token", requirement) == "valid"; }));
  EXPECT_EQ(looked_up(client, "token", requirement), "valid");
}

TEST(ForkGuard, AChildHasANameOfItsOwn) {
  auto guard = authcache::client::ForkGuard::create();
  ASSERT_TRUE(guard.has_value());
  const std::uint64_t parent = (*guard)->owner();
  EXPECT_NE(parent, 0u);
  EXPECT_EQ((*guard)->owner(), parent);
  EXPECT_TRUE(in_child([&] {
    const std::uint64_t child = (*guard)->owner();
    return child != 0 && child != parent && child == (*guard)->owner();
  }));
  EXPECT_EQ((*guard)->owner(), parent);
}

TEST(Attachment, StatusTellsTheStateOfTheTable) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  admit(writer, kMainId, "token");
  OpenClient client(dir.path());
  auto status = status_of(client);
  EXPECT_EQ(status.attached, 1u);
  EXPECT_EQ(status.serving, 1u);
  EXPECT_EQ(status.generation, 5u);
  EXPECT_EQ(status.table_state, 1u);
  EXPECT_EQ(status.capacity, 1000u);
  EXPECT_EQ(status.live, 1u);
  EXPECT_EQ(status.heartbeat_timeout_ns, kHeartbeatTimeoutNs);
  EXPECT_EQ(status.table_format, status.library_format);
  writer.beat(shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  status = status_of(client);
  EXPECT_EQ(status.serving, 0u);
  EXPECT_GT(status.heartbeat_age_ns, kHeartbeatTimeoutNs);
}

TEST(Attachment, OptionsThatCannotBeMeantAreUsageErrors) {
  authcache_client* client = nullptr;
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.flags = 4;
  EXPECT_EQ(authcache_open(&options, &client), AUTHCACHE_ERROR_USAGE);
  options = AUTHCACHE_OPTIONS_INIT;
  options.size = 4;
  EXPECT_EQ(authcache_open(&options, &client), AUTHCACHE_ERROR_USAGE);
  options = AUTHCACHE_OPTIONS_INIT;
  options.daemon_uid = 0xffff'ffff;
  EXPECT_EQ(authcache_open(&options, &client), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(client, nullptr);
  EXPECT_EQ(authcache_open(&options, nullptr), AUTHCACHE_ERROR_USAGE);
}

TEST(Attachment, TheEnvironmentNamesTheDirectory) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  ASSERT_EQ(::setenv("AUTHCACHE_RUNTIME_DIR", dir.path().c_str(), 1), 0);
  authcache_client* client = nullptr;
  EXPECT_EQ(authcache_open(nullptr, &client), AUTHCACHE_OK);
  ::unsetenv("AUTHCACHE_RUNTIME_DIR");
  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  EXPECT_EQ(authcache_status(client, &status), AUTHCACHE_OK);
  EXPECT_EQ(status.generation, 5u);
  authcache_close(client);
}

}  // namespace
