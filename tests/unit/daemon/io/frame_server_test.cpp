#include "daemon/io/frame_server.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <thread>

#include "shm/unique_fd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace wire = authcache::shm::wire;
using authcached::Connection;
using authcached::FrameServer;
using authcached::Loop;

// A server on a thread of its own that echoes: "later" is answered after the handler has returned.
class FrameServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = FrameServer::listen(*loop_, {directory_ / "sock", static_cast<gid_t>(-1), 100'000, 3},
                                  [this](const auto& connection, const auto& head, auto payload) { handle(connection, head, payload); })
                  .value();
    thread_ = std::thread([this] { loop_->run(); });
  }
  void TearDown() override {
    loop_->post([this] {
      server_.reset();
      loop_->stop();
    });
    thread_.join();
    EXPECT_FALSE(std::filesystem::exists(directory_ / "sock"));
  }
  void handle(const std::shared_ptr<Connection>& connection, const wire::Head& head, std::string_view payload) {
    ++handled_;
    if (payload == "throw") throw std::runtime_error("no memory");
    std::string frame;
    if (payload == "who") payload = connection->peer().pid == ::getpid() && connection->peer().uid == ::geteuid() ? "you" : "another";
    const std::string flood(50'000, 'f');
    if (payload == "flood") payload = flood;
    wire::append_frame(frame, wire::Type::kControlReply, head.request_id, payload);
    if (payload == "later") return loop_->post([connection, frame] { connection->send(frame); });
    connection->send(frame);
  }
  std::size_t connections() {
    std::atomic<std::size_t> count = SIZE_MAX;
    loop_->post([&] { count = server_->connections(); });
    while (count == SIZE_MAX) std::this_thread::yield();
    return count;
  }
  bool connections_become(std::size_t wanted) {
    for (int i = 0; i < 1'000; ++i) {
      if (connections() == wanted) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  authcache::shm::UniqueFd connect() {
    authcache::shm::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (directory_ / "sock").c_str());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval patience{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }
  static std::string frame(std::string_view payload, std::uint64_t id = 1) {
    std::string bytes;
    wire::append_frame(bytes, wire::Type::kControl, id, payload);
    return bytes;
  }
  static void write(int fd, std::string_view bytes) { ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size())); }
  // The ring interrupts whichever thread submitted an operation to it when that one is done, and this thread submitted
  // the first accept.
  static ssize_t receive(int fd, char* out, std::size_t size) {
    ssize_t got = 0;
    do {
      got = ::recv(fd, out, size, MSG_WAITALL);
    } while (got < 0 && errno == EINTR);
    return got;
  }
  // The next frame's payload; "" at the end of the connection.
  static std::string read(int fd, wire::Type* type = nullptr) {
    char bytes[wire::kHeadBytes];
    if (receive(fd, bytes, sizeof bytes) != sizeof bytes) return "";
    const wire::Head head = wire::decode_head(bytes);
    if (type != nullptr) *type = head.type;
    std::string payload(head.size, '\0');
    EXPECT_EQ(receive(fd, payload.data(), payload.size()), static_cast<ssize_t>(head.size));
    return payload;
  }

  authcached::testing::TemporaryDirectory directory_;
  std::unique_ptr<Loop> loop_ = Loop::create().value();
  std::unique_ptr<FrameServer> server_;
  std::atomic<int> handled_ = 0;
  std::thread thread_;
};

TEST_F(FrameServerTest, B20_PipelinedFramesAreAnsweredEachAndFramesInPiecesAreJoined) {
  const auto fd = connect();
  write(fd.get(), frame("a") + frame("b") + frame("later") + frame("c"));
  std::vector<std::string> got;
  for (int i = 0; i < 4; ++i) got.push_back(read(fd.get()));
  std::ranges::sort(got);
  EXPECT_EQ(got, (std::vector<std::string>{"a", "b", "c", "later"}));
  for (const char byte : frame("piece")) write(fd.get(), {&byte, 1});
  EXPECT_EQ(read(fd.get()), "piece");
}

TEST_F(FrameServerTest, B20_AFrameLargerThanOneReadIsJoined) {
  const auto fd = connect();
  const std::string large(99'000, 'x');
  write(fd.get(), frame(large));
  EXPECT_EQ(read(fd.get()), large);
}

TEST_F(FrameServerTest, B20_ALyingSizeOrVersionIsToldAndEndsTheConnection) {
  for (const bool version : {false, true}) {
    const auto fd = connect();
    std::string bad = frame("x");
    if (version) bad[4] = 9;
    if (!version) bad[2] = 99;
    write(fd.get(), bad);
    wire::Type type{};
    EXPECT_FALSE(read(fd.get(), &type).empty());
    EXPECT_EQ(type, wire::Type::kError);
    EXPECT_EQ(read(fd.get()), "");
  }
  EXPECT_EQ(handled_, 0);
  EXPECT_TRUE(connections_become(0));
}

TEST_F(FrameServerTest, AHandlerThatThrowsCostsItsPeerTheConnectionAndNobodyElse) {
  const auto other = connect();
  const auto fd = connect();
  write(fd.get(), frame("throw") + frame("x"));
  wire::Type type{};
  EXPECT_FALSE(read(fd.get(), &type).empty());
  EXPECT_EQ(type, wire::Type::kError);
  EXPECT_EQ(read(fd.get()), "");
  write(other.get(), frame("still here"));
  EXPECT_EQ(read(other.get()), "still here");
}

TEST_F(FrameServerTest, B19_ThePeerIsWhoTheKernelSaysAndTheSocketIsNotForOthers) {
  const auto fd = connect();
  write(fd.get(), frame("who"));
  EXPECT_EQ(read(fd.get()), "you");
  struct stat inode;
  ASSERT_EQ(::stat((directory_ / "sock").c_str(), &inode), 0);
  EXPECT_EQ(inode.st_mode & 0777, 0660u);
}

TEST_F(FrameServerTest, B21_ConnectionsBeyondTheBoundAreClosedAndRoomComesBack) {
  std::vector<authcache::shm::UniqueFd> held;
  for (int i = 0; i < 3; ++i) held.push_back(connect());
  ASSERT_TRUE(connections_become(3));
  EXPECT_EQ(read(connect().get()), "");
  held.pop_back();
  ASSERT_TRUE(connections_become(2));
  const auto fd = connect();
  write(fd.get(), frame("x"));
  EXPECT_EQ(read(fd.get()), "x");
}

TEST_F(FrameServerTest, B20_APeerThatDoesNotReadIsEndedWhenItsOutputPassesTheBound) {
  const auto fd = connect();
  for (int i = 0; i < 1'000; ++i) {
    const std::string one = frame("flood");
    if (::send(fd.get(), one.data(), one.size(), MSG_NOSIGNAL) < 0) break;
  }
  EXPECT_TRUE(connections_become(0));
}

TEST_F(FrameServerTest, B20_OneThatHalfClosesWithOutputLeftStillCountsAndIsEndedInTime) {
  const auto fd = connect();
  for (int i = 0; i < 60; ++i) write(fd.get(), frame("flood"));
  ::shutdown(fd.get(), SHUT_WR);
  while (handled_ < 60) std::this_thread::yield();
  EXPECT_EQ(connections(), 1u) << "its output is not written: it must not leave the count";
  EXPECT_TRUE(connections_become(0));
}

TEST_F(FrameServerTest, B20_AFrameFedByteByByteDoesNotKeepItsConnection) {
  const auto fd = connect();
  const std::string slow = frame(std::string(90'000, 'x'));
  const auto begun = std::chrono::steady_clock::now();
  bool ended = false;
  for (std::size_t i = 0; i < 100 && !ended; ++i) {
    ended = ::send(fd.get(), &slow[i], 1, MSG_NOSIGNAL) < 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_TRUE(ended) << "still open after " << (std::chrono::steady_clock::now() - begun) / std::chrono::seconds(1) << " s";
}

}  // namespace
