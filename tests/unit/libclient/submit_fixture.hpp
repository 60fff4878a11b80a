// A loop with one client: questions submitted, polled for and collected, beside a scripted daemon and a table
// that the test writes. The daemon's scripts run on threads of its own.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <thread>

#include "tests/unit/libclient/fake_daemon.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace authcache::client_test {

namespace wire = shm::wire;
using shm::Place;
using shm::Reason;
using shm::SlotState;
using shm::Verdict;
using wire::Head;
using wire::Type;
using wire::ValidateReply;

inline constexpr int kTimeoutMs = 20'000;  // far above what any of these takes
inline constexpr int kShortMs = 50;
inline constexpr int kPatienceMs = 20'000;

inline std::string token_in(const std::string& payload) {
  return std::string(wire::decode_validate(payload)->token);
}

inline std::string reply_bytes(std::uint64_t request_id, const ValidateReply& reply) {
  std::string bytes;
  wire::append_validate_reply(bytes, request_id, reply);
  return bytes;
}

inline ValidateReply reply_for(const std::string& token, Verdict verdict, Reason reason = Reason::kNone) {
  ValidateReply reply;
  reply.digest = shm::token_digest(kMainId, token);
  reply.verdict = verdict;
  reply.reason = reason;
  return reply;
}

inline ValidateReply valid_at(const std::string& token, const Place& place) {
  ValidateReply reply = reply_for(token, Verdict::kValid);
  reply.newest_generation = place.generation;
  reply.place_count = 1;
  reply.places[0] = place;
  return reply;
}

struct Came {
  std::string what;  // "valid", "invalid/revoked"
  authcache_answer answer = AUTHCACHE_ANSWER_INIT;
};

class Submit : public ::testing::Test {
 protected:
  // "miss": asked. Else what was decided at once.
  std::string submit(const std::string& token, std::uint64_t data = 0, int timeout_ms = kTimeoutMs,
                     std::uint64_t* number = nullptr, const authcache_requirement* needs = nullptr) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    const int verdict =
        authcache_submit(client_->get(), token.data(), token.size(), needs == nullptr ? requirement_ : needs,
                         timeout_ms, data, number, &identity);
    return outcome(verdict, identity);
  }
  std::vector<Came> collect(std::size_t n = 16) {
    std::vector<authcache_answer> answers(n);
    answers[0] = AUTHCACHE_ANSWER_INIT;
    const int count = authcache_collect(client_->get(), answers.data(), n);
    EXPECT_GE(count, 0) << client_->last_error();
    std::vector<Came> came;
    for (int i = 0; i < count; ++i) {
      const authcache_answer& each = answers[static_cast<std::size_t>(i)];
      EXPECT_EQ(each.size, sizeof each);
      EXPECT_EQ(each.verdict, each.identity.verdict);
      came.push_back({outcome(each.verdict, each.identity), each});
    }
    return came;
  }
  [[nodiscard]] bool readable(int within_ms) {
    pollfd entry{authcache_fd(client_->get()), POLLIN, 0};
    return ::poll(&entry, 1, within_ms) == 1;
  }
  // As a loop does it: waits for the descriptor, takes one answer.
  Came await(int within_ms = kPatienceMs) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(within_ms);
    while (std::chrono::steady_clock::now() < end) {
      if (!readable(20)) continue;
      if (auto came = collect(1); !came.empty()) return came[0];
    }
    return {"nothing"};
  }
  std::string asked(const std::string& token, int timeout_ms = kTimeoutMs) {
    if (std::string at_once = submit(token, 0, timeout_ms); at_once != "miss") return "at once " + at_once;
    return await().what;
  }
  // Serves the descriptor, and takes no answer, until the daemon has had this many questions.
  void serve_until(const FakeDaemon& daemon, int questions) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (daemon.questions < questions && std::chrono::steady_clock::now() < end) {
      (void)readable(10);
      EXPECT_EQ(authcache_collect(client_->get(), nullptr, 0), 0);
    }
    EXPECT_GE(daemon.questions, questions);
  }
  // Accepted ones; a connection is made before its daemon's thread has come to it.
  static bool has_connects(const FakeDaemon& daemon, int count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (daemon.connects < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return daemon.connects == count;
  }
  // A daemon that proves every token.
  FakeDaemon::Script proves() {
    return [this](FakeConnection& connection, const Head& head, const std::string& payload) {
      const std::string token = token_in(payload);
      connection.send(reply_bytes(head.request_id, valid_at(token, admit_one(token))));
    };
  }
  Place admit_one(const std::string& token) {
    const std::lock_guard lock(writing_);
    return admit(writer_, kMainId, token);
  }
  void kill_one(const std::string& token, SlotState how) {
    const std::lock_guard lock(writing_);
    writer_.kill(shm::key_of(shm::token_digest(kMainId, token)), how);
  }
  static void say_nothing(FakeConnection&, const Head&, const std::string&) {}
  static void hang_up(FakeConnection& connection, const Head&, const std::string&) { connection.hang_up(); }
  static void refuse(FakeConnection& connection, const Head& head, const std::string& payload) {
    connection.send(
        reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kInvalid, Reason::kUnknown)));
  }

  std::mutex writing_;
  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  std::unique_ptr<OpenClient> client_ = std::make_unique<OpenClient>(dir_.path());
  authcache_requirement* requirement_ = client_->requirement();
};

}  // namespace authcache::client_test
