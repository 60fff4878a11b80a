// The server stops, dies, hangs, is slow, is locked, forgets who we are: nothing of it is ever a refusal of a
// good session, and nobody has to restart anything afterwards.
#include <atomic>
#include <thread>

#include "tests/postgresql/support/pooler.hpp"
#include "tests/postgresql/support/postgres_test.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

class PostgresOutages : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (!IsSkipped()) clear(kPlainSchema);
  }
  // A token that was never asked for.
  std::string fresh() {
    insert_plain("fresh-" + std::to_string(++made_), "alice");
    return "fresh-" + std::to_string(made_);
  }
  [[nodiscard]] static bool is_unavailable(const std::string& answer) {
    return answer == "unavailable/upstream" || answer == "unavailable/timeout";
  }
  int made_ = 0;
};

TEST_F(PostgresOutages, AServerThatStopsAndComesBackIsFoundAgain) {
  start();
  const std::string known = fresh(), later = fresh();
  ASSERT_TRUE(becomes(known, "valid"));
  server_->stop();
  EXPECT_EQ(lookup(known), "valid");  // records go on
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(is_unavailable(validate(later)));
  EXPECT_EQ(lookup(later), "miss");
  EXPECT_TRUE(
      eventually([&] { return state().at("pool").at("breaker").at("state").as_string() != "closed"; }));
  EXPECT_TRUE(daemon_->logs("upstream_failed"));
  EXPECT_EQ(daemon_->authctl({"doctor"}).exit, 5);
  server_->start();
  EXPECT_TRUE(becomes(later, "valid"));
  EXPECT_TRUE(eventually([&] { return error().empty(); }));
  EXPECT_TRUE(daemon_->logs("upstream_answers"));
}

TEST_F(PostgresOutages, AServerKilledUnderLoadRefusesNobody) {
  start({.connection = server_->conninfo(), .more = "ttl_max = \"100ms\"\n"});
  std::vector<std::string> tokens;
  for (int i = 0; i < 20; ++i) tokens.push_back(fresh());
  ASSERT_TRUE(connected());
  std::atomic<bool> stop = false;
  std::atomic<int> refused = 0, good = 0;
  std::thread load([&] {
    Client client(daemon_->runtime_dir());
    for (std::size_t i = 0; !stop; ++i) {
      const std::string said = client.validate({.profile = "shop", .token = tokens[i % tokens.size()]});
      (said == "valid" ? good : refused) += said == "valid" || said.starts_with("invalid") ? 1 : 0;
    }
  });
  ASSERT_TRUE(eventually([&] { return good > 50; }));
  server_->kill();
  server_->start();
  const int before = good;
  EXPECT_TRUE(eventually([&] { return good > before + 50; }));
  stop = true;
  load.join();
  EXPECT_EQ(refused, 0);
}

TEST_F(PostgresOutages, ADaemonThatStartsBeforeItsServerServesOnceItIsThere) {
  server_->stop();
  start();
  EXPECT_TRUE(is_unavailable(validate("early")));
  server_->start();
  insert_plain("early", "alice");
  EXPECT_TRUE(becomes("early", "valid"));
}

TEST_F(PostgresOutages, AServerThatHangsIsGivenUpWithinTheCallersTime) {
  start({.connection = server_->conninfo(), .more = "statement_timeout = \"300ms\"\n"});
  const std::string one = fresh(), other = fresh();
  ASSERT_TRUE(becomes(one, "valid"));
  server_->suspend();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(is_unavailable(validate(other)));
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(6'000));  // 2 s is the daemon's bound
  EXPECT_EQ(lookup(one), "valid");
  server_->resume();
  EXPECT_TRUE(becomes(other, "valid"));
}

TEST_F(PostgresOutages, ASlowQueryEndsByItsTimeoutAndHoldsUpNobodyElse_B24) {
  clear(
      "CREATE TABLE s (id text PRIMARY KEY, who text); INSERT INTO s VALUES ('slow', 'alice'), ('fast', "
      "'bob');"
      "CREATE FUNCTION wait_for(x text) RETURNS text LANGUAGE plpgsql AS $$BEGIN IF x = 'slow' THEN PERFORM "
      "pg_sleep(30); END IF; RETURN x; END$$;"
      "CREATE VIEW v AS SELECT wait_for(id) AS id, who FROM s; GRANT SELECT ON s, v TO reader");
  start({.connection = server_->conninfo(),
         .query = "SELECT wait_for(id) AS token_key, who AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw",
         .more = "statement_timeout = \"1500ms\"\n"});
  ASSERT_TRUE(becomes("fast", "valid"));
  std::string slow;
  std::thread waits([&] {
    Client client(daemon_->runtime_dir());
    slow = client.validate({.profile = "shop", .token = "slow"});
  });
  // Asked while the slow one is under way: another connection is opened for it.
  EXPECT_TRUE(eventually([&] { return state().at("pool").at("statements_in_flight").to_number<int>() > 0; }));
  server_->sql("INSERT INTO s VALUES ('next', 'carol')");
  EXPECT_EQ(validate("next"), "valid");
  waits.join();
  EXPECT_EQ(slow, "unavailable/timeout");
  EXPECT_GE(count("timeouts"), 1);
  EXPECT_EQ(server_->sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                         "'%wait_for%' AND pid <> pg_backend_pid()"),
            "0");
}

TEST_F(PostgresOutages, ATableThatIsLockedIsUnavailableNotInvalidAndComesBack) {
  start({.connection = server_->conninfo(), .more = "statement_timeout = \"300ms\"\n"});
  const std::string token = fresh();
  ASSERT_TRUE(connected());
  std::thread locks([&] {
    server_->sql("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT");
  });
  ASSERT_TRUE(eventually([&] {
    return server_->sql(
               "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = "
               "'sessions'::regclass") != "0";
  }));
  EXPECT_TRUE(is_unavailable(validate(token)));
  locks.join();
  EXPECT_TRUE(becomes(token, "valid"));
}

TEST_F(PostgresOutages, ARevokedGrantIsNamedAndAGrantGivenBackServesAgain) {
  start();
  const std::string token = fresh();
  ASSERT_TRUE(becomes(fresh(), "valid"));
  server_->sql("REVOKE SELECT ON sessions FROM reader");
  EXPECT_TRUE(is_unavailable(validate(token)));
  EXPECT_TRUE(eventually([&] { return error().contains("permission denied"); })) << error();
  EXPECT_TRUE(is_unavailable(validate(token)));
  server_->sql("GRANT SELECT ON sessions TO reader");
  EXPECT_TRUE(becomes(token, "valid"));
}

TEST_F(PostgresOutages, AChangedTableIsPreparedAnew) {
  start();
  ASSERT_TRUE(becomes(fresh(), "valid"));
  server_->sql("ALTER TABLE sessions ALTER COLUMN user_id TYPE varchar(40), ADD COLUMN note text");
  EXPECT_TRUE(becomes(fresh(), "valid"));
  server_->sql("ALTER TABLE sessions RENAME COLUMN user_id TO owner");
  server_->sql("INSERT INTO sessions (token_hash, owner) VALUES ('\\x" + hex_sha256("renamed") + "', 'bob')");
  EXPECT_EQ(server_->sql("SELECT count(*) FROM sessions WHERE owner = 'bob'"), "1");
  EXPECT_TRUE(eventually([&] { return validate("renamed") == "valid" || error().contains("user_id"); }));
}

TEST_F(PostgresOutages, TlsNamesTheServerAndAPasswordComesFromAFile_B18_B24) {
  const auto password = daemon_->scratch("password");
  write_file(password, "reader-secret\n");
  ASSERT_EQ(::chmod(password.c_str(), 0400), 0);
  const std::string with_password = "password_file = \"" + password.string() + "\"\n";
  start({.connection = server_->tls_conninfo(authority_->file()), .more = with_password});
  EXPECT_TRUE(becomes(fresh(), "valid"));
  EXPECT_EQ(
      server_->sql(
          "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'reader'"),
      "t");
  EXPECT_FALSE(daemon_->log().contains("reader-secret"));
  // A certificate of another authority.
  std::filesystem::create_directory(daemon_->scratch("other"));
  const authcached::testing::TestCa other(daemon_->scratch("other"));
  configure({.connection = server_->tls_conninfo(other.file()), .more = with_password});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  EXPECT_TRUE(eventually([&] { return error().contains("SSL error"); })) << error();
  EXPECT_TRUE(is_unavailable(validate(fresh())));
  // A wrong password, and then the right one in the same file.
  const auto wrong = daemon_->scratch("wrong");
  write_file(wrong, "another\n");
  ASSERT_EQ(::chmod(wrong.c_str(), 0600), 0);
  configure({.connection = server_->tls_conninfo(authority_->file()),
             .more = "password_file = \"" + wrong.string() + "\"\n"});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  EXPECT_TRUE(eventually([&] { return error().contains("password authentication failed"); })) << error();
  EXPECT_FALSE(error().contains("another"));
  write_file(wrong, "reader-secret\n");
  EXPECT_TRUE(becomes(fresh(), "valid"));
}

TEST_F(PostgresOutages, AnotherHostServesWhileTheFirstIsGone) {
  PostgresServer second(directory_ / "b");
  second.sql(std::string(kPlainSchema));
  second.sql("INSERT INTO sessions (token_hash, user_id) VALUES ('\\x" + hex_sha256("on-second") +
             "', 'bob')");
  const std::string ports = std::to_string(server_->port()) + "," + std::to_string(second.port());
  const std::string hosts = server_->socket_directory().string() + "," + second.socket_directory().string();
  start({.connection =
             "host=" + hosts + " port=" + ports + " dbname=app user=reader target_session_attrs=read-write"});
  ASSERT_TRUE(becomes(fresh(), "valid"));
  server_->kill();
  EXPECT_TRUE(becomes("on-second", "valid"));
  // And back, when that one dies and the first is there again.
  server_->start();
  second.kill();
  EXPECT_TRUE(becomes(fresh(), "valid"));
}

TEST_F(PostgresOutages, WhatIsUnderWayWhenAHostDiesIsAskedOfTheNext) {
  const auto schema = [](const std::string& seconds) {
    return "CREATE TABLE s (id text PRIMARY KEY, who text); INSERT INTO s VALUES ('asked', 'alice'); GRANT "
           "SELECT ON s TO reader;"
           "CREATE FUNCTION late(x text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(" +
           seconds + "); RETURN x; END$$;";
  };
  clear(schema("30"));
  PostgresServer second(directory_ / "d");
  second.sql(schema("0"));
  const std::string ports = std::to_string(server_->port()) + "," + std::to_string(second.port());
  const std::string hosts = server_->socket_directory().string() + "," + second.socket_directory().string();
  start({.connection = "host=" + hosts + " port=" + ports + " dbname=app user=reader",
         .query = "SELECT late(id) AS token_key, who AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw",
         .more = "statement_timeout = \"20s\"\n"});
  const auto with_time = read_file(daemon_->config_file());
  replace_file(daemon_->config_file(), with_time + "[limits]\nupstream_timeout = \"20s\"\n");
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  ASSERT_TRUE(connected());
  std::string said;
  std::thread asks([&] {
    Client client(daemon_->runtime_dir());
    said = client.validate({.profile = "shop", .token = "asked", .timeout_ms = 18'000});
  });
  EXPECT_TRUE(
      eventually([&] { return state().at("pool").at("statements_in_flight").to_number<int>() == 1; }));
  server_->kill();
  asks.join();
  EXPECT_EQ(said, "valid");
  server_->start();
}

TEST_F(PostgresOutages, AHostOfAnotherRoleIsPassedBy) {
  PostgresServer second(directory_ / "c");
  second.sql(std::string(kPlainSchema) + "INSERT INTO sessions (token_hash, user_id) VALUES ('\\x" +
             hex_sha256("on-second") + "', 'bob')");
  const std::string ports = std::to_string(server_->port()) + "," + std::to_string(second.port());
  const std::string hosts = server_->socket_directory().string() + "," + second.socket_directory().string();
  const std::string where =
      "host=" + hosts + " port=" + ports + " dbname=app user=reader target_session_attrs=";
  start({.connection = where + "standby"});
  EXPECT_TRUE(eventually([&] { return error().contains("hot standby"); })) << error();
  configure({.connection = where + "primary"});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  server_->stop();
  EXPECT_TRUE(becomes("on-second", "valid"));
  server_->start();
}

TEST_F(PostgresOutages, BehindAPoolerThatDropsSettingsItSaysSoAndServesNothing) {
  if (!std::filesystem::exists(Pooler::kProgram))
    GTEST_SKIP() << "PgBouncer is not installed (package pgbouncer)";
  const std::string token = fresh();
  const Pooler strict(*server_, directory_ / "strict", "");
  start({.connection = strict.conninfo()});
  EXPECT_TRUE(eventually([&] { return error().contains("unsupported startup parameter"); })) << error();
  EXPECT_TRUE(is_unavailable(validate(token)));
  const Pooler lax(*server_, directory_ / "lax", "ignore_startup_parameters = options\n");
  configure({.connection = lax.conninfo()});
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  EXPECT_TRUE(eventually([&] { return error().contains("as poolers do"); })) << error();
  EXPECT_TRUE(is_unavailable(validate(token)));
}

TEST_F(PostgresOutages, AStuckServerDoesNotHoldUpAStop) {
  start();
  ASSERT_TRUE(becomes(fresh(), "valid"));
  server_->suspend();
  EXPECT_TRUE(is_unavailable(validate("any", 4'000)));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(daemon_->stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(5'000));
  server_->resume();
}

TEST_F(PostgresOutages, ARowDeletedWhileItsAnswerIsOnTheWayIsGoneAtTheNextProof_B24) {
  start({.connection = server_->conninfo(), .more = "ttl_max = \"500ms\"\nrefresh = \"off\"\n"});
  const std::string token = fresh();
  ASSERT_TRUE(becomes(token, "valid"));
  server_->sql("DELETE FROM sessions");
  // No later than its record lives.
  EXPECT_TRUE(eventually([&] { return validate(token) == "invalid/unknown"; }));
}

}  // namespace
}  // namespace authcache_test
