// The real daemon killed or frozen at any moment of its work, under readers that were attached all the time,
// and directories that are taken away under it. What it acknowledged as revoked is refused before, during and
// after.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <new>
#include <thread>

#include "tests/crash/counts.hpp"
#include "tests/crash/record_model.hpp"
#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace crash {
namespace {

using namespace authcache_test;
using std::chrono::milliseconds;
constexpr auto kAgain = DaemonProcess::First::kNo;

constexpr std::uint64_t kKillsByDefault = 12;
constexpr std::uint64_t kWriterKillsForEach = 40;  // of AUTHCACHE_CRASH_KILLS, which counts the cheap ones
constexpr std::uint64_t kRevokedMax = 4'000;
constexpr const char* kLoadLimits = "misses_per_second_per_uid = 1_000_000\nmiss_burst_per_uid = 1_000_000";

struct Watch {
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> acknowledged;  // of the tokens, in their order
  std::atomic<std::uint64_t> rounds, valid_though_revoked;
};

// A process of its own that looks every acknowledged token up, again and again, over all lives of the daemon.
class RevocationWatch {
 public:
  RevocationWatch(const std::filesystem::path& runtime_dir, const std::vector<Question>& questions) {
    void* const page =
        ::mmap(nullptr, sizeof(Watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::runtime_error("cannot map the shared page");
    watch_ = new (page) Watch{};
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Client client(runtime_dir);
    while (!watch_->stop) {
      const std::uint64_t end = watch_->acknowledged;
      for (std::uint64_t i = 0; i < end; ++i) {
        if (client.lookup(questions[i]) == "valid") ++watch_->valid_though_revoked;
      }
      ++watch_->rounds;
    }
    ::_exit(0);
  }
  RevocationWatch(const RevocationWatch&) = delete;
  RevocationWatch& operator=(const RevocationWatch&) = delete;
  ~RevocationWatch() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(watch_, sizeof(Watch));
  }
  Watch* operator->() const { return watch_; }

 private:
  Watch* watch_;
  pid_t pid_;
};

// Misses and new sessions without a pause, until told to stop or the daemon is gone.
void make_load(const Scene& scene, const std::atomic<bool>& stop) {
  while (!stop) {
    RawConnection connection(scene.daemon.runtime_dir() / "authcached.sock");
    std::string frames;
    for (std::uint64_t i = 0; i < 200; ++i) frames += validate_frame(i, "sessions", random_token());
    if (!connection.connected() || !connection.send(frames) || !connection.receive(milliseconds(200))) {
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
}
void create_without_pause(const Scene& scene, const std::atomic<bool>& stop) {
  while (!stop)
    (void)scene.daemon.authctl({"session", "create", "--subject", "alice", "--count", "20", "--json"});
}

TEST(DaemonKill, B8_WhatIsAcknowledgedAsRevokedStaysRefusedOverEveryKill) {
  const std::uint64_t wanted = number_from_environment("AUTHCACHE_CRASH_KILLS", 0);
  const std::uint64_t kills =
      wanted == 0 ? kKillsByDefault : std::max(kKillsByDefault, wanted / kWriterKillsForEach);
  const std::uint64_t seed = announced_seed("kills of the daemon", kills);
  Scene scene({.limits = kLoadLimits});
  scene.start();
  std::vector<Question> questions;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(kRevokedMax, kills * 20); ++i)
    questions.push_back(api(scene.issuer.es256()));
  ReaderProcess reader(scene.daemon.runtime_dir());
  RevocationWatch watch(scene.daemon.runtime_dir(), questions);
  std::uint64_t next = 0, unanswered = 0;
  for (std::uint64_t kill = 0; kill < kills && next + 25 < questions.size(); ++kill) {
    // Each is a hit in the table that the watcher has, before it is revoked.
    for (std::uint64_t i = next; i < next + 20; ++i) ASSERT_EQ(reader.validate(questions[i]), "valid");
    std::atomic<bool> stop = false;
    std::jthread misses([&] { make_load(scene, stop); });
    std::jthread sessions([&] { create_without_pause(scene, stop); });
    std::jthread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(mix(seed, kill) % 120'000));
      scene.daemon.signal(SIGKILL);
    });
    while (scene.daemon.revoke(questions[next].token).exit == 0) {
      watch->acknowledged = ++next;
      if (next + 1 == questions.size()) break;
    }
    ++unanswered;
    ++next;  // this one may have been revoked or not: nobody was told
    stop = true;
    killer.join(), misses.join(), sessions.join();
    scene.daemon.kill();
    const std::uint64_t known = watch->acknowledged;
    scene.start(kAgain);
    for (std::uint64_t i = 0; i < known; ++i) {
      if (i + 1 < known && reader.lookup(questions[i]) == "invalid/revoked") continue;
      ASSERT_NE(reader.validate(questions[i]), "valid") << "token " << i << " after kill " << kill;
    }
    // What stands between two acknowledged ones was never claimed; from here on the watcher takes it as
    // claimed too.
    while (scene.daemon.revoke(questions[next - 1].token).exit != 0) {
    }
    watch->acknowledged = next;
  }
  const std::uint64_t rounds = watch->rounds;
  EXPECT_TRUE(eventually([&] { return watch->rounds > rounds + 1; })) << "the watcher stands still";
  EXPECT_EQ(watch->valid_though_revoked, 0u);
  std::cout << next << " revocations, " << unanswered << " of them cut off; " << watch->rounds
            << " rounds of the watcher\n";
  EXPECT_GT(next, kills);
}

// The writer stands still anywhere, also between two stores: readers end in bounded steps, are not told old
// truths for longer than the timeout, and go on when it does.
TEST(DaemonKill, B8_FrozenAtAnyMomentOfItsWorkReadersGoOnAndThenSayUnavailable) {
  const std::uint64_t seed = announced_seed("freezes of the daemon", 4);
  Scene scene({.heartbeat_timeout = "1s", .limits = kLoadLimits});
  scene.start();
  std::vector<Question> questions;
  for (const std::string& token : scene.create_sessions(10)) questions.push_back(session(token));
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (std::uint64_t freeze = 0; freeze < 4; ++freeze) {
    std::atomic<bool> stop = false;
    std::jthread load([&] { make_load(scene, stop); });
    std::this_thread::sleep_for(std::chrono::microseconds(mix(seed, freeze) % 30'000));
    scene.daemon.suspend();
    for (const Question& question : questions) {
      const std::string answer = reader.lookup(question);
      EXPECT_TRUE(answer == "valid" || answer == "miss" || answer == "unavailable/heartbeat_stale") << answer;
    }
    EXPECT_TRUE(eventually([&] { return reader.lookup(questions[0]) == "unavailable/heartbeat_stale"; }));
    for (const Question& question : questions)
      EXPECT_EQ(reader.lookup(question), "unavailable/heartbeat_stale");
    scene.daemon.resume();
    EXPECT_TRUE(eventually(
        [&] { return reader.lookup(questions[0]) == "valid" || reader.validate(questions[0]) == "valid"; }));
    stop = true;
    load.join();
    for (const Question& question : questions) EXPECT_EQ(reader.validate(question), "valid");
  }
}

TEST(DaemonKill, ClientsKilledAtAnyMomentLeaveMemoryDescriptorsAndFlightsAsTheyWere) {
  const std::uint64_t seed = announced_seed("kills of clients", 60);
  Scene scene({.limits = kLoadLimits});
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess survivor(scene.daemon.runtime_dir());
  ASSERT_EQ(survivor.lookup(question), "valid");
  std::vector<Question> others;
  for (const std::string& token : scene.create_sessions(20)) others.push_back(session(token));
  const auto round = [&](std::uint64_t number) {
    SpinningReaders readers(scene.daemon.runtime_dir(), others, 3);
    std::this_thread::sleep_for(std::chrono::microseconds(mix(seed, number) % 20'000));
    readers.kill();
    EXPECT_EQ(survivor.lookup(question), "valid");
  };
  for (std::uint64_t i = 0; i < 5; ++i) round(i);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("daemon", "flights") == 0; }));
  const std::size_t descriptors = scene.daemon.descriptors();
  const std::size_t memory = scene.daemon.resident_bytes();
  for (std::uint64_t i = 5; i < 20; ++i) round(i);
  EXPECT_TRUE(eventually([&] { return scene.daemon.stat("daemon", "flights") == 0; }));
  EXPECT_TRUE(eventually([&] { return scene.daemon.descriptors() <= descriptors; }))
      << scene.daemon.descriptors() << " after " << descriptors;
  EXPECT_LT(scene.daemon.resident_bytes(), memory + 8 * 1024 * 1024);
  EXPECT_EQ(survivor.validate(api(scene.issuer.es256())), "valid");
}

// The name goes while daemon and readers hold the file: it is still written, so a revocation still reaches
// them; and the next daemon, which cannot reach it, acknowledges nothing before it is dead.
TEST(DaemonKill, D8_ATableRemovedByHandStillRefusesWhatIsRevokedAndIsWaitedFor) {
  Scene scene({.heartbeat_timeout = "2s"});
  scene.start();
  const Question first = session(scene.create_session());
  const Question second = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(first), "valid");
  ASSERT_EQ(reader.lookup(second), "valid");
  std::vector<std::filesystem::path> names;
  for (const auto& each : std::filesystem::directory_iterator(scene.daemon.runtime_dir())) {
    if (each.path().filename().string().starts_with("table")) names.push_back(each.path());
  }
  for (const auto& name : names) std::filesystem::remove(name);
  ASSERT_EQ(scene.daemon.revoke(first.token).exit, 0);
  EXPECT_NE(reader.lookup(first), "valid");
  EXPECT_EQ(reader.lookup(second), "valid");
  scene.daemon.kill();
  scene.start(kAgain);
  ASSERT_EQ(scene.daemon.revoke(second.token).exit, 0);
  EXPECT_NE(reader.lookup(second), "valid") << "acknowledged while a table without a name was believed";
  EXPECT_EQ(reader.validate(first), "invalid/revoked");
}

// Nothing is left that knows the old numbers; the new ones are later all the same. Who has the old table
// believes it until its heartbeat is over, and takes no word of the new daemon for one on it.
TEST(DaemonKill, D1_AGenerationNumberDoesNotComeBackAfterBothDirectoriesWereWiped) {
  Scene scene({.heartbeat_timeout = "1s"});
  std::uint64_t newest = 0;
  for (int round = 0; round < 3; ++round) {
    scene.start();
    const auto number = static_cast<std::uint64_t>(scene.daemon.stat("table", "generation"));
    EXPECT_GT(number, newest);
    newest = number;
    const Question question = session(scene.create_session());
    ReaderProcess reader(scene.daemon.runtime_dir());
    ASSERT_EQ(reader.validate(question), "valid");
    scene.daemon.kill();
    std::filesystem::remove_all(scene.daemon.runtime_dir());
    std::filesystem::remove_all(scene.daemon.state_dir());
    scene.start();
    EXPECT_GT(static_cast<std::uint64_t>(scene.daemon.stat("table", "generation")), newest);
    newest = static_cast<std::uint64_t>(scene.daemon.stat("table", "generation"));
    EXPECT_TRUE(eventually([&] { return reader.validate(question) == "invalid/unknown"; }))
        << "its session is gone";
    EXPECT_EQ(reader.generation(), newest);
    scene.daemon.kill();
    std::filesystem::remove_all(scene.daemon.runtime_dir());
    std::filesystem::remove_all(scene.daemon.state_dir());
  }
}

}  // namespace
}  // namespace crash
