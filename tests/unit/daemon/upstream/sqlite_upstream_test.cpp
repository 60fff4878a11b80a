#include "daemon/upstream/sqlite_upstream.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <boost/json/parse.hpp>
#include <string>
#include <thread>

#include "tests/support/manual_executor.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_executor.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;
using authcached::KeyEncoding;
using authcached::NewSession;
using authcached::ProfileConfig;
using authcached::Proof;
using authcached::SessionRow;
using authcached::SessionSpec;
using authcached::SqliteUpstream;
using authcached::testing::ManualExecutor;
using authcached::testing::TemporaryDirectory;
using authcached::testing::ThreadExecutor;

struct SteppedClock final : authcached::Clock {
  std::atomic<std::int64_t> monotonic{1'000}, wall{1'700'000'000'000'000'000};
  std::int64_t monotonic_ns() const override { return monotonic; }
  std::int64_t boot_ns() const override { return monotonic; }
  std::int64_t wall_ns() const override { return wall; }
};

void run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

class SqliteUpstreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteUpstream> open(const ProfileConfig& profile = {}, std::size_t queued_max = 1'000) {
    auto opened =
        SqliteUpstream::open(profile, directory_ / "sessions.db", worker_, loop_, clock_, queued_max);
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
  }

  ProfileConfig foreign() {
    ProfileConfig profile;
    profile.database = directory_ / "app.db";
    profile.query = "SELECT user AS subject FROM s WHERE k = ?1";
    profile.key_encoding = KeyEncoding::kRaw;
    run_sql(profile.database, "CREATE TABLE s(k, user); INSERT INTO s VALUES ('tok', 'alice')");
    return profile;
  }

  void settle() {
    while (worker_.run_all() + loop_.run_all() > 0) {
    }
  }

  std::vector<NewSession> create(SqliteUpstream& upstream, std::uint32_t count) {
    std::vector<NewSession> made;
    SessionSpec spec{.subject = "alice",
                     .client_id = {},
                     .scopes = {},
                     .roles = {},
                     .permissions = {},
                     .created_wall_ns = clock_.wall,
                     .expires_wall_ns = clock_.wall + 1'000'000'000};
    upstream.create_sessions(spec, count,
                             [&](Result<std::vector<NewSession>> result) { made = std::move(*result); });
    EXPECT_TRUE(made.empty()) << "done before the worker ran";
    settle();
    return made;
  }

  void ask(SqliteUpstream& upstream, std::string token, std::uint64_t deadline_ns = 10'000) {
    upstream.resolve({std::move(token), deadline_ns},
                     [this](Proof proof) { answers_.push_back(std::move(proof)); });
  }

  boost::json::object state(const SqliteUpstream& upstream) {
    return boost::json::parse(upstream.state_json()).as_object();
  }

  TemporaryDirectory directory_;
  ManualExecutor worker_, loop_;
  SteppedClock clock_;
  std::vector<Proof> answers_;
};

TEST_F(SqliteUpstreamTest, AnswersInOrderFromTheLoopAndNeverFromWithin) {
  const auto upstream = open();
  const std::vector<NewSession> made = create(*upstream, 1);
  ask(*upstream, made[0].token);
  ask(*upstream, std::string(43, 'A'));
  EXPECT_TRUE(answers_.empty());
  loop_.run_all();
  EXPECT_EQ(worker_.run_all(), 1U);
  EXPECT_TRUE(answers_.empty());
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0].verdict, Verdict::kValid);
  EXPECT_EQ(answers_[0].identity.subject, "alice");
  EXPECT_EQ(answers_[1].reason, Reason::kUnknown);
}

TEST_F(SqliteUpstreamTest, QuestionsOfOneTurnGoInTasksOfBoundedSizeAndNumber) {
  using authcached::kBatchesInFlight, authcached::kBatchMax;
  const auto upstream = open();
  for (std::size_t i = 0; i < kBatchMax * kBatchesInFlight + 1; ++i) ask(*upstream, "t" + std::to_string(i));
  EXPECT_EQ(worker_.size(), 0U) << "asked before the turn was over";
  loop_.run_all();
  EXPECT_EQ(worker_.size(), kBatchesInFlight);
  EXPECT_TRUE(worker_.run_one());
  EXPECT_EQ(loop_.size(), 1U);
  loop_.run_one();
  EXPECT_EQ(answers_.size(), kBatchMax);
  EXPECT_EQ(worker_.size(), kBatchesInFlight) << "the one that waited took the place";
  settle();
  EXPECT_EQ(answers_.size(), kBatchMax * kBatchesInFlight + 1);
  EXPECT_EQ(state(*upstream).at("batches").to_number<std::size_t>(), kBatchesInFlight + 1);
  EXPECT_EQ(state(*upstream).at("largest_batch").to_number<std::size_t>(), kBatchMax);
}

TEST_F(SqliteUpstreamTest, QueueBeyondItsBoundIsOverloadedFromTheLoop) {
  const auto upstream = open({}, 2);
  for (int i = 0; i < 5; ++i) ask(*upstream, "t");
  EXPECT_TRUE(answers_.empty());
  loop_.run_all();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[0].verdict, Verdict::kUnavailable);
  EXPECT_EQ(answers_[0].reason, Reason::kOverloaded);
  settle();
  EXPECT_EQ(answers_.size(), 5U);
}

TEST_F(SqliteUpstreamTest, QuestionPastItsDeadlineTimesOut) {
  const auto upstream = open();
  const std::vector<NewSession> made = create(*upstream, 1);
  ask(*upstream, made[0].token, 2'000);
  clock_.monotonic = 2'000;
  settle();
  ask(*upstream, made[0].token, 3'000);
  loop_.run_all();
  EXPECT_EQ(worker_.run_all(), 1U);
  clock_.monotonic = 3'000;  // between the lookup and its answer
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  for (const Proof& proof : answers_) {
    EXPECT_EQ(proof.verdict, Verdict::kUnavailable);
    EXPECT_EQ(proof.reason, Reason::kTimeout);
    EXPECT_TRUE(proof.identity.subject.empty());
  }
}

TEST_F(SqliteUpstreamTest, StuckWorkerDoesNotHoldBackTimeouts) {
  const auto upstream = open();
  ask(*upstream, "under way", 2'000);
  loop_.run_all();
  ask(*upstream, "waiting", 2'000);
  ask(*upstream, "patient", 9'000);
  upstream->expire_overdue();
  EXPECT_TRUE(answers_.empty());
  clock_.monotonic = 2'000;
  upstream->expire_overdue();
  EXPECT_EQ(answers_.size(), 2U);
  settle();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[2].reason, Reason::kUnknown);
}

TEST_F(SqliteUpstreamTest, QuestionsAreAnsweredThoughTheUpstreamIsGone) {
  auto upstream = open();
  for (int i = 0; i < 300; ++i) ask(*upstream, "t");
  upstream.reset();
  settle();
  EXPECT_EQ(answers_.size(), 300U);
}

TEST_F(SqliteUpstreamTest, AnswerMayAskAgain) {
  const auto upstream = open();
  int left = 5;
  std::function<void()> again = [&] {
    upstream->resolve({"t", 10'000}, [&](Proof) {
      if (--left > 0) again();
    });
  };
  again();
  settle();
  EXPECT_EQ(left, 0);
}

TEST_F(SqliteUpstreamTest, RevokedSessionIsRevokedForTheNextQuestion) {
  const auto upstream = open();
  const std::vector<NewSession> made = create(*upstream, 2);
  std::optional<Result<SessionRow>> revoked;
  upstream->revoke_session(made[0].sid, [&](Result<SessionRow> row) { revoked = std::move(row); });
  EXPECT_FALSE(revoked);
  settle();
  ASSERT_TRUE(revoked && *revoked);
  EXPECT_EQ((*revoked)->revoked_wall_ns, clock_.wall);
  ask(*upstream, made[0].token);
  ask(*upstream, made[1].token);
  settle();
  EXPECT_EQ(answers_[0].reason, Reason::kRevoked);
  EXPECT_EQ(answers_[1].verdict, Verdict::kValid);
  std::size_t rows = 0;
  upstream->list_sessions("alice", 10, [&](Result<std::vector<SessionRow>> list) { rows = list->size(); });
  settle();
  EXPECT_EQ(rows, 2U);
}

TEST_F(SqliteUpstreamTest, SessionsOrderedWhileTheWorkerWritesGoTogether) {
  const auto upstream = open();
  SessionSpec spec{};
  spec.subject = "alice";
  spec.created_wall_ns = clock_.wall;
  spec.expires_wall_ns = clock_.wall + 1'000'000'000;
  std::vector<std::size_t> made;
  std::size_t refused = 0;
  const auto order = [&](std::uint32_t count) {
    upstream->create_sessions(spec, count, [&](Result<std::vector<NewSession>> result) {
      if (result) made.push_back(result->size());
      refused += !result;
    });
  };
  order(1);
  order(2);
  order(0);  // a fault of its own, not of those that it goes with
  order(3);
  EXPECT_EQ(worker_.size(), 1U);
  worker_.run_one();
  loop_.run_all();
  EXPECT_EQ(made, (std::vector<std::size_t>{1}));
  EXPECT_EQ(worker_.size(), 1U) << "the other three as one task";
  settle();
  EXPECT_EQ(made, (std::vector<std::size_t>{1, 2, 3}));
  EXPECT_EQ(refused, 1U);
  for (const std::uint32_t count : {1U, authcached::kSessionsPerCreateMax, 1U, 1U}) order(count);
  std::size_t transactions = 0;
  while (worker_.run_one()) {
    ++transactions;
    loop_.run_all();
  }
  EXPECT_EQ(transactions, 3U) << "no transaction is larger than one order may be";
  EXPECT_EQ(made.size(), 7U);
}

TEST_F(SqliteUpstreamTest, ControlOperationsAreBounded) {
  const auto upstream = open();
  std::size_t done = 0, refused = 0;
  for (std::size_t i = 0; i < authcached::kControlMax + 3; ++i) {
    upstream->list_sessions("", 1, [&](Result<std::vector<SessionRow>> rows) { ++(rows ? done : refused); });
  }
  settle();
  EXPECT_EQ(done, authcached::kControlMax);
  EXPECT_EQ(refused, 3U);
}

TEST_F(SqliteUpstreamTest, VanishedDatabaseIsUnavailableAndComesBackWithoutARestart) {
  const ProfileConfig profile = foreign();
  const auto upstream = open(profile);
  ask(*upstream, "tok");
  settle();
  EXPECT_EQ(answers_.back().verdict, Verdict::kValid);
  std::filesystem::remove(profile.database);
  ask(*upstream, "tok");
  settle();
  EXPECT_EQ(answers_.back().verdict, Verdict::kUnavailable);
  EXPECT_EQ(answers_.back().reason, Reason::kUpstream);
  EXPECT_FALSE(state(*upstream).at("open").as_bool());
  EXPECT_NE(state(*upstream).at("last_error").as_string(), "");
  run_sql(profile.database, "CREATE TABLE s(k, user); INSERT INTO s VALUES ('tok', 'bob')");
  for (int i = 0; i < 1'000 && answers_.back().verdict != Verdict::kValid; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ask(*upstream, "tok");
    settle();
  }
  EXPECT_EQ(answers_.back().identity.subject, "bob");
  EXPECT_TRUE(state(*upstream).at("open").as_bool());
}

TEST_F(SqliteUpstreamTest, ReplacedDatabaseIsReadAnewWithinTheSameQuestion) {
  const ProfileConfig profile = foreign();
  const auto upstream = open(profile);
  run_sql(directory_ / "new.db", "CREATE TABLE s(k, user); INSERT INTO s VALUES ('tok', 'bob')");
  std::filesystem::rename(directory_ / "new.db", profile.database);
  ask(*upstream, "tok");
  settle();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].identity.subject, "bob");
  EXPECT_EQ(state(*upstream).at("reopenings").to_number<int>(), 1);
}

TEST_F(SqliteUpstreamTest, OpenRefusesWhatTheStoreRefuses) {
  ProfileConfig profile = foreign();
  profile.query = "DELETE FROM s";
  EXPECT_FALSE(SqliteUpstream::open(profile, {}, worker_, loop_, clock_));
}

TEST_F(SqliteUpstreamTest, ShapeIsThatOfABearerToken) {
  const auto upstream = open();
  for (const char* token : {"a", "aZ09-._~+/", "abc=", "abc=="})
    EXPECT_TRUE(upstream->well_formed(token)) << token;
  for (const char* token : {"", "=", "a=b", "a b", "a\n", "a'", "a*", "\xc3\xa4", "a,b"}) {
    EXPECT_FALSE(upstream->well_formed(token)) << token;
  }
  EXPECT_TRUE(upstream->well_formed(std::string(4'096, 'a')));
  EXPECT_FALSE(upstream->well_formed(std::string(4'097, 'a')));
  EXPECT_FALSE(upstream->well_formed(std::string_view("a\0", 2)));
  const auto raw = open(foreign());
  for (const char* token : {"s:abc'*", "a=b", "{~}"}) EXPECT_TRUE(raw->well_formed(token)) << token;
  for (const char* token : {"", "a b", "a\x7f", "\xc3\xa4", "a\t"})
    EXPECT_FALSE(raw->well_formed(token)) << token;
}

TEST(SqliteUpstreamThreads, TenThousandQuestionsAcrossThreadsAreAnsweredOnceEach) {
  const TemporaryDirectory directory;
  SteppedClock clock;
  constexpr int kQuestions = 10'000;
  std::atomic<int> unknown{0}, overloaded{0};
  {
    ThreadExecutor loop, worker;  // the worker ends first: what it posts still finds the loop
    auto upstream = SqliteUpstream::open({}, directory / "s.db", worker, loop, clock).value();
    std::atomic<bool> asked{false};
    loop.post([&] {
      for (int i = 0; i < kQuestions; ++i) {
        upstream->resolve({"t" + std::to_string(i), 1'000'000},
                          [&](Proof proof) { ++(proof.reason == Reason::kUnknown ? unknown : overloaded); });
      }
      asked = true;
    });
    while (!asked || unknown + overloaded < kQuestions) std::this_thread::yield();
    loop.post([moved = std::move(upstream)] {});
  }
  EXPECT_EQ(unknown, kQuestions);
  EXPECT_EQ(overloaded, 0);
}

}  // namespace
