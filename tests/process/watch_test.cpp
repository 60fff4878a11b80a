// Watches against the real daemon: whichever way a watched record ends, its watcher is told once, and nobody
// is told of what goes on. The descriptor is polled as a server's loop does it.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

constexpr auto kAgain = DaemonProcess::First::kNo;
// The end of a record is told within a turn of the daemon's loop; long enough to see that nothing comes.
constexpr milliseconds kQuiet{150};

struct Event {
  std::string what;  // "invalid/revoked", "miss"
  std::uint64_t data = 0;
  std::uint64_t watch = 0;
};

// A client that watches, and serves its descriptor when told to.
class Watcher {
 public:
  explicit Watcher(const Scene& scene) : client(scene.daemon.runtime_dir()) {}

  // The watch of a token that must be valid now.
  std::uint64_t watch(const Question& question, std::uint64_t data = 0) {
    EXPECT_EQ(client.validate(question), "valid");
    std::uint64_t number = 0;
    EXPECT_EQ(authcache_watch(client.handle(), &client.identity(), data, &number), AUTHCACHE_OK)
        << authcache_last_error(client.handle());
    EXPECT_NE(number, 0u);
    return number;
  }
  [[nodiscard]] std::optional<Event> next() {
    authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
    if (authcache_watch_next(client.handle(), &event) != AUTHCACHE_OK) return std::nullopt;
    const std::string reason = authcache_reason_name(event.reason);
    return Event{authcache_verdict_name(event.verdict) + (reason.empty() ? "" : "/" + reason), event.data,
                 event.watch};
  }
  [[nodiscard]] bool readable(milliseconds within = milliseconds(0)) {
    pollfd entry{authcache_watch_fd(client.handle()), POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(within.count())) == 1;
  }
  // As a loop does it: waits for the descriptor, takes what is there.
  [[nodiscard]] std::optional<Event> await(milliseconds within = kPatience) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (std::chrono::steady_clock::now() < end) {
      if (!readable(milliseconds(50))) continue;
      if (auto event = next()) return event;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string awaited() {
    const auto event = await();
    return event ? event->what : "nothing";
  }
  // Serves the descriptor until nothing more is to do, as after the answer to the first hello.
  void settle() { EXPECT_FALSE(await(kQuiet)); }

  // The answer to the first hello: no event, and readable once.
  void be_greeted() {
    EXPECT_TRUE(readable(kPatience));
    EXPECT_FALSE(next());
  }

  Client client;
};

bool has_watches(const Scene& scene, std::int64_t count) {
  return eventually([&] { return scene.daemon.stat("daemon", "watches") == count; });
}

TEST(Watch, ATokenThatIsRevokedIsToldToItsWatcherWithTheWatchersData) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question first = session(scene.create_session()), second = api(scene.issuer.es256());
  const std::uint64_t one = watcher.watch(first, 41), two = watcher.watch(second, 42);
  ASSERT_NE(one, two);
  watcher.settle();
  ASSERT_EQ(scene.daemon.revoke(first.token).exit, 0);
  const auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, "invalid/revoked");
  EXPECT_EQ(event->data, 41u);
  EXPECT_EQ(event->watch, one);
  ASSERT_EQ(scene.daemon.revoke(second.token).exit, 0);
  const auto other = watcher.await();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->what, "invalid/revoked");
  EXPECT_EQ(other->watch, two);
  EXPECT_TRUE(has_watches(scene, 0));
  EXPECT_EQ(scene.daemon.stat("daemon", "watches_ended"), 2);
}

TEST(Watch, TheDescriptorIsTheSameAllTheTimeAndNotReadableWithoutAnEvent) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const int fd = authcache_watch_fd(watcher.client.handle());
  ASSERT_GE(fd, 0);
  EXPECT_FALSE(watcher.readable());
  EXPECT_FALSE(watcher.next());
  const Question question = session(scene.create_session());
  watcher.watch(question);
  watcher.be_greeted();
  EXPECT_TRUE(throughout([&] { return !watcher.readable(); }, kQuiet));
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  EXPECT_TRUE(watcher.readable(kPatience));
  EXPECT_TRUE(watcher.next());
  EXPECT_FALSE(watcher.next());
  EXPECT_TRUE(throughout([&] { return !watcher.readable(); }, kQuiet));
  EXPECT_EQ(authcache_watch_fd(watcher.client.handle()), fd);
}

TEST(Watch, EventsThatAreTakenOneAtATimeKeepTheDescriptorReadable) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  for (const std::string& token : scene.create_sessions(5)) watcher.watch(session(token));
  watcher.be_greeted();
  ASSERT_EQ(scene.daemon.authctl({"revoke", "--subject", "alice"}).exit, 0);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(watcher.readable(kPatience)) << i;
    EXPECT_TRUE(watcher.next()) << i;
  }
  EXPECT_FALSE(watcher.readable(kQuiet));
}

TEST(Watch, EveryKindOfRevocationIsTold) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const auto revoke = [&](std::vector<std::string> how) {
    how.insert(how.begin(), "revoke");
    const Ran ran = scene.daemon.authctl(how);
    EXPECT_EQ(ran.exit, 0) << ran.err;
  };
  watcher.watch(session(scene.create_session()));
  revoke({"--subject", "alice"});
  EXPECT_EQ(watcher.awaited(), "invalid/revoked");
  // Issuers, keys and everything die by an epoch: the watcher learns that its record is void, and why when it
  // asks.
  const Question by_issuer = api(scene.issuer.es256(scene.issuer.claims().text("sub", "bob")));
  watcher.watch(by_issuer);
  revoke({"--issuer", kIssuer});
  EXPECT_EQ(watcher.awaited(), "miss");
  EXPECT_EQ(watcher.client.validate(by_issuer), "invalid/revoked");
  const Question later = session(scene.create_session());
  watcher.watch(later);
  revoke({"--everything"});
  EXPECT_EQ(watcher.awaited(), "miss");
  EXPECT_EQ(watcher.client.validate(later), "invalid/revoked");
  EXPECT_FALSE(watcher.await(kQuiet)) << "each was told once";
}

TEST(Watch, ARecordPastItsDeadlineIsAMissAndATokenThatEndedIsRefusedThen) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = api(scene.issuer.es256(scene.issuer.claims().number("exp", now_seconds() + 2)));
  watcher.watch(question);
  EXPECT_EQ(watcher.awaited(), "miss");
  EXPECT_NE(watcher.client.lookup(question), "valid");
}

TEST(Watch, AFlushIsAMissAndTheTokenIsWatchedAnew) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  for (const std::vector<std::string>& how : {std::vector<std::string>{"flush"},
                                              {"flush", "--subject", "alice"},
                                              {"flush", "--profile", "sessions"}}) {
    watcher.watch(question);
    watcher.settle();
    const Ran ran = scene.daemon.authctl(how);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(watcher.awaited(), "miss") << how.back();
  }
  watcher.watch(question);
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  EXPECT_EQ(watcher.awaited(), "invalid/revoked");
}

TEST(Watch, ARecordThatATableTooSmallEvictsIsAMiss) {
  Scene scene({.capacity = 1'000});
  scene.start();
  Watcher watcher(scene);
  const auto tokens = scene.create_sessions(1'000);
  std::set<std::uint64_t> watched;
  for (const std::string& token : tokens) watched.insert(watcher.watch(session(token)));
  (void)scene.create_sessions(1'000);
  std::size_t missed = 0;
  while (const auto event = watcher.await(kQuiet)) {
    EXPECT_EQ(event->what, "miss");
    EXPECT_EQ(watched.erase(event->watch), 1u);
    ++missed;
  }
  EXPECT_GT(missed, 0u);
  EXPECT_TRUE(has_watches(scene, static_cast<std::int64_t>(watched.size())));
  std::size_t valid = 0;
  for (const std::string& token : tokens) valid += watcher.client.lookup(session(token)) == "valid" ? 1 : 0;
  EXPECT_EQ(valid, watched.size()) << "watches stand for exactly the records that are there";
}

TEST(Watch, AReloadIsAMissWhereItChangesProfilesAndNothingElsewhere) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = api(scene.issuer.es256());
  watcher.watch(question);
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_FALSE(watcher.await(kQuiet));
  scene.settings.algorithms = R"("ES256")";
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(watcher.awaited(), "miss");
}

TEST(Watch, ALargerTableIsNoEventAndARevocationAfterwardsIs) {
  Scene scene({.heartbeat_timeout = "1s"});
  scene.start();
  Watcher watcher(scene);
  const Question during = session(scene.create_session()), after = session(scene.create_session());
  watcher.watch(during, 1);
  watcher.watch(after, 2);
  watcher.settle();
  const std::int64_t before = scene.daemon.stat("table", "generation");
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("table", "generation") != before; }));
  ASSERT_EQ(scene.daemon.revoke(during.token).exit, 0);
  auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, "invalid/revoked");
  EXPECT_EQ(event->data, 1u);
  ASSERT_TRUE(eventually([&] {
    EXPECT_FALSE(watcher.next());
    return !scene.daemon.authctl({"stats", "--json"}).json().at("table").at("replacing").as_bool();
  }));
  EXPECT_FALSE(watcher.await(kQuiet)) << "the predecessor is gone, its records are not";
  ASSERT_EQ(scene.daemon.revoke(after.token).exit, 0);
  event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, "invalid/revoked");
  EXPECT_EQ(event->data, 2u);
}

void restart_between(bool killed) {
  Scene scene({.heartbeat_timeout = "3s"});
  scene.start();
  Watcher watcher(scene);
  const Question kept = session(scene.create_session()), revoked = session(scene.create_session());
  watcher.watch(kept, 1);
  watcher.watch(revoked, 2);
  watcher.settle();
  if (killed) {
    scene.daemon.kill();
  } else {
    ASSERT_EQ(scene.daemon.stop(), 0);
  }
  scene.start(kAgain);
  // The watcher has not seen anything of it yet: it serves its descriptor from here on.
  ASSERT_EQ(scene.daemon.revoke(revoked.token).exit, 0);
  const auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->data, 2u);
  EXPECT_TRUE(event->what == "invalid/revoked" || event->what == "miss") << event->what;
  EXPECT_EQ(watcher.client.validate(revoked), "invalid/revoked");
  EXPECT_FALSE(watcher.await(kQuiet));
  EXPECT_TRUE(has_watches(scene, 1)) << "the other watch came over by itself";
  ASSERT_EQ(scene.daemon.revoke(kept.token).exit, 0);
  const auto later = watcher.await();
  ASSERT_TRUE(later);
  EXPECT_EQ(later->what, "invalid/revoked");
  EXPECT_EQ(later->data, 1u);
}

TEST(Watch, OutlivesADaemonThatIsStoppedAndStartedAndLearnsOfARevocationInBetween) { restart_between(false); }
TEST(Watch, OutlivesADaemonThatIsKilledAndStartedAndLearnsOfARevocationInBetween) { restart_between(true); }

TEST(Watch, ADaemonThatIsGoneForLongerThanItsTimeoutEndsEveryWatchAsUnavailable) {
  Scene scene({.heartbeat_timeout = "1s"});
  scene.start();
  Watcher watcher(scene);
  const auto tokens = scene.create_sessions(3);
  for (const std::string& token : tokens) watcher.watch(session(token));
  watcher.settle();
  scene.daemon.kill();
  for (int i = 0; i < 3; ++i) {
    const std::string what = watcher.awaited();
    EXPECT_TRUE(what == "unavailable/heartbeat_stale" || what == "unavailable/daemon_unreachable") << what;
  }
  EXPECT_FALSE(watcher.readable(kQuiet)) << "nothing is watched, so nothing is to do";
  scene.start(kAgain);
  ASSERT_TRUE(eventually([&] { return watcher.client.validate(session(tokens[0])) == "valid"; }));
  watcher.watch(session(tokens[0]));
  ASSERT_EQ(scene.daemon.revoke(tokens[0]).exit, 0);
  EXPECT_EQ(watcher.awaited(), "invalid/revoked");
}

TEST(Watch, ADaemonThatStandsStillForLongerThanItsTimeoutEndsEveryWatchAsUnavailable) {
  Scene scene({.heartbeat_timeout = "1s"});
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  watcher.watch(question);
  watcher.settle();
  scene.daemon.suspend();
  const std::string what = watcher.awaited();
  EXPECT_TRUE(what == "unavailable/heartbeat_stale" || what == "unavailable/daemon_unreachable") << what;
  scene.daemon.resume();
}

TEST(Watch, WithoutADaemonTheDescriptorIsReadableAtTicksOnly) {
  Scene scene({.heartbeat_timeout = "10s"});
  scene.start();
  Watcher watcher(scene);
  watcher.watch(session(scene.create_session()));
  watcher.settle();
  scene.daemon.kill();
  unsigned wakes = 0;
  const auto end = std::chrono::steady_clock::now() + milliseconds(2'500);
  while (std::chrono::steady_clock::now() < end) {
    if (!watcher.readable(milliseconds(20))) continue;
    ++wakes;
    EXPECT_FALSE(watcher.next());
  }
  EXPECT_GE(wakes, 1u);
  EXPECT_LE(wakes, 10u);
}

TEST(Watch, TenThousandOfOneClientAreAllToldOnce) {
  Scene scene({.capacity = 20'000});
  scene.start();
  Watcher watcher(scene);
  std::set<std::uint64_t> watched;
  for (int i = 0; i < 10; ++i) {
    for (const std::string& token : scene.create_sessions(1'000))
      watched.insert(watcher.watch(session(token)));
  }
  ASSERT_EQ(watched.size(), 10'000u);
  watcher.settle();
  EXPECT_TRUE(has_watches(scene, 10'000));
  const Ran revoke = scene.daemon.authctl({"revoke", "--subject", "alice"});
  ASSERT_EQ(revoke.exit, 0) << revoke.err;
  while (!watched.empty()) {
    const auto event = watcher.await();
    ASSERT_TRUE(event) << watched.size() << " were not told";
    EXPECT_EQ(event->what, "invalid/revoked");
    ASSERT_EQ(watched.erase(event->watch), 1u);
  }
  EXPECT_FALSE(watcher.await(kQuiet));
  EXPECT_TRUE(has_watches(scene, 0));
}

TEST(Watch, BeyondItsBoundAClientIsRefusedUntilSomeOfItsWatchesGo) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  const std::uint64_t first = watcher.watch(question);
  std::uint64_t number = 0;
  for (int i = 1; i < 65'536; ++i)
    ASSERT_EQ(authcache_watch(watcher.client.handle(), &watcher.client.identity(), 0, &number), AUTHCACHE_OK);
  EXPECT_EQ(authcache_watch(watcher.client.handle(), &watcher.client.identity(), 0, &number),
            AUTHCACHE_ERROR_UNAVAILABLE);
  EXPECT_EQ(number, 0u);
  EXPECT_TRUE(eventually([&] {
    EXPECT_FALSE(watcher.next());
    return scene.daemon.stat("daemon", "watches") == 65'536;
  }));
  EXPECT_EQ(authcache_unwatch(watcher.client.handle(), first), AUTHCACHE_OK);
  watcher.watch(question);
  EXPECT_FALSE(watcher.await(kQuiet));
  EXPECT_EQ(scene.daemon.stat("daemon", "watches_refused"), 0);
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  for (int i = 0; i < 65'536; ++i) ASSERT_TRUE(watcher.await()) << i;
  EXPECT_FALSE(watcher.await(kQuiet));
}

TEST(Watch, WhatIsUnwatchedIsNotTold) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  const std::uint64_t gone = watcher.watch(question, 1), fetched = watcher.watch(question, 2),
                      kept = watcher.watch(question, 3);
  watcher.settle();
  EXPECT_EQ(authcache_unwatch(watcher.client.handle(), gone), AUTHCACHE_OK);
  EXPECT_EQ(authcache_unwatch(watcher.client.handle(), gone), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_TRUE(has_watches(scene, 2));
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  const auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->watch, fetched);
  // Ended, and not fetched yet: what is unwatched now does not come any more.
  EXPECT_EQ(authcache_unwatch(watcher.client.handle(), kept), AUTHCACHE_OK);
  EXPECT_FALSE(watcher.await(kQuiet));
  EXPECT_EQ(authcache_unwatch(watcher.client.handle(), fetched), AUTHCACHE_ERROR_NOT_FOUND);
}

TEST(Watch, TheWatchesOfAClientThatIsGoneAreGone) {
  Scene scene;
  scene.start();
  auto watcher = std::make_unique<Watcher>(scene);
  watcher->watch(session(scene.create_session()));
  EXPECT_TRUE(has_watches(scene, 1));
  watcher.reset();
  EXPECT_TRUE(has_watches(scene, 0));
}

TEST(Watch, ARecordThatEndedBeforeItWasWatchedIsToldAtOnce) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  ASSERT_EQ(watcher.client.validate(question), "valid");
  const authcache_identity identity = watcher.client.identity();
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  std::uint64_t number = 0;
  ASSERT_EQ(authcache_watch(watcher.client.handle(), &identity, 7, &number), AUTHCACHE_OK);
  auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, "miss");
  EXPECT_EQ(event->data, 7u);
  // By now the daemon remembers that it is revoked, and says so.
  ASSERT_EQ(watcher.client.validate(question), "invalid/revoked");
  ASSERT_EQ(authcache_watch(watcher.client.handle(), &identity, 8, &number), AUTHCACHE_OK);
  event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, "invalid/revoked");
}

TEST(Watch, FramesThatNoLibrarySendsEndTheirConnectionAndNothingElse) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  watcher.watch(question);
  namespace wire = authcache::shm::wire;
  const auto& key = watcher.client.identity().key;
  const std::string payload(reinterpret_cast<const char*>(key), sizeof key);
  std::string watch, long_watch, short_watch, long_unwatch, ended;
  wire::append_frame(watch, wire::Type::kWatch, 5, payload);
  wire::append_frame(long_watch, wire::Type::kWatch, 5, payload + "x");
  wire::append_frame(short_watch, wire::Type::kWatch, 5, payload.substr(1));
  wire::append_frame(long_unwatch, wire::Type::kUnwatch, 5, "x");
  wire::append_watch_ended(ended, 5, {authcache::shm::Verdict::kInvalid, authcache::shm::Reason::kRevoked});
  for (const std::string& bytes : {watch + watch, long_watch, short_watch, watch + long_unwatch, ended}) {
    RawConnection raw(scene.daemon.runtime_dir() / "authcached.sock");
    ASSERT_TRUE(raw.send(bytes));
    const auto answer = raw.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->head.type, wire::Type::kError);
    EXPECT_EQ(answer->head.request_id, 5u);
    EXPECT_TRUE(raw.is_closed());
  }
  EXPECT_TRUE(has_watches(scene, 1)) << "theirs went with their connections";
  EXPECT_FALSE(watcher.await(kQuiet));
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  EXPECT_EQ(watcher.awaited(), "invalid/revoked");
}

// What a child does with the client that it inherited; the exit status says which step failed.
[[noreturn]] void live_as_child(Watcher& watcher, const Question& question) {
  if (watcher.next()) ::_exit(2);
  if (authcache_watch_fd(watcher.client.handle()) < 0) ::_exit(3);
  const std::uint64_t number = watcher.watch(question, 99);
  if (number == 0) ::_exit(4);
  if (watcher.await(kQuiet)) ::_exit(5);
  if (authcache_unwatch(watcher.client.handle(), number) != AUTHCACHE_OK) ::_exit(6);
  authcache_close(watcher.client.handle());
  ::_exit(0);
}

TEST(Watch, AForkedChildBeginsWithoutWatchesAndItsParentKeepsItsOwn) {
  Scene scene;
  scene.start();
  Watcher watcher(scene);
  const Question question = session(scene.create_session());
  const std::uint64_t number = watcher.watch(question, 1);
  watcher.settle();
  const int fd = authcache_watch_fd(watcher.client.handle());
  for (int round = 0; round < 2; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) live_as_child(watcher, question);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_FALSE(watcher.await(kQuiet));
  EXPECT_EQ(authcache_watch_fd(watcher.client.handle()), fd);
  EXPECT_TRUE(has_watches(scene, 1)) << "the parent's, and none of the children's";
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  const auto event = watcher.await();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->watch, number);
}

// A child that never touches the client holds copies of its parent's descriptors all the same.
TEST(Watch, AParentThatClosesWhileItsChildLivesIsGoneForTheDaemon) {
  Scene scene;
  scene.start();
  auto watcher = std::make_unique<Watcher>(scene);
  watcher->watch(session(scene.create_session()));
  EXPECT_TRUE(has_watches(scene, 1));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  watcher.reset();
  EXPECT_TRUE(has_watches(scene, 0));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace authcache_test
