// Sessions of our own that end when they are not used, and what else their database knows beside tokens:
// which were made last, under which names the table knows them, and an older file brought up to that.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <stdexcept>
#include <string>

#include "daemon/base/sha256.hpp"
#include "daemon/upstream/session_store.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::NewSession;
using authcached::ProfileConfig;
using authcached::Proof;
using authcached::RecentSessions;
using authcached::SessionSpec;
using authcached::SessionStore;
using authcached::SessionUse;
using authcached::testing::TemporaryDirectory;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSecond;
constexpr std::int64_t kIdle = 100 * kSecond;

void run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << (message ? message : "");
  sqlite3_free(message);
  sqlite3_close(db);
}

std::int64_t number_in(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
  const std::int64_t number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return number;
}

struct Sliding : ::testing::Test {
  Sliding() { profile.idle_timeout = std::chrono::seconds(kIdle / kSecond); }

  SessionStore open() {
    auto store = SessionStore::open(profile, file);
    if (!store) throw std::runtime_error(store.error().message);
    return std::move(*store);
  }
  static SessionSpec spec(std::int64_t created = kNow, std::int64_t life = 10'000 * kSecond) {
    return {.subject = "alice",
            .client_id = {},
            .scopes = {"read"},
            .roles = {"admin"},
            .permissions = {"orders:list"},
            .created_wall_ns = created,
            .expires_wall_ns = created + life};
  }
  static NewSession make(SessionStore& store, std::int64_t created = kNow,
                         std::int64_t life = 10'000 * kSecond) {
    return store.create(spec(created, life), 1).value()[0];
  }
  static Proof ask(SessionStore& store, std::string_view token, std::int64_t wall_now_ns) {
    return store.resolve(std::span(&token, 1), wall_now_ns).at(0);
  }
  static SessionUse use_of(std::string_view token, std::int64_t seen_wall_ns) {
    SessionUse use{.token = {}, .seen_wall_ns = seen_wall_ns};
    const auto hash = authcached::sha256(token);
    std::memcpy(use.token.data(), hash.data(), sizeof use.token);
    return use;
  }
  static std::vector<Proof> write(SessionStore& store, std::vector<SessionUse> uses,
                                  std::int64_t wall_now_ns) {
    return store.write_uses(uses, wall_now_ns).value();
  }
  static std::int64_t last_seen(SessionStore& store) {
    return store.list("", 1).value().at(0).last_seen_wall_ns;
  }
  static RecentSessions recent(SessionStore& store, std::int64_t now, std::size_t at_most = 100,
                               std::uint64_t before = UINT64_MAX, std::int64_t from = 0) {
    return store.recent({.before = before, .at_most = at_most, .created_from_wall_ns = from}, now).value();
  }

  TemporaryDirectory directory;
  std::filesystem::path file = directory / "sessions.db";
  ProfileConfig profile;
};

TEST_F(Sliding, ASessionEndsExactlyIdleTimeoutAfterItWasPresentedLast) {
  SessionStore store = open();
  const NewSession session = make(store);
  EXPECT_EQ(ask(store, session.token, kNow + kIdle - 1).verdict, Verdict::kValid);
  EXPECT_EQ(ask(store, session.token, kNow + 2 * kIdle - 2).verdict, Verdict::kValid)
      << "each use moves the end on";
  const Proof over = ask(store, session.token, kNow + 3 * kIdle - 2);
  EXPECT_EQ(over.verdict, Verdict::kInvalid);
  EXPECT_EQ(over.reason, Reason::kExpired);
  EXPECT_EQ(ask(store, session.token, kNow + 3 * kIdle - 1).verdict, Verdict::kInvalid)
      << "being refused is no use";
}

TEST_F(Sliding, NoUseMovesASessionsOwnEnd) {
  SessionStore store = open();
  const NewSession session = make(store, kNow, kIdle + kIdle / 2);
  EXPECT_EQ(ask(store, session.token, kNow + kIdle - 1).expires_wall_ns, kNow + kIdle + kIdle / 2);
  EXPECT_EQ(ask(store, session.token, kNow + kIdle + kIdle / 2).reason, Reason::kExpired);
}

TEST_F(Sliding, ARecordVouchesForAQuarterOfIdleTimeoutBehindTheLastUse) {
  SessionStore store = open();
  const NewSession session = make(store);
  EXPECT_EQ(session.proof.keep_until_wall_ns, kNow + kIdle / 4);
  EXPECT_EQ(ask(store, session.token, kNow + 60 * kSecond).keep_until_wall_ns,
            kNow + 60 * kSecond + kIdle / 4);
  const Proof told = write(store, {use_of(session.token, kNow + 70 * kSecond)}, kNow + 80 * kSecond).at(0);
  EXPECT_EQ(told.keep_until_wall_ns, kNow + 70 * kSecond + kIdle / 4) << "of the use, not of its being told";
}

TEST_F(Sliding, WithoutIdleTimeoutNothingIsBoundAndNothingNoted) {
  profile.idle_timeout = {};
  SessionStore store = open();
  const NewSession session = make(store);
  EXPECT_FALSE(ask(store, session.token, kNow + 50 * kIdle).keep_until_wall_ns);
  EXPECT_TRUE(write(store, {}, kNow + 50 * kIdle).empty());
  EXPECT_EQ(last_seen(store), kNow);
}

TEST_F(Sliding, UsesThatAreToldMoveTheEndOnAndAreDurable) {
  std::string token;
  {
    SessionStore store = open();
    token = make(store).token;
    const Proof proof = write(store, {use_of(token, kNow + 90 * kSecond)}, kNow + 95 * kSecond).at(0);
    EXPECT_EQ(proof.verdict, Verdict::kValid);
    EXPECT_EQ(proof.identity.permissions, (std::vector<std::string>{"orders:list", "role:admin"}));
  }
  SessionStore store = open();
  EXPECT_EQ(last_seen(store), kNow + 90 * kSecond);
  EXPECT_EQ(ask(store, token, kNow + 90 * kSecond + kIdle - 1).verdict, Verdict::kValid);
}

TEST_F(Sliding, AUseIsToldOnlyOnwardAndNotFromTheFuture) {
  SessionStore store = open();
  const NewSession session = make(store);
  write(store, {use_of(session.token, kNow + 50 * kSecond)}, kNow + 60 * kSecond);
  write(store, {use_of(session.token, kNow + 40 * kSecond)}, kNow + 61 * kSecond);
  EXPECT_EQ(last_seen(store), kNow + 50 * kSecond);
  write(store, {use_of(session.token, kNow + 500 * kSecond)}, kNow + 70 * kSecond);
  EXPECT_EQ(last_seen(store), kNow + 70 * kSecond);
}

TEST_F(Sliding, AUseBringsNothingBackThatWasOverByThen) {
  SessionStore store = open();
  const NewSession idle = make(store);
  EXPECT_EQ(write(store, {use_of(idle.token, kNow + kIdle)}, kNow + kIdle).at(0).reason, Reason::kExpired);
  EXPECT_EQ(last_seen(store), kNow);
  const NewSession revoked = make(store);
  ASSERT_TRUE(store.revoke(revoked.sid, kNow + 1));
  EXPECT_EQ(write(store, {use_of(revoked.token, kNow + 5)}, kNow + 6).at(0).reason, Reason::kRevoked);
  EXPECT_EQ(last_seen(store), kNow);
  const NewSession brief = make(store, kNow, 10 * kSecond);
  EXPECT_EQ(write(store, {use_of(brief.token, kNow + 10 * kSecond)}, kNow + 11 * kSecond).at(0).reason,
            Reason::kExpired);
  EXPECT_EQ(last_seen(store), kNow);
  EXPECT_EQ(write(store, {use_of("nobody's", kNow)}, kNow).at(0).reason, Reason::kUnknown);
}

TEST_F(Sliding, AUseThatWasInTimeCountsAlthoughItIsToldLate) {
  SessionStore store = open();
  const NewSession session = make(store);
  EXPECT_EQ(write(store, {use_of(session.token, kNow + kIdle - 1)}, kNow + kIdle + 10).at(0).verdict,
            Verdict::kValid);
}

// A crash forgets what was noted and not written: that ends a session early, never late.
TEST_F(Sliding, NotedUsesAreWrittenWithTheNextBatchAndLostByACrashBefore) {
  SessionStore store = open();
  const NewSession session = make(store);
  ASSERT_EQ(ask(store, session.token, kNow + 90 * kSecond).verdict, Verdict::kValid);
  {
    SessionStore after_a_crash = open();
    EXPECT_EQ(ask(after_a_crash, session.token, kNow + kIdle).reason, Reason::kExpired);
  }
  EXPECT_TRUE(write(store, {}, kNow + 95 * kSecond).empty());
  SessionStore after_a_crash = open();
  EXPECT_EQ(last_seen(after_a_crash), kNow + 90 * kSecond);
  EXPECT_EQ(ask(after_a_crash, session.token, kNow + kIdle).verdict, Verdict::kValid);
}

TEST_F(Sliding, ManyNotedUsesAreWrittenWithoutWaitingToBeAskedTo) {
  SessionStore store = open();
  constexpr std::uint32_t kMany = 4'096;
  const auto made = store.create(spec(), kMany).value();
  std::vector<std::string_view> tokens;
  for (const NewSession& session : made) tokens.push_back(session.token);
  (void)store.resolve(tokens, kNow + 5);
  EXPECT_EQ(number_in(file, "SELECT count(*) FROM sessions WHERE last_seen_ns = " + std::to_string(kNow + 5)),
            kMany);
}

TEST_F(Sliding, BatchThatCannotBeWrittenKeepsWhatWasNoted) {
  SessionStore store = open();
  const NewSession session = make(store);
  ASSERT_EQ(ask(store, session.token, kNow + 5).verdict, Verdict::kValid);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_FALSE(store.write_uses({}, kNow + 6));
  sqlite3_close(other);
  EXPECT_TRUE(store.write_uses({}, kNow + 7));
  EXPECT_EQ(last_seen(store), kNow + 5);
}

TEST_F(Sliding, AClockThatWasPutBackGivesNoSessionMoreThanItsTimeoutFromNow) {
  SessionStore store = open();
  const NewSession session = make(store, kNow);
  EXPECT_EQ(ask(store, session.token, kNow - 1'000 * kSecond).keep_until_wall_ns,
            kNow - 1'000 * kSecond + kIdle / 4);
}

TEST_F(Sliding, AnotherProgramsSessionsAreNotTold) {
  profile = {};
  profile.database = directory / "app.db";
  profile.query = "SELECT user AS subject FROM s WHERE k = ?1";
  run_sql(profile.database, "CREATE TABLE s(k, user)");
  SessionStore store = open();
  EXPECT_FALSE(store.write_uses({}, kNow));
  EXPECT_FALSE(store.recent({.before = UINT64_MAX, .at_most = 1, .created_from_wall_ns = 0}, kNow));
}

struct Recent : Sliding {};

TEST_F(Recent, TheLatestComeFirstSliceBySliceUnderTheNamesThatTheTableKnows) {
  profile.idle_timeout = {};
  SessionStore store = open();
  std::vector<NewSession> made;
  for (std::int64_t i = 0; i < 5; ++i) made.push_back(make(store, kNow + i));
  std::vector<std::string> sids;
  std::uint64_t before = UINT64_MAX;
  std::size_t slices = 0;
  for (; before != 0; ++slices) {
    const RecentSessions slice = recent(store, kNow + 10, 2, before);
    ASSERT_LE(slice.sessions.size(), 2u);
    for (const auto& named : slice.sessions) {
      const NewSession& session = made.at(4 - sids.size());
      sids.push_back(named.proof.identity.sid);
      EXPECT_EQ(named.digest, authcache::shm::token_digest(profile.id(), session.token));
      EXPECT_EQ(named.token, authcached::sha256(session.token));
      EXPECT_EQ(named.proof.identity, session.proof.identity);
      EXPECT_EQ(named.proof.expires_wall_ns, session.proof.expires_wall_ns);
    }
    before = slice.before;
  }
  EXPECT_EQ(slices, 3u);
  ASSERT_EQ(sids.size(), 5u);
  EXPECT_EQ(sids.front(), made.back().sid);
}

TEST_F(Recent, WhatEndedOrWasRevokedOrIsNotUsedIsNotThere) {
  SessionStore store = open();
  const NewSession unused = make(store, kNow - kIdle / 4);
  const NewSession ended = make(store, kNow - 10, 10);
  const NewSession revoked = make(store, kNow - 5);
  ASSERT_TRUE(store.revoke(revoked.sid, kNow));
  const NewSession good = make(store, kNow - 1);
  const RecentSessions found = recent(store, kNow);
  ASSERT_EQ(found.sessions.size(), 1u);
  EXPECT_EQ(found.sessions[0].proof.identity.sid, good.sid);
  EXPECT_EQ(found.sessions[0].proof.keep_until_wall_ns, kNow - 1 + kIdle / 4) << "to be listed is no use";
  EXPECT_EQ(last_seen(store), kNow - 1);
}

TEST_F(Recent, ASliceIsOfRowsLookedAtSoThatAThousandBadOnesHoldNobodyUp) {
  SessionStore store = open();
  (void)make(store, kNow - 1);
  ASSERT_TRUE(store.create(spec(kNow - 10, 10), 1'000));
  const RecentSessions first = recent(store, kNow, 256);
  EXPECT_TRUE(first.sessions.empty());
  EXPECT_NE(first.before, 0u);
}

TEST_F(Recent, OlderOnesThanAskedForEndTheList) {
  SessionStore store = open();
  (void)make(store, kNow - 10);
  (void)make(store, kNow - 1);
  const RecentSessions found = recent(store, kNow, 100, UINT64_MAX, kNow - 5);
  EXPECT_EQ(found.sessions.size(), 1u);
  EXPECT_EQ(found.before, 0u);
}

TEST_F(Recent, SessionsOfAnotherProfileAndOfNoneHaveNoNameHere) {
  {
    SessionStore store = open();
    (void)make(store, kNow - 2);
    (void)make(store, kNow - 1);
  }
  run_sql(file, "UPDATE sessions SET profile = NULL, digest = NULL WHERE id = 1");
  EXPECT_EQ(number_in(file, "SELECT count(*) FROM sessions WHERE profile IS NULL"), 1);
  SessionStore same = open();
  EXPECT_EQ(recent(same, kNow).sessions.size(), 1u);
  profile.idle_timeout += std::chrono::seconds(1);  // another trust: its digests are others
  SessionStore other = open();
  EXPECT_TRUE(recent(other, kNow).sessions.empty());
}

TEST_F(Recent, DamagedDigestMakesNoRecord) {
  {
    SessionStore store = open();
    (void)make(store, kNow - 1);
  }
  run_sql(file, "PRAGMA ignore_check_constraints = 1; UPDATE sessions SET digest = x'00'");
  SessionStore store = open();
  EXPECT_TRUE(recent(store, kNow).sessions.empty());
}

// What the release before wrote.
constexpr const char* kVersion2 =
    "CREATE TABLE sessions(id INTEGER PRIMARY KEY, token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),"
    " subject TEXT NOT NULL, client_id TEXT NOT NULL, sid TEXT NOT NULL, scopes TEXT NOT NULL, roles TEXT "
    "NOT NULL,"
    " permissions TEXT NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,"
    " last_seen_ns INTEGER NOT NULL, revoked_ns INTEGER) STRICT;"
    "CREATE UNIQUE INDEX sessions_by_token ON sessions(token_hash);"
    "CREATE UNIQUE INDEX sessions_by_sid ON sessions(sid);"
    "CREATE INDEX sessions_by_subject ON sessions(subject);";

struct Upgrade : Sliding {
  // Makes two sessions, the first of them revoked, and takes the file back to version 2.
  void go_back() {
    {
      SessionStore store = open();
      for (int i = 0; i < 2; ++i) made.push_back(make(store));
      ASSERT_TRUE(store.revoke(made[0].sid, kNow));
    }
    run_sql(
        file,
        std::string(
            "ALTER TABLE sessions RENAME TO now; DROP INDEX sessions_by_token; DROP INDEX sessions_by_sid;"
            "DROP INDEX sessions_by_subject;") +
            kVersion2 +
            "INSERT INTO sessions SELECT id, token_hash, subject, client_id, sid, scopes, roles, permissions,"
            " created_ns, expires_ns, last_seen_ns, revoked_ns FROM now; DROP TABLE now; PRAGMA user_version "
            "= 2");
  }
  std::vector<NewSession> made;
};

TEST_F(Upgrade, FileOfTheSecondVersionIsTakenOverWithAllItsSessions) {
  go_back();
  for (int opening = 0; opening < 2; ++opening) {
    SessionStore store = open();
    EXPECT_EQ(ask(store, made[0].token, kNow + 1).reason, Reason::kRevoked);
    EXPECT_EQ(ask(store, made[1].token, kNow + 1).verdict, Verdict::kValid);
    EXPECT_TRUE(recent(store, kNow + 1).sessions.empty()) << "nobody can name them";
  }
  EXPECT_EQ(number_in(file, "PRAGMA user_version"), 3);
  SessionStore store = open();
  (void)make(store);
  EXPECT_EQ(recent(store, kNow + 1).sessions.size(), 1u);
  EXPECT_EQ(write(store, {use_of(made[1].token, kNow + 2)}, kNow + 3).at(0).verdict, Verdict::kValid);
}

TEST_F(Upgrade, OneThatFailsOnTheWayLeavesTheFileAsItWas) {
  go_back();
  run_sql(file, "ALTER TABLE sessions ADD COLUMN digest BLOB");  // the second step of the upgrade meets it
  EXPECT_FALSE(SessionStore::open(profile, file));
  EXPECT_EQ(number_in(file, "PRAGMA user_version"), 2);
  EXPECT_EQ(number_in(file, "SELECT count(*) FROM pragma_table_info('sessions') WHERE name = 'profile'"), 0);
  EXPECT_EQ(number_in(file, "SELECT count(*) FROM sessions"), 2);
}

}  // namespace
