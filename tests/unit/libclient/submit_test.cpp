// Questions for event loops: answered once, by what is true at the moment of collecting; bounds, threads,
// fork. The real daemon is met in tests/process.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "tests/unit/libclient/submit_fixture.hpp"

namespace authcache::client_test {
namespace {

TEST_F(Submit, WhatSharedMemoryKnowsIsDecidedAtOnceAndAsksNobody) {
  admit_one("known");
  std::uint64_t number = 7;
  EXPECT_EQ(submit("known", 1, kTimeoutMs, &number), "valid");
  EXPECT_EQ(number, 0u);
  EXPECT_EQ(submit(""), "invalid/malformed");
  EXPECT_TRUE(collect().empty());
}

TEST_F(Submit, AMissIsAnsweredByCollectWithItsNumberAndTheCallersData) {
  FakeDaemon daemon(dir_.path(), proves());
  std::uint64_t number = 0;
  ASSERT_EQ(submit("token", 0xdead'beef'0000'0001, kTimeoutMs, &number), "miss");
  EXPECT_NE(number, 0u);
  const Came came = await();
  EXPECT_EQ(came.what, "valid");
  EXPECT_EQ(came.answer.question, number);
  EXPECT_EQ(came.answer.data, 0xdead'beef'0000'0001);
  EXPECT_EQ(text(*client_, came.answer.identity, AUTHCACHE_FIELD_SUBJECT), "alice");
  EXPECT_TRUE(collect().empty()) << "once";
  EXPECT_EQ(submit("token"), "valid") << "a hit from now on";
  EXPECT_EQ(daemon.questions, 1);
}

TEST_F(Submit, MisuseIsAUsageErrorAndAsksNothing) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(submit("token", 0, -1), "usage_error");
  EXPECT_EQ(authcache_submit(nullptr, "t", 1, requirement_, 1, 0, nullptr, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_submit(client_->get(), nullptr, 1, requirement_, 1, 0, nullptr, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_submit(client_->get(), "t", 1, nullptr, 1, 0, nullptr, nullptr), AUTHCACHE_ERROR_USAGE);
  OpenClient other(dir_.path());
  EXPECT_EQ(authcache_submit(client_->get(), "t", 1, other.requirement(), 1, 0, nullptr, nullptr),
            AUTHCACHE_ERROR_USAGE);
  identity.size = 8;
  EXPECT_EQ(authcache_submit(client_->get(), "t", 1, requirement_, 1, 0, nullptr, &identity),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_fd(nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_cancel(nullptr, 1), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_cancel(client_->get(), 1), AUTHCACHE_ERROR_NOT_FOUND);
  authcache_answer answer = AUTHCACHE_ANSWER_INIT;
  EXPECT_EQ(authcache_collect(nullptr, &answer, 1), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_collect(client_->get(), nullptr, 1), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_collect(client_->get(), nullptr, 0), 0);
  answer.size = 8;
  EXPECT_EQ(authcache_collect(client_->get(), &answer, 1), AUTHCACHE_ERROR_USAGE);
}

// D7: "the SDK passes it through the hit check before returning it, in collect too"
TEST_F(Submit, D7_WhatIsRevokedBetweenTheReplyAndCollectIsNotValid) {
  std::atomic<bool> revoked{false};
  std::atomic<int> replied{0};
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(
            reply_bytes(head.request_id, revoked ? reply_for(token, Verdict::kInvalid, Reason::kRevoked)
                                                 : valid_at(token, admit_one(token))));
        ++replied;
      });
  ASSERT_EQ(asked("greeted"), "valid");
  for (const std::string token : {"collected", "in-the-library", "on-the-socket"}) {
    ASSERT_EQ(submit(token), "miss");
    // Both of the first two are there when one is collected, so that the other one's reply is in the library
    // then.
    if (token == "collected") continue;
    while (replied < (token == "in-the-library" ? 3 : 4)) std::this_thread::yield();
    if (token == "in-the-library") {
      ASSERT_EQ(await().what, "valid");
    }
  }
  revoked = true;
  kill_one("in-the-library", SlotState::kRevoked);
  kill_one("on-the-socket", SlotState::kRevoked);
  EXPECT_EQ(await().what, "invalid/revoked");
  EXPECT_EQ(await().what, "invalid/revoked");
  EXPECT_EQ(daemon.questions, 6);
}

TEST_F(Submit, ARecordThatMovedIsFoundAtTheSecondAnswer) {
  std::atomic<int> count{0};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const Place place = admit_one(token);
                      if (count++ == 0) kill_one(token, SlotState::kEvicted);
                      connection.send(reply_bytes(head.request_id, valid_at(token, place)));
                    });
  EXPECT_EQ(asked("token"), "valid");
  EXPECT_EQ(count, 2);
}

TEST_F(Submit, ARecordThatIsAlwaysGoneIsAskedForThreeTimesAtMost) {
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const Place place = admit_one(token);
                      kill_one(token, SlotState::kRevoked);
                      connection.send(reply_bytes(head.request_id, valid_at(token, place)));
                    });
  EXPECT_EQ(asked("token"), "unavailable/overloaded");
  EXPECT_EQ(daemon.questions, 3);
}

TEST_F(Submit, TheRequirementIsEvaluatedOnAReplyAndMayBeFreedBefore) {
  FakeDaemon daemon(dir_.path(), proves());
  authcache_requirement* strict = nullptr;
  ASSERT_EQ(authcache_requirement_create(client_->get(), "main", &strict), AUTHCACHE_OK);
  ASSERT_EQ(authcache_requirement_add_scope(strict, "admin"), AUTHCACHE_OK);
  ASSERT_EQ(submit("token", 0, kTimeoutMs, nullptr, strict), "miss");
  authcache_requirement_free(strict);
  EXPECT_EQ(await().what, "forbidden/scope");
}

TEST_F(Submit, ABoundRequirementsStorageMayGoBeforeTheAnswer) {
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::lock_guard lock(writing_);
        const std::string token = token_in(payload);
        const Place place =
            admit(writer_, kMainId, token, {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'k')});
        connection.send(reply_bytes(head.request_id, valid_at(token, place)));
      });
  for (const char key : {'k', 'x'}) {
    auto bound = std::make_unique<authcache_bound_requirement>();
    const authcache_thumbprint proved = thumbprint(AUTHCACHE_THUMBPRINT_JKT, key);
    ASSERT_EQ(authcache_requirement_bind(requirement_, &proved, bound.get()), AUTHCACHE_OK);
    ASSERT_EQ(submit(std::string("token-") + key, 0, kTimeoutMs, nullptr, &bound->requirement), "miss");
    std::memset(bound.get(), 0xff, sizeof *bound);
    bound.reset();
    EXPECT_EQ(await().what, key == 'k' ? "valid" : "forbidden/confirmation_required");
  }
  EXPECT_EQ(asked("unbound"), "forbidden/confirmation_required");
}

TEST_F(Submit, OtherVerdictsComeWithTheirReasons) {
  FakeDaemon daemon(dir_.path(),
                    [](FakeConnection& connection, const Head& head, const std::string& payload) {
                      ValidateReply reply = reply_for(token_in(payload), Verdict::kInvalid, Reason::kUnknown);
                      if (token_in(payload) == "busy") {
                        reply = {};
                        reply.reason = Reason::kOverBudget;
                      }
                      connection.send(reply_bytes(head.request_id, reply));
                    });
  EXPECT_EQ(asked("token"), "invalid/unknown");
  EXPECT_EQ(asked("busy"), "unavailable/over_budget");
  EXPECT_EQ(daemon.connects, 1);
}

TEST_F(Submit, EachQuestionHasItsOwnTimeout) {
  FakeDaemon daemon(dir_.path(), say_nothing);
  ASSERT_EQ(submit("long", 1, 300), "miss");
  ASSERT_EQ(submit("short", 2, 30), "miss");
  ASSERT_EQ(submit("later", 3, kTimeoutMs), "miss");
  EXPECT_EQ(await().answer.data, 2u);
  EXPECT_EQ(await().answer.data, 1u);
  EXPECT_EQ(await(kShortMs).what, "nothing");
}

TEST_F(Submit, AReplyThatIsThereIsTheAnswerHoweverLateItIsCollected) {
  std::atomic<int> replied{0};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      refuse(connection, head, payload);
                      ++replied;
                    });
  ASSERT_EQ(asked("greeted"), "invalid/unknown");
  ASSERT_EQ(submit("token", 0, kShortMs), "miss");
  while (replied < 2) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(2 * kShortMs));
  EXPECT_EQ(await().what, "invalid/unknown");
}

TEST_F(Submit, WhatIsCancelledIsNotAnswered) {
  FakeDaemon daemon(dir_.path(), proves());
  std::uint64_t unsent = 0, ended = 0, kept = 0;
  ASSERT_EQ(submit("unsent", 1, kTimeoutMs, &unsent), "miss");
  EXPECT_EQ(authcache_cancel(client_->get(), unsent), AUTHCACHE_OK) << "not greeted yet";
  EXPECT_EQ(authcache_cancel(client_->get(), unsent), AUTHCACHE_ERROR_NOT_FOUND);
  ASSERT_EQ(submit("ended", 2, kTimeoutMs, &ended), "miss");
  ASSERT_EQ(submit("first", 3, kTimeoutMs, &kept), "miss");
  serve_until(daemon, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Came came = await();
  EXPECT_EQ(came.answer.data, 2u);
  EXPECT_EQ(authcache_cancel(client_->get(), kept), AUTHCACHE_OK) << "its reply is there, and not collected";
  EXPECT_TRUE(collect().empty());
  EXPECT_FALSE(readable(0));
  EXPECT_EQ(authcache_cancel(client_->get(), ended), AUTHCACHE_ERROR_NOT_FOUND) << "collected";
  EXPECT_EQ(daemon.questions, 2) << "the cancelled one was never asked";
}

TEST_F(Submit, TenThousandAreInFlightAndOneMoreIsRefusedUntilSomeAreCollectedOrCancelled) {
  FakeDaemon daemon(dir_.path(), say_nothing);
  std::uint64_t number = 0;
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(submit("token-" + std::to_string(i), 0, kTimeoutMs, &number), "miss") << i;
  }
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  std::uint64_t none = 9;
  EXPECT_EQ(authcache_submit(client_->get(), "more", 4, requirement_, kTimeoutMs, 0, &none, &identity),
            AUTHCACHE_ERROR_UNAVAILABLE);
  EXPECT_EQ(none, 0u);
  EXPECT_NE(client_->last_error().find("in flight"), std::string::npos);
  EXPECT_EQ(authcache_cancel(client_->get(), number), AUTHCACHE_OK);
  EXPECT_EQ(submit("more", 0, kTimeoutMs), "miss");
}

TEST_F(Submit, AnswersThatAreTakenOneAtATimeKeepTheDescriptorReadable) {
  FakeDaemon daemon(dir_.path(), refuse);
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_EQ(submit("token-" + std::to_string(i), i), "miss");
  serve_until(daemon, 5);
  for (int left = 5; left > 0;) {
    ASSERT_TRUE(readable(kPatienceMs)) << left;
    left -= static_cast<int>(collect(1).size());
  }
  EXPECT_TRUE(collect().empty());
  EXPECT_FALSE(readable(kShortMs));
}

// Edge-triggered, a program is told once and then asks until nothing is left.
TEST_F(Submit, AnEdgeTriggeredLoopThatCollectsUntilNothingIsLeftMissesNothing) {
  FakeDaemon daemon(dir_.path(), refuse);
  const shm::UniqueFd loop(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
  ASSERT_EQ(::epoll_ctl(loop.get(), EPOLL_CTL_ADD, authcache_fd(client_->get()), &event), 0);
  std::size_t submitted = 0, answered = 0;
  while (answered < 2'000) {
    while (submitted < 2'000 && submitted < answered + 300)
      ASSERT_EQ(submit("token-" + std::to_string(submitted++)), "miss");
    epoll_event ready{};
    ASSERT_EQ(::epoll_wait(loop.get(), &ready, 1, kPatienceMs), 1) << answered;
    for (auto came = collect(7); !came.empty(); came = collect(7)) answered += came.size();
  }
}

TEST_F(Submit, ANewerGenerationInAReplyIsAttachedUnlessThatIsForbidden) {
  auto successor = make_table(dir_.path(), 101);
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        const std::lock_guard lock(writing_);
        connection.send(reply_bytes(head.request_id, valid_at(token, admit(successor, kMainId, token))));
      });
  ASSERT_EQ(submit("token"), "miss");
  const Came came = await();
  EXPECT_EQ(came.what, "valid");
  EXPECT_EQ(came.answer.identity.generation, 101u);
}

TEST(SubmitWithNoReattach, AnswersOnlyFromTheTableThatIsAttached) {
  TempDir dir;
  auto writer = make_table(dir.path(), 100);
  OpenClient client(dir.path(), AUTHCACHE_NO_REATTACH);
  auto* requirement = client.requirement();
  auto successor = make_table(dir.path(), 101);
  FakeDaemon daemon(
      dir.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(reply_bytes(head.request_id, valid_at(token, admit(successor, kMainId, token))));
      });
  EXPECT_EQ(validated(client, "one", requirement, kTimeoutMs), "unavailable/overloaded")
      << "as validate says it";
  ASSERT_EQ(authcache_submit(client.get(), "two", 3, requirement, kTimeoutMs, 0, nullptr, nullptr),
            AUTHCACHE_MISS);
  authcache_answer answer = AUTHCACHE_ANSWER_INIT;
  int count = 0;
  while (count == 0) {
    pollfd entry{authcache_fd(client.get()), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, kPatienceMs), 1);
    count = authcache_collect(client.get(), &answer, 1);
  }
  EXPECT_EQ(outcome(answer.verdict, answer.identity), "unavailable/overloaded");
  ASSERT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client, "two", requirement), "valid");
}

TEST(SubmitWithoutATable, TheFirstAnswerAttaches) {
  TempDir dir;
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  ASSERT_EQ(looked_up(client, "token", requirement), "unavailable/no_table");
  auto writer = make_table(dir.path(), 7);
  FakeDaemon daemon(
      dir.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(reply_bytes(head.request_id, valid_at(token, admit(writer, kMainId, token))));
      });
  ASSERT_EQ(authcache_submit(client.get(), "token", 5, requirement, kTimeoutMs, 0, nullptr, nullptr),
            AUTHCACHE_MISS);
  authcache_answer answer = AUTHCACHE_ANSWER_INIT;
  int count = 0;
  while (count == 0) {
    pollfd entry{authcache_fd(client.get()), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, kPatienceMs), 1);
    count = authcache_collect(client.get(), &answer, 1);
  }
  EXPECT_EQ(answer.verdict, AUTHCACHE_VALID);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(Submit, AClientThatSubmittedNothingMakesNoDescriptorAndACloseGivesAllBack) {
  FakeDaemon daemon(dir_.path(), say_nothing);
  const std::size_t before = open_descriptors();
  EXPECT_TRUE(collect().empty());
  EXPECT_EQ(authcache_cancel(client_->get(), 1), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_EQ(open_descriptors(), before);
  ASSERT_EQ(submit("token"), "miss");
  EXPECT_GT(open_descriptors(), before);
  client_.reset();  // with a question in flight
  // The daemon's end of the connection closes with the daemon.
  EXPECT_LE(open_descriptors(), before + 1);
}

// As a program does it that becomes a daemon, and then opens files of its own under the same numbers.
TEST_F(Submit, NumbersThatTheProgramGaveToOthersAreLeftAloneAndTheQuestionGoesOn) {
  std::atomic<bool> answers{false};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      if (answers) refuse(connection, head, payload);
                    });
  ASSERT_EQ(submit("token"), "miss");
  serve_until(daemon, 1);
  const int polled = authcache_fd(client_->get());
  const int theirs = ::epoll_create1(EPOLL_CLOEXEC);
  ASSERT_EQ(::dup2(theirs, polled), polled);
  ::close(theirs);
  answers = true;
  EXPECT_NE(authcache_fd(client_->get()), polled);
  EXPECT_EQ(await().what, "invalid/unknown");
  client_.reset();
  EXPECT_GE(::fcntl(polled, F_GETFD), 0) << "not closed";
  ::close(polled);
}

TEST_F(Submit, AChildBeginsWithoutQuestionsAndAsksItsOwnOverItsOwnConnection) {
  std::atomic<bool> answers{false};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      if (answers || token == "child's") refuse(connection, head, payload);
                      if (token == "wake") {
                        answers = true;
                        connection.send("");
                      }
                    });
  std::uint64_t number = 0;
  ASSERT_EQ(submit("parent's", 1, kTimeoutMs, &number), "miss");
  serve_until(daemon, 1);
  const int fd = authcache_fd(client_->get());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!collect().empty()) ::_exit(2);
    if (authcache_cancel(client_->get(), number) != AUTHCACHE_ERROR_NOT_FOUND) ::_exit(3);
    if (submit("child's", 2) != "miss") ::_exit(4);
    const Came came = await();
    if (came.what != "invalid/unknown" || came.answer.data != 2) ::_exit(5);
    if (!collect().empty()) ::_exit(6);
    authcache_close(client_->get());
    ::_exit(0);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  EXPECT_EQ(daemon.connects, 2);
  answers = true;
  ASSERT_EQ(submit("wake", 3), "miss");
  EXPECT_EQ(await().answer.data, 3u);
  EXPECT_EQ(authcache_fd(client_->get()), fd) << "its child left the parent's descriptors as they were";
  EXPECT_EQ(authcache_cancel(client_->get(), number), AUTHCACHE_OK) << "still in flight";
}

// Each question has a requirement of its own, freed while some other thread may be judging its answer.
TEST_F(Submit, ManyThreadsSubmitCancelAndCollectAndEachQuestionIsAnsweredOnceOrCancelled) {
  FakeDaemon daemon(dir_.path(), proves());
  constexpr std::uint64_t kThreads = 4, kEach = 300;
  std::vector<std::atomic<int>> ends(kThreads * kEach);
  std::atomic<std::uint64_t> ended{0};
  const auto take = [&] {
    authcache_answer answers[8] = {AUTHCACHE_ANSWER_INIT};
    const int count = authcache_collect(client_->get(), answers, 8);
    ASSERT_GE(count, 0);
    for (int i = 0; i < count; ++i) ++ends[answers[i].data], ++ended;
  };
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const std::string token = std::to_string(t) + "-" + std::to_string(i);
        std::uint64_t number = 0;
        authcache_requirement* needs = nullptr;
        ASSERT_EQ(authcache_requirement_create(client_->get(), "main", &needs), AUTHCACHE_OK);
        ASSERT_EQ(authcache_submit(client_->get(), token.data(), token.size(), needs, kTimeoutMs,
                                   t * kEach + i, &number, nullptr),
                  AUTHCACHE_MISS);
        authcache_requirement_free(needs);
        if (i % 3 == 0 && authcache_cancel(client_->get(), number) == AUTHCACHE_OK)
          ++ends[t * kEach + i], ++ended;
        take();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  while (ended < kThreads * kEach && readable(kPatienceMs)) take();
  for (const auto& each : ends) EXPECT_EQ(each, 1);
}

}  // namespace
}  // namespace authcache::client_test
