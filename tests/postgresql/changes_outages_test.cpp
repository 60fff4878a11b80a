// Whatever goes down between a change and the daemon: the change is heard of later, or nothing is told of the
// profile.
#include <unistd.h>

#include "tests/postgresql/support/changes_test.hpp"
#include "tests/postgresql/support/pooler.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

class PostgresChangesLost : public ChangesTest {
 protected:
  static constexpr const char* kEndFeed =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%authcache_changes%' AND pid "
      "<> pg_backend_pid();";
  // A cursor is stored once in a second, after what it covers.
  void let_cursor_be_stored() const {
    const std::int64_t batches = told("batches");
    ASSERT_TRUE(eventually([&] { return told("batches") >= batches + 3; }));
  }
};

TEST_F(PostgresChangesLost, AChangeWhoseNotifyWentToALostConnectionIsHeard) {
  listen();
  const std::string token = known("tok"), other = known("other");
  server_->sql(std::string(kEndFeed) + "DELETE FROM sessions WHERE token_hash = '\\x" + hex_sha256(token) +
               "'");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_EQ(validate(token), "invalid/unknown");
  EXPECT_EQ(lookup(other), "valid") << "caught up from where it was, not by forgetting all";
  EXPECT_EQ(told("resyncs"), 1);
}

TEST_F(PostgresChangesLost, ChangesThatNobodyAnnouncesAreFoundAndSaidToBeLate) {
  listen();
  server_->sql(
      "CREATE OR REPLACE FUNCTION authcache_changes_tell(what text, whom bytea) RETURNS void LANGUAGE sql AS "
      "$$INSERT INTO "
      "public.authcache_changes (kind, value) VALUES ($1, $2)$$");
  const std::string token = known("tok");
  forget(token);
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_TRUE(eventually([&] { return error().contains("without a NOTIFY"); })) << error();
  EXPECT_EQ(daemon_->authctl({"doctor"}).exit, 5);
  server_->sql("SELECT pg_notify('authcache_changes', '')");
  EXPECT_TRUE(eventually([&] { return error().empty(); })) << error();
}

TEST_F(PostgresChangesLost, AChangeWhileTheDaemonIsDownIsHeardBeforeItAnswers) {
  listen();
  const std::string token = known("tok"), other = known("other");
  let_cursor_be_stored();
  EXPECT_EQ(daemon_->stop(), 0);
  forget(token);
  daemon_->start(DaemonProcess::First::kNo);
  EXPECT_NE(validate(token), "valid");
  ASSERT_TRUE(hears());
  EXPECT_TRUE(lookup_becomes(other, "valid")) << "records of the predecessor are served again";
  EXPECT_EQ(lookup(token), "miss");
  EXPECT_EQ(validate(token), "invalid/unknown");
  EXPECT_EQ(told("resyncs"), 0);
  EXPECT_EQ(told("applied"), 1);
}

TEST_F(PostgresChangesLost, AfterAKillNothingOldIsToldWhileTheDatabaseIsAway) {
  listen();
  const std::string token = known("tok");
  let_cursor_be_stored();
  daemon_->kill();
  forget(token);
  server_->stop();
  daemon_->start(DaemonProcess::First::kNo);
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(lookup(token), "valid");
    EXPECT_NE(validate(token), "valid");
  }
  EXPECT_EQ(lookup(token), "unavailable/catching_up");
  server_->start();
  EXPECT_TRUE(becomes(token, "invalid/unknown"));
}

TEST_F(PostgresChangesLost, RowsDeletedWhileTheDaemonWasAwayMakeItForgetAll) {
  listen();
  const std::string token = known("tok");
  for (const char* away : {"DELETE FROM authcache_changes", "TRUNCATE authcache_changes"}) {
    insert_plain("gone", "alice");
    ASSERT_TRUE(becomes("gone", "valid"));
    let_cursor_be_stored();
    EXPECT_EQ(daemon_->stop(), 0);
    forget("gone");
    server_->sql(away);
    daemon_->start(DaemonProcess::First::kNo);
    ASSERT_TRUE(hears());
    EXPECT_TRUE(becomes("gone", "invalid/unknown")) << away;
    EXPECT_TRUE(daemon_->logs("changes were deleted before they were read"));
    server_->sql("UPDATE sessions SET user_id = user_id");
    EXPECT_TRUE(becomes(token, "valid"));
    EXPECT_TRUE(eventually([&] { return validate("gone") == "invalid/unknown"; }));
  }
}

TEST_F(PostgresChangesLost, RowsThatWereReadMayBeDeletedAndNothingIsForgotten) {
  listen();
  const std::string token = known("tok"), gone = known("gone");
  forget(gone);
  EXPECT_TRUE(lookup_becomes(gone, "miss"));
  const OpenSession idle(*server_);  // holds the snapshot's beginning back
  idle.sql("BEGIN; SELECT pg_current_xact_id()");
  const std::int64_t batches = told("batches");
  ASSERT_TRUE(eventually([&] { return told("batches") > batches; }));
  EXPECT_EQ(server_->sql("SELECT authcache_changes_prune('0')"), "1");
  const std::int64_t after = told("batches");
  ASSERT_TRUE(eventually([&] { return told("batches") > after + 1; }));
  EXPECT_EQ(lookup(token), "valid");
  EXPECT_EQ(told("resyncs"), 1);
}

TEST_F(PostgresChangesLost, ARestartOfTheServerForgetsAllAndLosesNoChange) {
  for (const bool crash : {false, true}) {
    daemon_.emplace();
    clear(kPlainSchema);
    listen();
    const std::string token = known("tok"), other = known("other");
    if (crash) {
      server_->kill();
    } else {
      server_->stop();
    }
    server_->start();
    forget(token);
    EXPECT_TRUE(becomes(token, "invalid/unknown"));
    EXPECT_TRUE(becomes(other, "valid"));
    EXPECT_EQ(told("resyncs"), 2);
  }
}

TEST_F(PostgresChangesLost, AProcessOfTheServerThatDiesTakesTheRunWithIt) {
  listen();
  const std::string token = known("tok");
  // The server starts all of its processes anew; its own start stays what it was.
  const std::string started = server_->sql("SELECT pg_postmaster_start_time()");
  EXPECT_EQ(
      ::kill(std::stoi(server_->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")),
             SIGKILL),
      0);
  ASSERT_TRUE(eventually([&] { return told("resyncs") == 2; })) << daemon_->log();
  EXPECT_EQ(server_->sql("SELECT pg_postmaster_start_time()"), started);
  forget(token);
  EXPECT_TRUE(becomes(token, "invalid/unknown"));
}

TEST_F(PostgresChangesLost, AFailoverIsFollowedBySessionsAndChangesTogether) {
  PostgresServer second(directory_ / "f");
  second.sql(kPlainSchema);
  const std::string ports = std::to_string(server_->port()) + "," + std::to_string(second.port());
  const std::string hosts = server_->socket_directory().string() + "," + second.socket_directory().string();
  const Shop shop{.connection = "host=" + hosts + " port=" + ports +
                                " dbname=app user=reader target_session_attrs=primary"};
  configure({.connection = shop.connection, .more = kListen});
  second.sql(ddl());
  listen(shop);
  const std::string lost = known("lost"), kept = known("kept");
  second.sql("INSERT INTO sessions (token_hash, user_id) VALUES ('\\x" + hex_sha256(kept) + "', 'alice')");
  server_->kill();
  EXPECT_TRUE(becomes(lost, "invalid/unknown")) << "the other server never knew of it";
  EXPECT_TRUE(becomes(kept, "valid"));
  EXPECT_EQ(lookup(kept), "valid");
  forget(kept, second);
  EXPECT_TRUE(lookup_becomes(kept, "miss"));
  EXPECT_EQ(validate(kept), "invalid/unknown");
  server_->start();
}

TEST_F(PostgresChangesLost, WhatCannotBeConfirmedIsUnavailableAndComesBack) {
  listen_at(server_->conninfo(), "changes_max_lag = \"2s\"\n");
  const std::string token = known("tok");
  server_->suspend();
  EXPECT_TRUE(lookup_becomes(token, "unavailable/catching_up"));
  EXPECT_EQ(validate(token), "unavailable/catching_up");
  EXPECT_EQ(changes().at("state").as_string(), "lost");
  EXPECT_TRUE(daemon_->logs("changes_lost"));
  server_->resume();
  EXPECT_TRUE(becomes(token, "valid"));
  EXPECT_TRUE(daemon_->logs("changes_heard"));
}

TEST_F(PostgresChangesLost, ServeAnswersFromMemoryWhileNothingIsHeard) {
  listen_at(server_->conninfo(), "changes_max_lag = \"2s\"\nchanges_lost = \"serve\"\n");
  const std::string token = known("tok");
  server_->stop();
  ASSERT_TRUE(eventually([&] { return changes().at("state").as_string() == "lost"; }));
  EXPECT_EQ(lookup(token), "valid");
  EXPECT_EQ(validate(token), "valid");
  server_->start();
  EXPECT_TRUE(eventually([&] { return changes().at("state").as_string() == "hearing"; }));
}

TEST_F(PostgresChangesLost, AGrantThatIsTakenAwayIsSaidAndNothingIsTold) {
  listen_at(server_->conninfo(), "changes_max_lag = \"2s\"\n");
  const std::string token = known("tok");
  server_->sql("REVOKE SELECT ON authcache_changes FROM reader");
  EXPECT_TRUE(lookup_becomes(token, "unavailable/catching_up"));
  EXPECT_TRUE(eventually([&] { return error().contains("authctl sql postgres"); })) << error();
  EXPECT_EQ(daemon_->authctl({"doctor"}).exit, 5);
  server_->sql("GRANT SELECT ON authcache_changes TO reader");
  EXPECT_TRUE(becomes(token, "valid"));
}

TEST_F(PostgresChangesLost, ADatabaseThatWasNotMadeReadyServesNothing) {
  start({.connection = server_->conninfo(), .more = std::string(kListen) + "changes_max_lag = \"2s\"\n"});
  insert_plain("tok", "alice");
  EXPECT_TRUE(eventually([&] { return validate("tok") == "unavailable/catching_up"; }));
  EXPECT_TRUE(eventually([&] { return error().contains("authctl sql postgres"); })) << error();
  server_->sql(ddl());
  EXPECT_TRUE(becomes("tok", "valid"));
}

TEST_F(PostgresChangesLost, AReloadThatStopsHearingAndHearsAgainMissesNothing) {
  listen();
  const std::string token = known("tok");
  configure({.connection = server_->conninfo(), .more = "ttl_max = \"10m\"\nrefresh = \"off\"\n"});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  EXPECT_TRUE(becomes(token, "valid"));
  forget(token);
  EXPECT_EQ(lookup(token), "valid") << "nobody listens";
  configure({.connection = server_->conninfo(), .more = kListen});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  EXPECT_TRUE(becomes(token, "invalid/unknown"));
}

// What the sessions are asked by does not work reliably there either; what was learnt all the same must not
// stay.
TEST_F(PostgresChangesLost, BehindAPoolerItSaysSoAndHearsALittleLater) {
  if (!std::filesystem::exists(Pooler::kProgram))
    GTEST_SKIP() << "PgBouncer is not installed (package pgbouncer)";
  server_->sql(
      "ALTER ROLE reader SET default_transaction_read_only = on; ALTER ROLE reader SET timezone = 'UTC'");
  const Pooler pooler(*server_, directory_ / "pooler", "ignore_startup_parameters = options\n");
  const Shop shop{.connection = pooler.conninfo(), .more = kListen};
  configure(shop);
  server_->sql(ddl());
  start(shop);
  EXPECT_TRUE(eventually([&] {
    const auto heard = changes();
    return heard.contains("warning") &&
           std::string(heard.at("warning").as_string()).contains("a pooler stands between");
  })) << state();
  insert_plain("tok", "alice");
  if (eventually([&] { return validate("tok") == "valid"; }, milliseconds(3'000))) {
    forget("tok");
    EXPECT_TRUE(eventually([&] { return lookup("tok") != "valid"; }));
    EXPECT_TRUE(throughout([&] { return validate("tok") != "valid"; }, milliseconds(300)));
  }
  server_->sql("ALTER ROLE reader RESET ALL");
}

}  // namespace
}  // namespace authcache_test
