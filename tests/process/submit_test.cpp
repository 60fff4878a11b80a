// Questions of an event loop against the real daemon: submitted, polled for and collected as a server does
// it, through everything that happens to a daemon and to a token meanwhile.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <set>

#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

constexpr auto kAgain = DaemonProcess::First::kNo;
constexpr const char* kNoBudget = "misses_per_second_per_uid = 10_000_000\nmiss_burst_per_uid = 10_000_000\n";
constexpr std::uint64_t kMany = 10'000;
constexpr milliseconds kQuiet{150};

std::string words(int verdict, const authcache_identity& identity) {
  const std::string reason = verdict < 0 ? "" : authcache_reason_name(identity.reason);
  return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
}

struct Came {
  std::string what;
  std::uint64_t data = 0;
  std::uint64_t number = 0;
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
};

// A loop with one client.
class Loop {
 public:
  explicit Loop(const Scene& scene) : client(scene.daemon.runtime_dir()) {}

  // "miss": asked. Else what was decided at once.
  std::string submit(const Question& question, std::uint64_t data = 0, std::uint64_t* number = nullptr) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    const int verdict =
        authcache_submit(client.handle(), question.token.data(), question.token.size(),
                         client.requirement(question), question.timeout_ms, data, number, &identity);
    return words(verdict, identity);
  }
  [[nodiscard]] bool readable(milliseconds within) {
    pollfd entry{authcache_fd(client.handle()), POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(within.count())) == 1;
  }
  std::vector<Came> collect(std::size_t n) {
    std::vector<authcache_answer> answers(n);
    answers[0] = AUTHCACHE_ANSWER_INIT;
    const int count = authcache_collect(client.handle(), answers.data(), n);
    EXPECT_GE(count, 0) << authcache_last_error(client.handle());
    std::vector<Came> came;
    for (int i = 0; i < count; ++i) {
      const authcache_answer& each = answers[static_cast<std::size_t>(i)];
      came.push_back({words(each.verdict, each.identity), each.data, each.question, each.identity});
    }
    return came;
  }
  // Waits for the descriptor and takes what is there, until `count` answers have come or nothing comes for
  // long.
  std::vector<Came> await(std::size_t count, milliseconds within = kPatience) {
    std::vector<Came> all;
    const auto end = std::chrono::steady_clock::now() + within;
    while (all.size() < count && std::chrono::steady_clock::now() < end) {
      if (!readable(milliseconds(20))) continue;
      for (Came& each : collect(std::min<std::size_t>(64, count - all.size())))
        all.push_back(std::move(each));
    }
    return all;
  }
  std::string asked(const Question& question) {
    if (const std::string at_once = submit(question); at_once != "miss") return "at once " + at_once;
    const auto came = await(1);
    return came.empty() ? "nothing" : came[0].what;
  }

  Client client;
};

// Of each data once: how often each outcome came.
std::map<std::string, std::size_t> tally(const std::vector<Came>& all) {
  std::map<std::string, std::size_t> counts;
  std::set<std::uint64_t> seen;
  for (const Came& each : all) {
    EXPECT_TRUE(seen.insert(each.data).second) << "answered twice";
    ++counts[each.what];
  }
  return counts;
}
using Tally = std::map<std::string, std::size_t>;

TEST(Submit, VerdictsAndIdentitiesAreThoseOfValidate) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  Client other(scene.daemon.runtime_dir());
  Question lacking = api(scene.issuer.es256()), elsewhere = api(scene.issuer.es256());
  lacking.scope = "admin";
  elsewhere.audience = "https://else.example";
  const std::vector<Question> questions = {
      api(scene.issuer.es256()),
      api(scene.issuer.rs256()),
      session(scene.create_session()),
      session(random_token()),
      lacking,
      elsewhere,
      api("a.b.c"),
      api(std::string(17'000, 'a')),
      api(scene.issuer.es256(scene.issuer.claims().number("exp", now_seconds() - 600))),
      {.profile = "nobody's", .token = "token"}};
  for (const Question& question : questions) {
    std::string said = loop.asked(question);
    if (said.starts_with("at once ")) said.erase(0, 8);
    EXPECT_EQ(said, other.validate(question)) << question.profile << " " << question.token.substr(0, 20);
  }
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  ASSERT_EQ(loop.submit(questions[2], 5), "miss");
  const auto came = loop.await(1);
  ASSERT_EQ(came.size(), 1u);
  char subject[64];
  ASSERT_GT(authcache_identity_text(loop.client.handle(), &came[0].identity, AUTHCACHE_FIELD_SUBJECT, subject,
                                    sizeof subject),
            0);
  EXPECT_STREQ(subject, "alice");
}

// The daemon stands still while they are submitted: nothing of it may make the loop wait.
TEST(Submit, B14_TenThousandOfOneTokenFromOneLoopAreOneQuestionToTheUpstream) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  ASSERT_EQ(loop.asked(session(random_token())), "invalid/unknown") << "connected and greeted";
  const std::int64_t asked = scene.daemon.stat("daemon", "upstream_questions");
  const Question question = api(scene.issuer.rs256());
  scene.daemon.suspend();
  for (std::uint64_t i = 0; i < kMany; ++i) ASSERT_EQ(loop.submit(question, i), "miss") << i;
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(authcache_submit(loop.client.handle(), "x", 1, loop.client.requirement(question), 1'000, 0,
                             nullptr, &identity),
            AUTHCACHE_ERROR_UNAVAILABLE);
  scene.daemon.resume();
  EXPECT_EQ(tally(loop.await(kMany)), (Tally{{"valid", kMany}}));
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), asked + 1);
  EXPECT_GT(scene.daemon.stat("daemon", "coalesced"), 0);
}

TEST(Submit, TenThousandDifferentTokensAreInFlightFromOneLoopAndEachIsAnsweredOnce) {
  Scene scene({.capacity = 20'000, .limits = std::string(kNoBudget) + "flights = 20_000\n"});
  scene.start();
  Loop loop(scene);
  std::vector<std::string> tokens;
  for (int i = 0; i < 9; ++i) {
    for (std::string& token : scene.create_sessions(1'000)) tokens.push_back(std::move(token));
  }
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  while (tokens.size() < kMany) tokens.push_back(random_token());
  for (std::uint64_t i = 0; i < kMany; ++i) ASSERT_EQ(loop.submit(session(tokens[i]), i), "miss") << i;
  const auto all = loop.await(kMany);
  EXPECT_EQ(tally(all), (Tally{{"valid", 9'000}, {"invalid/unknown", 1'000}}));
  for (const Came& each : all) EXPECT_EQ(each.what == "valid", each.data < 9'000);
  EXPECT_FALSE(loop.readable(kQuiet));
  EXPECT_EQ(scene.daemon.stat("daemon", "connections"), 2) << "one for all of them, and authctl's";
}

TEST(Submit, QuestionsThatAreCancelledAtAnyMomentAreNotAnsweredAndTheOthersAre) {
  Scene scene({.limits = kNoBudget});
  scene.start();
  Loop loop(scene);
  std::set<std::uint64_t> cancelled, answered;
  constexpr std::uint64_t kQuestions = 3'000;
  for (std::uint64_t i = 0; i < kQuestions; ++i) {
    std::uint64_t number = 0;
    ASSERT_EQ(loop.submit(session(random_token()), i, &number), "miss");
    // Some at once, some after a round of the loop, which may have brought the answer already.
    if (i % 3 == 1) {
      for (const Came& each : loop.collect(8)) EXPECT_TRUE(answered.insert(each.data).second);
    }
    if (i % 3 == 2) continue;
    if (authcache_cancel(loop.client.handle(), number) == AUTHCACHE_OK) cancelled.insert(i);
    ASSERT_NE(cancelled.contains(i), answered.contains(i));
  }
  for (const Came& each : loop.await(kQuestions - cancelled.size() - answered.size()))
    EXPECT_TRUE(answered.insert(each.data).second);
  for (const std::uint64_t each : cancelled) EXPECT_FALSE(answered.contains(each)) << each;
  EXPECT_EQ(answered.size() + cancelled.size(), kQuestions);
  EXPECT_TRUE(loop.await(1, kQuiet).empty());
}

TEST(Submit, ATimeoutIsTheQuestionsOwnAndTheFlightGoesOn) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  Question brief = session(scene.create_session()), patient = brief;
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  brief.timeout_ms = 100;
  scene.daemon.suspend();
  ASSERT_EQ(loop.submit(brief, 1), "miss");
  ASSERT_EQ(loop.submit(patient, 2), "miss");
  auto came = loop.await(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].what, "unavailable/timeout");
  EXPECT_EQ(came[0].data, 1u);
  scene.daemon.resume();
  came = loop.await(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].what, "valid");
  EXPECT_EQ(came[0].data, 2u);
  EXPECT_EQ(loop.submit(brief), "valid");
  EXPECT_TRUE(loop.await(1, kQuiet).empty());
}

// D7: the daemon proved both and its replies were taken off the socket. What was acknowledged as revoked
// before collect began is not valid, whatever the reply says.
TEST(Submit, D7_ARevocationBetweenTheReplyAndCollectIsNeverValid) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  for (int round = 0; round < 20; ++round) {
    const auto tokens = scene.create_sessions(3);
    ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
    const std::int64_t before = scene.daemon.stat("daemon", "misses");
    for (std::uint64_t i = 0; i < 3; ++i) ASSERT_EQ(loop.submit(session(tokens[i]), i), "miss");
    // Served without taking an answer, until all are replied to; two rounds later at most they are in the
    // library.
    ASSERT_TRUE(eventually([&] {
      EXPECT_EQ(authcache_collect(loop.client.handle(), nullptr, 0), 0);
      return scene.daemon.stat("daemon", "misses") == before + 3;
    }));
    Client other(scene.daemon.runtime_dir());
    ASSERT_TRUE(eventually([&] { return other.lookup(session(tokens[2])) == "valid"; }));
    const auto first = loop.await(1);
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].what, "valid");
    const Ran revoke = round % 2 == 0 ? scene.daemon.authctl({"revoke", "--subject", "alice"})
                                      : scene.daemon.authctl({"revoke", "--everything"});
    ASSERT_EQ(revoke.exit, 0) << revoke.err;
    for (const Came& each : loop.await(2))
      EXPECT_EQ(each.what, "invalid/revoked") << round << " " << each.data;
  }
}

TEST(Submit, WhatADaemonThatIsKilledLeavesUnansweredItsSuccessorAnswers) {
  Scene scene({.limits = kNoBudget});
  scene.start();
  Loop loop(scene);
  const auto tokens = scene.create_sessions(200);
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  ASSERT_EQ(loop.asked(session(random_token())), "invalid/unknown");
  const int fd = authcache_fd(loop.client.handle());
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
    scene.daemon.suspend();
    for (std::uint64_t i = 0; i < tokens.size(); ++i) {
      Question question = session(tokens[i]);
      if (i == 0) question.timeout_ms = 200;
      ASSERT_EQ(loop.submit(question, i), "miss");
    }
    scene.daemon.kill();
    // The loop serves its descriptor all the time: it is told that the daemon is gone, and of the one
    // deadline.
    const auto gone = loop.await(1);
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_EQ(gone[0].what, "unavailable/daemon_unreachable");
    EXPECT_EQ(gone[0].data, 0u);
    EXPECT_EQ(loop.submit(session(random_token())), "unavailable/daemon_unreachable") << "nobody serves now";
    scene.start(kAgain);
    EXPECT_EQ(tally(loop.await(tokens.size() - 1)), (Tally{{"valid", tokens.size() - 1}}));
    EXPECT_EQ(authcache_fd(loop.client.handle()), fd);
  }
}

TEST(Submit, ATokenThatIsRevokedWhileTheDaemonIsDownIsNotValidWhenItIsBack) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  const Question question = session(scene.create_session());
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  ASSERT_EQ(loop.asked(session(random_token())), "invalid/unknown");
  scene.daemon.suspend();
  ASSERT_EQ(loop.submit(question), "miss");
  scene.daemon.kill();
  scene.start(kAgain);
  // The loop has not been served: it asks again only from here on.
  ASSERT_EQ(scene.daemon.revoke(question.token).exit, 0);
  const auto came = loop.await(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].what, "invalid/revoked");
}

TEST(Submit, ALargerTableIsFollowedInTheMiddle) {
  Scene scene({.heartbeat_timeout = "1s", .limits = kNoBudget});
  scene.start();
  Loop loop(scene);
  const std::uint64_t before = loop.client.generation();
  scene.settings.capacity = 20'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  // The replies name the new generation: no lookup has to meet a retired table first.
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(loop.asked(session(random_token())), "invalid/unknown");
    return loop.client.generation() != before;
  }));
  const Question question = api(scene.issuer.es256());
  EXPECT_EQ(loop.asked(question), "valid");
  EXPECT_EQ(loop.submit(question), "valid");
}

[[noreturn]] void live_as_child(Loop& loop, std::uint64_t parents, const Question& own) {
  if (!loop.collect(4).empty()) ::_exit(2);
  if (authcache_cancel(loop.client.handle(), parents) != AUTHCACHE_ERROR_NOT_FOUND) ::_exit(3);
  if (loop.submit(own, 99) != "miss") ::_exit(4);
  const auto came = loop.await(1);
  if (came.size() != 1 || came[0].what != "valid" || came[0].data != 99) ::_exit(5);
  if (!loop.await(1, kQuiet).empty()) ::_exit(6);
  authcache_close(loop.client.handle());
  ::_exit(0);
}

TEST(Submit, AForkedChildHasItsOwnQuestionsAndItsParentsAnswersComeToTheParent) {
  Scene scene;
  scene.start();
  Loop loop(scene);
  const auto tokens = scene.create_sessions(2);
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  ASSERT_EQ(loop.asked(session(random_token())), "invalid/unknown");
  scene.daemon.suspend();
  std::uint64_t number = 0;
  ASSERT_EQ(loop.submit(session(tokens[0]), 1, &number), "miss");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) live_as_child(loop, number, session(tokens[1]));
  scene.daemon.resume();
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  const auto came = loop.await(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].what, "valid");
  EXPECT_EQ(came[0].data, 1u);
  EXPECT_EQ(came[0].number, number);
  EXPECT_EQ(loop.asked(session(random_token())), "invalid/unknown") << "its connection is its own still";
}

}  // namespace
}  // namespace authcache_test
