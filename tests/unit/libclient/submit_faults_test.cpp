// Questions for event loops against a daemon that misbehaves as told: what it says, leaves unsaid, or says
// wrongly, and when it goes.
#include <set>

#include "tests/unit/libclient/submit_fixture.hpp"

namespace authcache::client_test {
namespace {

class SubmitFaults : public Submit {};

TEST_F(SubmitFaults, NobodyServingIsUnavailableAtOnce) {
  EXPECT_EQ(submit("token"), "unavailable/daemon_unreachable");
  EXPECT_NE(client_->last_error().find("authcached"), std::string::npos);
  EXPECT_EQ(submit("token", 0, 0), "unavailable/timeout");
  EXPECT_TRUE(collect().empty());
  EXPECT_FALSE(readable(0));
}

TEST_F(SubmitFaults, SilenceIsATimeoutTheDescriptorTellsOfItAndTheConnectionIsNotReused) {
  FakeDaemon daemon(dir_.path(), say_nothing);
  EXPECT_EQ(asked("one", kShortMs), "unavailable/timeout");
  EXPECT_EQ(asked("two", kShortMs), "unavailable/timeout");
  EXPECT_TRUE(has_connects(daemon, 2));
  const FakeDaemon silent(dir_.path(), say_nothing, say_nothing);
  EXPECT_EQ(asked("three", kShortMs), "unavailable/timeout") << "not even greeted";
}

TEST_F(SubmitFaults, AReplyOnTheSocketIsTheAnswerThoughOthersWaitToBeCollectedBeforeIt) {
  std::atomic<int> replied{0};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      refuse(connection, head, payload);
                      ++replied;
                    });
  ASSERT_EQ(asked("greeted"), "invalid/unknown");
  ASSERT_EQ(submit("first", 1), "miss");
  while (replied < 2) std::this_thread::yield();
  ASSERT_EQ(authcache_collect(client_->get(), nullptr, 0), 0);
  ASSERT_EQ(submit("second", 2, kShortMs), "miss");
  while (replied < 3) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(2 * kShortMs));
  EXPECT_EQ(await().answer.data, 1u);
  EXPECT_EQ(await().what, "invalid/unknown");
}

TEST_F(SubmitFaults, ALateReplyASecondOneAndOneToNobodysQuestionAreDropped) {
  std::string late;
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const ValidateReply reply = valid_at(token, admit_one(token));
                      if (token == "slow") late = reply_bytes(head.request_id, reply);
                      if (token != "prompt") return;
                      const std::string good = reply_bytes(head.request_id, reply);
                      connection.send(late + reply_bytes(head.request_id + 1, reply) + good + good);
                    });
  std::uint64_t number = 0;
  ASSERT_EQ(submit("never", 1), "miss");  // while it waits the connection is kept
  ASSERT_EQ(submit("slow", 2, kShortMs, &number), "miss");
  EXPECT_EQ(await().what, "unavailable/timeout");
  EXPECT_EQ(authcache_cancel(client_->get(), number), AUTHCACHE_ERROR_NOT_FOUND);
  EXPECT_EQ(asked("prompt"), "valid");
  EXPECT_EQ(await(kShortMs).what, "nothing") << "one answer, though there were four replies";
  EXPECT_EQ(daemon.connects, 1);
}

TEST_F(SubmitFaults, AnotherTokensDigestIsNotBelieved) {
  FakeDaemon daemon(dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string&) {
    connection.send(reply_bytes(head.request_id, valid_at("other", admit_one("other"))));
  });
  EXPECT_EQ(asked("token"), "unavailable/protocol");
  EXPECT_NE(client_->last_error().find("another token"), std::string::npos);
  EXPECT_EQ(asked("token"), "unavailable/protocol");
  EXPECT_EQ(daemon.connects, 2);
}

TEST_F(SubmitFaults, AnotherTokensPlaceIsNotBelieved) {
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        connection.send(reply_bytes(head.request_id, valid_at(token_in(payload), admit_one("other"))));
      });
  EXPECT_EQ(asked("token"), "unavailable/overloaded");
}

TEST_F(SubmitFaults, FramesThatNoDaemonSendsEndEveryQuestionAsUnavailable) {
  for (int kind = 0; kind < 6; ++kind) {
    FakeDaemon daemon(
        dir_.path(), [kind](FakeConnection& connection, const Head& head, const std::string& payload) {
          if (token_in(payload) != "second") return;
          std::string bytes = reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kInvalid));
          if (kind == 0) bytes[4] = 9;                       // version
          if (kind == 1) bytes[2] = 1;                       // 64 KiB and more
          if (kind == 2) bytes[6] = static_cast<char>(6);    // a text reply
          if (kind == 3) bytes[wire::kHeadBytes + 32] = 77;  // verdict
          if (kind == 4) bytes[wire::kHeadBytes + 34] = 3;   // more places than there is room for
          if (kind == 5) bytes[6] = static_cast<char>(2);    // a hello reply that nobody waits for
          connection.send(bytes);
        });
    ASSERT_EQ(submit("first"), "miss");
    ASSERT_EQ(submit("second"), "miss");
    EXPECT_EQ(await().what, "unavailable/protocol") << kind;
    EXPECT_EQ(await().what, "unavailable/protocol") << kind;
  }
}

TEST_F(SubmitFaults, ForbiddenIsNeverTheDaemonsToSay) {
  FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const Head& head, const std::string& payload) {
        connection.send(reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kForbidden)));
      });
  EXPECT_EQ(asked("token"), "unavailable/protocol");
}

TEST_F(SubmitFaults, AnErrorEndsTheQuestionItNamesAndTheOthersAreAskedAgain) {
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      std::string bytes;
                      if (token == "poison") {
                        wire::append_frame(bytes, Type::kError, head.request_id, "cannot \x1b[31m");
                        connection.send(bytes);
                        connection.hang_up();
                      } else if (daemon.connects > 1) {
                        connection.send(reply_bytes(head.request_id, valid_at(token, admit_one(token))));
                      }
                    });
  ASSERT_EQ(submit("one", 1), "miss");
  ASSERT_EQ(submit("poison", 2), "miss");
  Came first = await();
  EXPECT_EQ(first.answer.data, 2u);
  EXPECT_EQ(first.what, "unavailable/protocol");
  EXPECT_NE(client_->last_error().find("cannot ?[31m"), std::string::npos);
  EXPECT_EQ(await().what, "valid");
  EXPECT_EQ(daemon.connects, 2);
}

TEST_F(SubmitFaults, FramesInPiecesAreFrames) {
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        for (const char byte : reply_bytes(head.request_id, valid_at(token, admit_one(token)))) {
          connection.send({&byte, 1});
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      });
  EXPECT_EQ(asked("token"), "valid");
}

TEST_F(SubmitFaults, AConnectionCutInTheMiddleOfAFrameIsMadeAnew) {
  std::atomic<int> count{0};
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        const std::string bytes = reply_bytes(head.request_id, valid_at(token, admit_one(token)));
        if (++count > 2) return connection.send(bytes);
        connection.send(std::string_view(bytes).substr(0, count == 1 ? 10 : bytes.size() - 5));
        connection.hang_up();
      });
  EXPECT_EQ(asked("token"), "valid");
  EXPECT_EQ(count, 3);
  EXPECT_EQ(daemon.connects, 3);
}

TEST_F(SubmitFaults, ADaemonThatClosesAtEachQuestionIsAskedThreeTimesAtMost) {
  FakeDaemon daemon(dir_.path(), hang_up);
  EXPECT_EQ(asked("token"), "unavailable/daemon_unreachable");
  EXPECT_EQ(daemon.questions, 3);
}

TEST_F(SubmitFaults, ADaemonThatNeverGreetsIsNotAskedAndNotConnectedToInATightLoop) {
  FakeDaemon daemon(dir_.path(), refuse, hang_up);
  ASSERT_EQ(submit("token", 0, 300), "miss");
  int wakes = 0;
  std::vector<Came> came;
  while (came.empty() && wakes < 1'000) {
    if (readable(20)) ++wakes, came = collect();
  }
  ASSERT_FALSE(came.empty());
  EXPECT_EQ(came[0].what, "unavailable/daemon_unreachable");
  EXPECT_EQ(daemon.questions, 0);
  EXPECT_LE(daemon.connects, 8) << "every 50 ms";
  EXPECT_LE(wakes, 20);
}

TEST_F(SubmitFaults, ADaemonThatStopsReadingAndDoesNotCloseHoldsUpNobody) {
  std::atomic<bool> over{false};
  std::atomic<int> stopped{0};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      if (token_in(payload) != "stop") return refuse(connection, head, payload);
                      connection.stop_reading();
                      ++stopped;
                      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                    });
  std::uint64_t number = 0;
  ASSERT_EQ(submit("stop", 1, kTimeoutMs, &number), "miss");
  serve_until(daemon, 1);
  while (stopped == 0) std::this_thread::yield();
  EXPECT_EQ(authcache_cancel(client_->get(), number), AUTHCACHE_OK);
  EXPECT_EQ(asked("next"), "invalid/unknown");
  EXPECT_EQ(daemon.connects, 2);
  over = true;
}

TEST_F(SubmitFaults, WhatIsInFlightIsAskedAgainWhenTheDaemonIsBack) {
  auto daemon = std::make_unique<FakeDaemon>(dir_.path(), say_nothing);
  ASSERT_EQ(submit("one", 1), "miss");
  ASSERT_EQ(submit("two", 2), "miss");
  ASSERT_EQ(submit("brief", 3, 1'000), "miss");
  serve_until(*daemon, 3);
  const int fd = authcache_fd(client_->get());
  daemon.reset();
  Came came = await();
  EXPECT_EQ(came.what, "unavailable/daemon_unreachable") << "its deadline passed while nobody served";
  EXPECT_EQ(came.answer.data, 3u);
  EXPECT_EQ(submit("new"), "unavailable/daemon_unreachable");
  const FakeDaemon back(dir_.path(), proves());
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 2; ++i) {
    came = await();
    EXPECT_EQ(came.what, "valid");
    answered.insert(came.answer.data);
  }
  EXPECT_EQ(answered, (std::set<std::uint64_t>{1, 2}));
  EXPECT_EQ(authcache_fd(client_->get()), fd);
}

TEST_F(SubmitFaults, AnIdleConnectionThatItsDaemonClosedIsReplacedAndWakesOnce) {
  FakeDaemon daemon(dir_.path(), proves());
  ASSERT_EQ(asked("one"), "valid");
  daemon.drop_connections();
  ASSERT_EQ(asked("unserved"), "valid") << "found out by writing to it";
  daemon.drop_connections();
  ASSERT_TRUE(readable(kPatienceMs));
  EXPECT_TRUE(collect().empty());
  EXPECT_FALSE(readable(kShortMs));
  EXPECT_EQ(asked("two"), "valid");
  EXPECT_EQ(daemon.connects, 3);
}

// The daemon reads nothing at first: the socket is full long before the questions are out.
TEST_F(SubmitFaults, QuestionsThatFindNoRoomInTheSocketWaitForItAndBlockNobody) {
  std::atomic<bool> reads{false};
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      while (!reads) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                      refuse(connection, head, payload);
                    });
  constexpr std::size_t kQuestions = 500;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    const std::string token = std::to_string(i) + std::string(8'000, 'x');
    ASSERT_EQ(submit(token, i), "miss");
    if (i == 0) serve_until(daemon, 1);
  }
  EXPECT_LE(daemon.questions, 1);
  reads = true;
  std::set<std::uint64_t> answered;
  while (answered.size() < kQuestions) {
    const Came came = await();
    ASSERT_EQ(came.what, "invalid/unknown");
    ASSERT_TRUE(answered.insert(came.answer.data).second);
  }
}

}  // namespace
}  // namespace authcache::client_test
