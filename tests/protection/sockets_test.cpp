// B19, B20, B21, P4, P6: who may connect, and what a peer can take of the daemon by holding, cutting or
// leaving things. AUTHCACHE_CONNECTIONS sets how many come and go.
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;
namespace wire = authcache::shm::wire;
using authcache::shm::UniqueFd;
using std::chrono::milliseconds;

constexpr std::uint64_t kComeAndGo = 100'000;
constexpr std::size_t kLorises = 1'000;

std::uint64_t come_and_go() {
  const char* const wanted = std::getenv("AUTHCACHE_CONNECTIONS");
  return wanted == nullptr ? kComeAndGo : std::strtoull(wanted, nullptr, 10);
}

void allow_descriptors(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::max(limit.rlim_cur, count);
  limit.rlim_max = std::max(limit.rlim_max, count);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

UniqueFd connect_to(const fs::path& socket) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

std::string control_frame(std::uint64_t id, std::string_view text) {
  return raw_frame(static_cast<std::uint32_t>(text.size()), wire::kVersion, 16, id, text);
}

fs::path miss_socket(const Scene& scene) { return scene.daemon.runtime_dir() / "authcached.sock"; }

bool is_served(const fs::path& socket, std::string_view frame) {
  RawConnection connection(socket);
  return connection.connected() && connection.send(frame) && connection.receive().has_value();
}

// The control socket belongs to a group of its own.
TEST(Access, B19_MembersAskAndOnlyAdministratorsCommand) {
  AUTHCACHE_NEEDS_ROOT();
  const group* const admins = ::getgrnam("adm");
  if (admins == nullptr) GTEST_SKIP() << "there is no group adm to play the administrators'";
  GuardedScene scene({}, std::to_string(admins->gr_gid));
  std::string config = read_file(scene.daemon.config_file());
  config.replace(config.find("admin_group = \"\""), 16, "admin_group = \"adm\"");
  replace_file(scene.daemon.config_file(), config);
  scene.start();
  const std::string stats = control_frame(1, R"({"verb":"stats"})");
  const std::string question = validate_frame(1, "sessions", random_token());
  const auto served = [&](const User& user, const fs::path& socket, std::string_view frame) {
    return as_user(user, [&] { return std::string(is_served(socket, frame) ? "yes" : "no"); });
  };
  const User admin{64'907, kOwnGroup, {kTableGroup, admins->gr_gid}};
  const User outside{64'908, kOwnGroup, {admins->gr_gid}};  // cannot pass the runtime directory
  EXPECT_EQ(served(kMember, scene.miss_socket(), question), "yes");
  EXPECT_EQ(served(kMember, scene.control_socket(), stats), "no");
  EXPECT_EQ(served(admin, scene.control_socket(), stats), "yes");
  EXPECT_EQ(served(outside, scene.control_socket(), stats), "no");
  EXPECT_EQ(served(kStranger, scene.miss_socket(), question), "no");
}

TEST(Access, B19_ThePeerIsWhomTheKernelSaysInTheAuditRecord) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene;
  scene.start();
  EXPECT_EQ(as_user(kMember,
                    [&] {
                      const std::string flush = control_frame(1, R"({"verb":"flush","peer_uid":0,"uid":0})");
                      return std::string(is_served(scene.control_socket(), flush) ? "yes" : "no");
                    }),
            "yes");
  EXPECT_TRUE(scene.daemon.logs("\"peer_uid\":" + std::to_string(kMember.uid))) << scene.daemon.log();
}

// Uid 65534 is everybody that a user namespace has no number for.
TEST(Access, B19_NobodyIsNotServed) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene;
  scene.start();
  const std::string token = scene.create_session();
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      RawConnection miss(scene.miss_socket()), control(scene.control_socket());
                      return std::string(miss.is_closed() && control.is_closed() ? "closed" : "open");
                    }),
            "closed");
  EXPECT_EQ(scene.ask_as(kMember, session(token)), "valid");
}

// Documented: a descriptor keeps the rights of who opened it, whoever holds it.
TEST(Access, B19_AConnectionThatIsPassedOnSpeaksForItsOpener) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene;
  scene.start();
  RawConnection ours(scene.miss_socket());
  EXPECT_EQ(as_user(kStranger,
                    [&] {
                      const bool served =
                          ours.send(validate_frame(1, "sessions", random_token())) && ours.receive();
                      return std::string(served ? "served" : "refused");
                    }),
            "served");
}

// 253 is the most that one message carries.
bool send_with_rights(int connection, std::string_view bytes, int fd, std::size_t count) {
  std::array<int, 253> fds;
  fds.fill(fd);
  std::array<char, CMSG_SPACE(sizeof fds)> control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), count * sizeof(int));
  return ::sendmsg(connection, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

TEST(Descriptors, B20_ThoseThatComeWithAFrameAreNotTaken) {
  Scene scene;
  scene.start();
  const std::size_t before = scene.daemon.descriptors();
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 50; ++i) {
    const UniqueFd connection = connect_to(miss_socket(scene));
    for (int j = 0; j < 20; ++j)
      ASSERT_TRUE(send_with_rights(connection.get(), validate_frame(1, "sessions", "x"), file.get(), 253));
    char reply[64];
    EXPECT_GT(::recv(connection.get(), reply, sizeof reply, 0), 0) << "the frame itself is good";
    EXPECT_LE(scene.daemon.descriptors(), before + 4);
  }
  EXPECT_TRUE(eventually([&] { return scene.daemon.descriptors() <= before; }));
}

TEST(Descriptors, B21_ComingAndGoingLeavesTheirNumberFlat) {
  Scene scene;
  scene.start();
  (void)is_served(miss_socket(scene), validate_frame(1, "sessions", "x"));
  const std::size_t before = scene.daemon.descriptors();
  const std::uint64_t count = come_and_go();
  std::uint64_t refused = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const UniqueFd connection = connect_to(miss_socket(scene));
    if (!connection) ++refused;
    // Some say something, some a part of it, most nothing; none waits for the answer.
    const std::string frame = validate_frame(i, "sessions", "x");
    if (i % 10 == 0)
      (void)::send(connection.get(), frame.data(), i % 20 == 0 ? frame.size() : 9, MSG_NOSIGNAL);
  }
  std::cout << count << " connections came and went, " << refused << " refused\n";
  EXPECT_EQ(refused, 0u);
  EXPECT_TRUE(eventually([&] { return scene.daemon.descriptors() <= before; })) << scene.daemon.descriptors();
  EXPECT_TRUE(is_served(miss_socket(scene), validate_frame(1, "sessions", "x")));
}

TEST(Descriptors, B21_WithoutOneLeftItWaitsForOne) {
  Scene scene;
  scene.start();
  rlimit limit{};
  ASSERT_EQ(::prlimit(scene.daemon.pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  const rlimit few{scene.daemon.descriptors() + 8, limit.rlim_max};
  ASSERT_EQ(::prlimit(scene.daemon.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<UniqueFd> held;
  for (int i = 0; i < 50; ++i) held.push_back(connect_to(miss_socket(scene)));
  RawConnection late(miss_socket(scene));
  EXPECT_TRUE(late.send(validate_frame(1, "sessions", "x")));
  EXPECT_FALSE(late.receive(milliseconds(200)));
  held.clear();
  EXPECT_TRUE(late.receive()) << "those that went made room";
  EXPECT_TRUE(scene.daemon.running());
}

TEST(Descriptors, B21_AllOfThemCloseOnExec) {
  Scene scene;
  scene.start();
  RawConnection connection(miss_socket(scene));
  ASSERT_TRUE(connection.send(validate_frame(1, "sessions", "x")) && connection.receive());
  const fs::path proc = "/proc/" + std::to_string(scene.daemon.pid());
  for (const auto& each : fs::directory_iterator(proc / "fdinfo")) {
    const std::string number = each.path().filename();
    if (std::stoi(number) <= 2) continue;
    // What this test was started with and passed on.
    std::error_code none;
    const fs::path target = fs::read_symlink(proc / "fd" / number);
    if (target == fs::read_symlink("/proc/self/fd/" + number, none)) continue;
    const std::string info = read_file(each.path());
    const std::size_t at = info.find("flags:\t");
    ASSERT_NE(at, std::string::npos);
    EXPECT_NE(std::stol(info.substr(at + 7), nullptr, 8) & O_CLOEXEC, 0) << target;
  }
}

class SlowLoris : public ::testing::Test {
 protected:
  void SetUp() override {
    allow_descriptors(4 * kLorises);
    scene_.start();
    reader_.emplace(scene_.daemon.runtime_dir());
    good_ = session(scene_.create_session());
  }
  void expect_others_are_served() {
    EXPECT_EQ(reader_->validate(api(scene_.issuer.es256())), "valid");
    EXPECT_EQ(reader_->lookup(good_), "valid");
    EXPECT_EQ(scene_.daemon.authctl({"stats"}).exit, 0);
  }

  Scene scene_;
  std::optional<ReaderProcess> reader_;
  Question good_;
};

// kFrameTimeout is 5 s, looked at each second.
TEST_F(SlowLoris, B20_AThousandHalfFramesAreClosedAndDisturbNobody) {
  const std::size_t descriptors = scene_.daemon.descriptors(), memory = scene_.daemon.resident_bytes();
  const std::string half = validate_frame(1, "api", scene_.issuer.es256()).substr(0, 40);
  std::vector<RawConnection> lorises;
  for (std::size_t i = 0; i < kLorises; ++i) {
    lorises.emplace_back(miss_socket(scene_));
    ASSERT_TRUE(lorises.back().send(half));
  }
  expect_others_are_served();
  EXPECT_LT(scene_.daemon.resident_bytes(), memory + kLorises * 32 * 1024);
  for (RawConnection& loris : lorises) EXPECT_TRUE(loris.is_closed(milliseconds(10'000)));
  EXPECT_TRUE(eventually([&] { return scene_.daemon.descriptors() <= descriptors + 2; }));
  expect_others_are_served();
}

// They pipeline questions that cost no budget, and take not one answer.
TEST_F(SlowLoris, B20_AThousandThatNeverReadAreBoundedTogetherAndClosed) {
  const std::size_t descriptors = scene_.daemon.descriptors(), memory = scene_.daemon.resident_bytes();
  std::string frames;
  for (std::uint64_t i = 0; i < 2'000; ++i) frames += validate_frame(i, "sessions", "a b");
  std::vector<UniqueFd> lorises;
  for (std::size_t i = 0; i < kLorises; ++i) {
    lorises.push_back(connect_to(miss_socket(scene_)));
    ASSERT_TRUE(lorises.back());
    for (int j = 0; j < 4; ++j)
      (void)::send(lorises.back().get(), frames.data(), frames.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (i % 250 == 0) expect_others_are_served();
  }
  expect_others_are_served();
  const std::size_t grown = scene_.daemon.resident_bytes() - memory;
  std::cout << kLorises << " that do not read: " << grown / 1'024 << " KiB\n";
  // 64 KiB of input for each that pipelines, and 64 MiB of output of all, twice while its buffers move.
  EXPECT_LT(grown, kLorises * 64 * 1'024 + (128u << 20));
  EXPECT_TRUE(eventually([&] { return scene_.daemon.descriptors() <= descriptors + 2; }))
      << "none took a byte for 5 s";
  expect_others_are_served();
}

// P6: one user that holds every connection there is does not keep another out.
TEST(Share, B20_AUserWhoHoldsThemAllGivesOneUpForAnother) {
  AUTHCACHE_NEEDS_ROOT();
  GuardedScene scene({.limits = "connections = 10\n"});
  scene.start();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  // Holds ten, and says which are left when it is told to look.
  const pid_t holder = ::fork();
  if (holder == 0) {
    const std::string answer = as_user(kMember, [&]() -> std::string {
      std::vector<RawConnection> held;
      for (int i = 0; i < 10; ++i) {
        held.emplace_back(scene.miss_socket());
        if (!held.back().send(validate_frame(1, "sessions", "x")) || !held.back().receive())
          return "not served";
      }
      char go = 'h';
      if (::write(ends[1], &go, 1) != 1) return "no pipe";
      return held.front().is_closed() ? "first closed" : "first open";
    });
    ::_exit(answer == "first closed" ? 0 : 1);
  }
  char held = 0;
  ASSERT_EQ(::read(ends[0], &held, 1), 1);
  EXPECT_EQ(as_user(kOtherMember,
                    [&] {
                      return std::string(is_served(scene.miss_socket(), validate_frame(1, "sessions", "x"))
                                             ? "served"
                                             : "kept out");
                    }),
            "served");
  int status = -1;
  ::waitpid(holder, &status, 0);
  EXPECT_EQ(status, 0) << "the connection that was silent longest gave way";
  ::close(ends[0]);
  ::close(ends[1]);
}

// A client that lies can only hurt itself: nothing that it says of a verdict is believed. B3
TEST(Lies, B3_NoFrameStatesAVerdict) {
  Scene scene;
  scene.start();
  const std::string stranger = random_token();
  for (std::uint16_t type = 0; type < 32; ++type) {
    for (const std::string& payload :
         {std::string(), std::string(64, '\0'), std::string(200, '\xff'), stranger}) {
      RawConnection connection(miss_socket(scene));
      (void)connection.send(
          raw_frame(static_cast<std::uint32_t>(payload.size()), wire::kVersion, type, type, payload));
      // The daemon's own replies, played back to it.
      wire::ValidateReply reply;
      reply.verdict = authcache::shm::Verdict::kValid;
      std::string frame;
      wire::append_validate_reply(frame, 1, reply);
      (void)connection.send(frame);
      (void)connection.receive(milliseconds(5));
    }
  }
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(session(stranger)), "invalid/unknown");
  EXPECT_EQ(scene.daemon.stat("table", "live"), scene.daemon.stat("table", "negative"));
}

}  // namespace
}  // namespace authcache_test
