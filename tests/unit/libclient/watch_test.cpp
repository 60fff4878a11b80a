// Watches on the library's side, against a daemon that misbehaves as told: what it says, leaves unsaid, or
// says wrongly. The real one is met in tests/process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "tests/unit/libclient/fake_daemon.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace authcache::client_test {
namespace {

namespace wire = shm::wire;
using wire::Type;

constexpr int kPatienceMs = 20'000;

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() : writer_(make_table(dir_.path(), 1)) {
    admit(writer_, kMainId, "token");
    client_ = std::make_unique<OpenClient>(dir_.path());
    looked_up(*client_, "token", client_->requirement(), &identity_);
  }

  std::uint64_t watch(std::uint64_t data = 0) {
    std::uint64_t number = 0;
    EXPECT_EQ(authcache_watch(client_->get(), &identity_, data, &number), AUTHCACHE_OK)
        << client_->last_error();
    return number;
  }
  [[nodiscard]] int fd() { return authcache_watch_fd(client_->get()); }
  [[nodiscard]] bool readable(int within_ms) {
    pollfd entry{fd(), POLLIN, 0};
    return ::poll(&entry, 1, within_ms) == 1;
  }
  // "invalid/revoked", or "" if there is none now.
  std::string next(authcache_watch_event* out = nullptr) {
    authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
    const int result = authcache_watch_next(client_->get(), &event);
    if (result != AUTHCACHE_OK) return result == AUTHCACHE_ERROR_NOT_FOUND ? "" : "error";
    if (out != nullptr) *out = event;
    std::string text = authcache_verdict_name(event.verdict);
    if (event.reason != 0) text += std::string("/") + authcache_reason_name(event.reason);
    return text;
  }
  std::string awaited(authcache_watch_event* out = nullptr) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (std::chrono::steady_clock::now() < end) {
      if (!readable(50)) continue;
      if (std::string text = next(out); !text.empty()) return text;
    }
    return "nothing";
  }
  // A daemon that ends every watch at once, as told.
  static FakeDaemon::Script ends_with(std::uint8_t verdict, std::uint8_t reason) {
    return [=](FakeConnection& connection, const wire::Head& head, const std::string&) {
      const char payload[] = {static_cast<char>(verdict), static_cast<char>(reason)};
      std::string frame;
      if (head.type == Type::kWatch)
        wire::append_frame(frame, Type::kWatchEnded, head.request_id, {payload, sizeof payload});
      connection.send(frame);
    };
  }
  static void say_nothing(FakeConnection&, const wire::Head&, const std::string&) {}

  TempDir dir_;
  shm::TableWriter writer_;
  std::unique_ptr<OpenClient> client_;
  authcache_identity identity_ = AUTHCACHE_IDENTITY_INIT;
};

TEST_F(WatchTest, MisuseIsAUsageErrorAndLeavesNoWatch) {
  std::uint64_t number = 7;
  EXPECT_EQ(authcache_watch(nullptr, &identity_, 0, &number), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_watch(client_->get(), nullptr, 0, &number), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(number, 0u);
  EXPECT_EQ(authcache_watch(client_->get(), &identity_, 0, nullptr), AUTHCACHE_ERROR_USAGE);
  authcache_identity none = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(authcache_watch(client_->get(), &none, 0, &number), AUTHCACHE_ERROR_USAGE) << "no record";
  none = identity_;
  none.verdict = AUTHCACHE_INVALID;
  EXPECT_EQ(authcache_watch(client_->get(), &none, 0, &number), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_unwatch(nullptr, 1), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_unwatch(client_->get(), 1), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_EQ(authcache_watch_fd(nullptr), AUTHCACHE_ERROR_USAGE);
  authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
  EXPECT_EQ(authcache_watch_next(client_->get(), nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_watch_next(nullptr, &event), AUTHCACHE_ERROR_USAGE);
  event.size = 8;
  EXPECT_EQ(authcache_watch_next(client_->get(), &event), AUTHCACHE_ERROR_USAGE);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(WatchTest, AClientWithoutWatchesMakesNoDescriptorAndACloseGivesAllBack) {
  const FakeDaemon daemon(dir_.path(), say_nothing);
  const std::size_t before = open_descriptors();
  EXPECT_EQ(next(), "");
  EXPECT_EQ(authcache_unwatch(client_->get(), 1), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_EQ(open_descriptors(), before);
  watch();
  EXPECT_GT(open_descriptors(), before);
  client_.reset();
  // The daemon's end of the connection closes with the daemon.
  EXPECT_LE(open_descriptors(), before + 1);
}

TEST_F(WatchTest, AnEventCarriesWhatTheDaemonSaidAndTheCallersData) {
  const FakeDaemon daemon(dir_.path(), ends_with(AUTHCACHE_INVALID, AUTHCACHE_REASON_REVOKED));
  const std::uint64_t number = watch(0xdead'beef'0000'0001);
  authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
  EXPECT_EQ(awaited(&event), "invalid/revoked");
  EXPECT_EQ(event.data, 0xdead'beef'0000'0001);
  EXPECT_EQ(event.watch, number);
  EXPECT_EQ(event.size, sizeof event);
  EXPECT_EQ(next(), "");
  EXPECT_FALSE(readable(0));
}

TEST_F(WatchTest, TheKeyOfTheRecordIsAllThatTheDaemonIsTold) {
  std::mutex mutex;
  std::string payload;
  Type type{};
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const wire::Head& head, const std::string& bytes) {
        {
          const std::lock_guard lock(mutex);
          payload = bytes;
          type = head.type;
        }
        std::string frame;
        wire::append_watch_ended(frame, head.request_id, {shm::Verdict::kMiss, shm::Reason::kNone});
        connection.send(frame);
      });
  watch();
  EXPECT_EQ(awaited(), "miss");
  const std::lock_guard lock(mutex);
  EXPECT_EQ(type, Type::kWatch);
  EXPECT_EQ(payload, std::string(reinterpret_cast<const char*>(identity_.key), sizeof identity_.key));
}

TEST_F(WatchTest, NoWordOfADaemonMakesAWatchEndAsValidOrForbidden) {
  for (const int verdict : {0 + AUTHCACHE_VALID, 0 + AUTHCACHE_FORBIDDEN, AUTHCACHE_UNAVAILABLE + 1}) {
    const FakeDaemon daemon(dir_.path(), ends_with(static_cast<std::uint8_t>(verdict), 0));
    watch();
    EXPECT_EQ(awaited(), "unavailable/protocol") << verdict;
  }
}

TEST_F(WatchTest, FramesThatNoDaemonSendsEndEveryWatchAsUnavailable) {
  std::string other_version, too_large, question, short_ended, foreign_hello;
  wire::append_frame(other_version, Type::kWatchEnded, 1, "");
  other_version[4] = 9;
  wire::append_frame(too_large, Type::kWatchEnded, 1, "");
  too_large.replace(0, 4, "\xff\xff\xff\x7f");
  wire::append_unwatch(question, 1);
  wire::append_frame(short_ended, Type::kWatchEnded, 1, "\x02");
  wire::append_hello_reply(foreign_hello, 1, {});
  for (const std::string& answer : {other_version, too_large, question, short_ended, foreign_hello}) {
    const FakeDaemon daemon(dir_.path(), [&](FakeConnection& connection, const wire::Head&,
                                             const std::string&) { connection.send(answer); });
    watch(1);
    watch(2);
    EXPECT_EQ(awaited(), "unavailable/protocol");
    EXPECT_EQ(awaited(), "unavailable/protocol");
    EXPECT_EQ(next(), "");
  }
}

TEST_F(WatchTest, ADaemonThatDoesNotKnowWatchesEndsThemAsUnavailable) {
  const FakeDaemon daemon(dir_.path(), [](FakeConnection& connection, const wire::Head& head,
                                          const std::string&) {
    std::string frame;
    wire::append_frame(frame, Type::kError, head.request_id, "a frame type that this socket does not take");
    connection.send(frame);
    connection.hang_up();
  });
  watch();
  EXPECT_EQ(awaited(), "unavailable/protocol");
}

TEST_F(WatchTest, AnEventForAWatchThatIsNotThereIsIgnored) {
  const FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const wire::Head& head, const std::string&) {
        std::string frames;
        wire::append_watch_ended(frames, head.request_id + 1'000,
                                 {shm::Verdict::kInvalid, shm::Reason::kRevoked});
        wire::append_watch_ended(frames, head.request_id, {shm::Verdict::kMiss, shm::Reason::kNone});
        wire::append_watch_ended(frames, head.request_id, {shm::Verdict::kInvalid, shm::Reason::kRevoked});
        connection.send(frames);
      });
  watch();
  EXPECT_EQ(awaited(), "miss");
  EXPECT_EQ(next(), "");
}

TEST_F(WatchTest, FramesInPiecesAreFrames) {
  const FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const wire::Head& head, const std::string&) {
        std::string frame;
        wire::append_watch_ended(frame, head.request_id, {shm::Verdict::kInvalid, shm::Reason::kRevoked});
        for (const char byte : frame) {
          connection.send({&byte, 1});
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      });
  watch();
  EXPECT_EQ(awaited(), "invalid/revoked");
}

TEST_F(WatchTest, AConnectionThatIsLostIsMadeAnewWithEveryWatch) {
  std::atomic<int> watched{0};
  std::atomic<bool> tell{false};
  FakeDaemon daemon(dir_.path(), [&](FakeConnection& connection, const wire::Head& head, const std::string&) {
    ++watched;
    if (!tell) return;
    std::string frame;
    wire::append_watch_ended(frame, head.request_id, {shm::Verdict::kInvalid, shm::Reason::kRevoked});
    connection.send(frame);
  });
  watch(1);
  watch(2);
  while (watched < 2) EXPECT_TRUE((void(readable(10)), next()).empty());
  tell = true;
  daemon.drop_connections();
  EXPECT_EQ(awaited(), "invalid/revoked");
  EXPECT_EQ(awaited(), "invalid/revoked");
  EXPECT_EQ(watched, 4);
  EXPECT_EQ(daemon.connects, 2);
}

TEST_F(WatchTest, ADaemonThatDropsEveryConnectionIsTriedAtTicksOnly) {
  FakeDaemon daemon(
      dir_.path(),
      [](FakeConnection& connection, const wire::Head&, const std::string&) { connection.hang_up(); },
      [](FakeConnection& connection, const wire::Head&, const std::string&) { connection.hang_up(); });
  watch();
  int wakes = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < end) {
    if (!readable(10)) continue;
    ++wakes;
    EXPECT_EQ(next(), "");
  }
  EXPECT_LE(wakes, 5) << "the end of a connection is one wake";
  EXPECT_LE(daemon.connects, 2) << "the timeout is ten seconds, so a tick is one";
}

TEST_F(WatchTest, ADaemonThatIsSilentForItsTimeoutEndsEveryWatchAsUnavailable) {
  // Its heartbeat is fresh, but it does not answer: whoever holds the socket is no daemon that watches.
  const TempDir dir;
  auto file = shm::create_table(dir.path(), {.capacity = 1'000,
                                             .text_bytes_per_record = 64,
                                             .heartbeat_timeout_ns = shm::kNsPerSecond,
                                             .generation = 1});
  ASSERT_TRUE(file);
  shm::publish_table(file->view);
  ASSERT_TRUE(shm::name_table(*file, dir.path()));
  shm::TableWriter writer(std::move(*file));
  writer.set_profiles(default_profiles());
  writer.beat(shm::coarse_now_ns());
  admit(writer, kMainId, "token");
  const FakeDaemon daemon(dir.path(), say_nothing, say_nothing);
  client_ = std::make_unique<OpenClient>(dir.path());
  looked_up(*client_, "token", client_->requirement(), &identity_);
  watch();
  std::string text;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (text.empty() && std::chrono::steady_clock::now() < end) {
    writer.beat(shm::coarse_now_ns());
    if (readable(50)) text = next();
  }
  EXPECT_EQ(text, "unavailable/daemon_unreachable");
}

TEST_F(WatchTest, AStaleHeartbeatEndsEveryWatchThoughTheSocketAnswers) {
  const FakeDaemon daemon(dir_.path(), say_nothing);
  watch();
  writer_.beat(shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  EXPECT_EQ(awaited(), "unavailable/heartbeat_stale");
}

// What the daemon end of `number` would be if it were not closed: the number is somebody else's now.
TEST_F(WatchTest, NumbersThatTheProgramGaveToOthersAreLeftAlone) {
  const FakeDaemon daemon(dir_.path(), say_nothing);
  watch(1);
  ASSERT_FALSE(readable(0) && !next().empty());
  const int polled = fd();
  // As a program does it that becomes a daemon, and then opens files of its own: an epoll in place of the
  // epoll.
  const int theirs = ::epoll_create1(EPOLL_CLOEXEC);
  ASSERT_EQ(::dup2(theirs, polled), polled);
  ::close(theirs);
  const int fresh = fd();
  EXPECT_NE(fresh, polled);
  EXPECT_GE(::fcntl(polled, F_GETFD), 0) << "not closed";
  epoll_event none{};
  EXPECT_EQ(::epoll_wait(polled, &none, 1, 0), 0) << "and nothing put into it";
  writer_.beat(shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  EXPECT_EQ(awaited(), "unavailable/heartbeat_stale") << "the watch itself went on";
  client_.reset();
  EXPECT_GE(::fcntl(polled, F_GETFD), 0);
  ::close(polled);
}

TEST_F(WatchTest, AChildLeavesItsParentsEpollAsItWas) {
  const FakeDaemon daemon(dir_.path(), say_nothing);
  const std::uint64_t number = watch(1);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
    if (authcache_watch_next(client_->get(), &event) != AUTHCACHE_ERROR_NOT_FOUND) ::_exit(2);
    if (authcache_unwatch(client_->get(), number) != AUTHCACHE_ERROR_NOT_FOUND) ::_exit(3);
    if (authcache_watch_fd(client_->get()) < 0) ::_exit(4);
    authcache_close(client_->get());
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_LE(daemon.connects, 1) << "a child without watches connects to nobody";
  writer_.beat(shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  EXPECT_EQ(awaited(), "unavailable/heartbeat_stale") << "its timer and its mark still stand in the epoll";
}

TEST_F(WatchTest, ManyThreadsWatchUnwatchAndFetch) {
  const FakeDaemon daemon(dir_.path(), ends_with(AUTHCACHE_MISS, 0));
  std::atomic<int> fetched{0}, removed{0};
  constexpr int kThreads = 4, kEach = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
      for (int i = 0; i < kEach; ++i) {
        std::uint64_t number = 0;
        ASSERT_EQ(authcache_watch(client_->get(), &identity_, 0, &number), AUTHCACHE_OK);
        if (i % 3 == 0 && authcache_unwatch(client_->get(), number) == AUTHCACHE_OK) ++removed;
        while (authcache_watch_next(client_->get(), &event) == AUTHCACHE_OK) ++fetched;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  while (fetched + removed < kThreads * kEach) {
    ASSERT_EQ(awaited(), "miss");
    ++fetched;
  }
  EXPECT_EQ(next(), "");
}

}  // namespace
}  // namespace authcache::client_test
