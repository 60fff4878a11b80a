// A change that a transaction commits is heard of: hits of other processes end, the database is asked again,
// and nothing is revoked.
#include "tests/postgresql/support/changes_test.hpp"

namespace authcache_test {
namespace {

using PostgresChanges = ChangesTest;

TEST_F(PostgresChanges, ADeletedSessionIsRefusedInAnotherProcess) {
  listen();
  const std::string token = known("tok"), other = known("other");
  forget(token);
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_EQ(validate(token), "invalid/unknown");
  EXPECT_EQ(lookup(other), "valid");
  EXPECT_EQ(told("resyncs"), 1) << "at the start, and never since";
}

TEST_F(PostgresChanges, AChangeDropsWhatWasKnownWithoutRevoking) {
  listen();
  const std::string token = known("tok");
  server_->sql("UPDATE sessions SET user_id = 'bob', roles = '{admin}'");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_EQ(validate(token), "valid");
  EXPECT_EQ(reader_->subject(), "bob");
  EXPECT_TRUE(daemon_->authctl({"revocations", "list", "--json"}).json().at("rules").as_array().empty());
}

TEST_F(PostgresChanges, ARoleOfAUserReachesEachOfHisSessions) {
  clear(std::string(kPlainSchema) +
        "CREATE TABLE user_roles (user_id text, role text); GRANT SELECT ON user_roles TO reader;");
  listen({.connection = {}, .query = "SELECT token_hash AS token_key, s.user_id AS subject, "
                   "(SELECT array_agg(role) FROM user_roles r WHERE r.user_id = s.user_id) AS roles "
                   "FROM sessions s WHERE token_hash = ANY($1)"},
         {"--table", "sessions", "--key", "token_hash", "--subjects", "user_roles.user_id"});
  const std::string one = known("one"), two = known("two"), bob = known("bob", "bob");
  server_->sql("INSERT INTO user_roles VALUES ('alice', 'admin')");
  EXPECT_TRUE(lookup_becomes(one, "miss"));
  EXPECT_TRUE(lookup_becomes(two, "miss"));
  EXPECT_EQ(lookup(bob), "valid");
  EXPECT_EQ(validate(one), "valid");
  server_->sql("DELETE FROM user_roles");
  EXPECT_TRUE(lookup_becomes(one, "miss"));
  EXPECT_EQ(validate(one), "valid");
}

TEST_F(PostgresChanges, ALateCommitOfAnEarlierChangeIsHeard) {
  listen();
  const std::string early = known("early"), late = known("late");
  const OpenSession first(*server_);
  first.sql("BEGIN; DELETE FROM sessions WHERE token_hash = '\\x" + hex_sha256(early) + "'");
  forget(late);  // has the later number, and commits first
  EXPECT_TRUE(lookup_becomes(late, "miss"));
  const std::int64_t batches = told("batches");
  ASSERT_TRUE(eventually([&] { return told("batches") > batches + 1; }));  // the feed has long gone on
  EXPECT_EQ(lookup(early), "valid");
  first.sql("COMMIT");
  EXPECT_TRUE(lookup_becomes(early, "miss"));
  EXPECT_EQ(validate(early), "invalid/unknown");
  EXPECT_EQ(told("applied"), 3) << "the resync and the two, each once";
}

TEST_F(PostgresChanges, ALongTransactionOfSomebodyElseDelaysNothingAndRepeatsNothing) {
  listen();
  const OpenSession idle(*server_);
  idle.sql("BEGIN; SELECT pg_current_xact_id()");
  for (int i = 0; i < 5; ++i) {
    const std::string token = known("tok-" + std::to_string(i));
    forget(token);
    EXPECT_TRUE(lookup_becomes(token, "miss"));
  }
  EXPECT_EQ(told("applied"), 6);
  idle.sql("ROLLBACK");
}

TEST_F(PostgresChanges, WhatIsRolledBackIsNotHeard) {
  listen();
  const std::string token = known("tok");
  const OpenSession session(*server_);
  session.sql("BEGIN; DELETE FROM sessions; SAVEPOINT a; TRUNCATE sessions; ROLLBACK TO a; ROLLBACK");
  session.sql("BEGIN; SAVEPOINT a; UPDATE sessions SET user_id = 'x'; ROLLBACK TO a; COMMIT");
  const std::int64_t batches = told("batches");
  ASSERT_TRUE(eventually([&] { return told("batches") > batches; }));
  EXPECT_EQ(lookup(token), "valid");
  session.sql("BEGIN; SAVEPOINT a; DELETE FROM sessions; RELEASE a; COMMIT");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
}

TEST_F(PostgresChanges, ATruncatedTableForgetsAll) {
  listen();
  const std::string one = known("one"), two = known("two");
  server_->sql("TRUNCATE sessions");
  EXPECT_TRUE(lookup_becomes(one, "miss"));
  EXPECT_TRUE(lookup_becomes(two, "miss"));
  EXPECT_EQ(validate(one), "invalid/unknown");
}

TEST_F(PostgresChanges, MoreAtOnceThanIsToldOneByOneForgetsAll) {
  listen();
  const std::string token = known("tok");
  server_->sql(
      "INSERT INTO sessions (token_hash, user_id) SELECT sha256(i::text::bytea), 'many' FROM "
      "generate_series(1, 20001) i");
  server_->sql("DELETE FROM sessions WHERE user_id = 'many'");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_EQ(validate(token), "valid");
  EXPECT_EQ(told("resyncs"), 2);
}

TEST_F(PostgresChanges, AColumnThatMeansNothingIsIgnored) {
  server_->sql("ALTER TABLE sessions ADD COLUMN last_seen timestamptz, ADD COLUMN notes json");
  listen({}, {"--table", "sessions", "--key", "token_hash", "--ignore", "last_seen"});
  const std::string token = known("tok");
  const std::int64_t applied = told("applied");
  server_->sql(
      "UPDATE sessions SET last_seen = now(), notes = '{}'::json WHERE false; UPDATE sessions SET last_seen "
      "= now()");
  server_->sql("SELECT pg_notify('authcache_changes', '')");
  const std::int64_t batches = told("batches");
  ASSERT_TRUE(eventually([&] { return told("batches") > batches; }));
  EXPECT_EQ(told("applied"), applied);
  EXPECT_EQ(lookup(token), "valid");
  server_->sql("UPDATE sessions SET last_seen = now(), revoked_at = now()");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_EQ(validate(token), "invalid/revoked");
}

TEST_F(PostgresChanges, WhoeverMayDeleteASessionNeedsNoRightToTellOfIt) {
  listen();
  const std::string token = known("tok");
  server_->sql("GRANT DELETE ON sessions TO guarded; SET ROLE guarded; DELETE FROM sessions");
  EXPECT_TRUE(lookup_becomes(token, "miss"));
  EXPECT_THROW(
      server_->sql("SET ROLE guarded; INSERT INTO authcache_changes (kind, value) VALUES ('profile', '')"),
      std::runtime_error);
  EXPECT_THROW(server_->sql("SET ROLE guarded; SELECT authcache_changes_tell('profile', '')"),
               std::runtime_error);
  EXPECT_THROW(server_->sql("SET ROLE reader; DELETE FROM authcache_changes"), std::runtime_error);
}

TEST_F(PostgresChanges, EachEncodingOfKeysNamesItsSessions) {
  struct Kind {
    const char *encoding, *key, *token, *column;
    std::vector<std::string> more;
  };
  const std::string hash = hex_sha256("token");
  const Kind kinds[] = {
      {"hex_sha256", "encode(sha256('token'), 'hex')", "token", "k", {}},
      {"base64url_sha256",
       "translate(rtrim(encode(sha256('token'), 'base64'), '='), '+/', '-_')",
       "token",
       "k",
       {}},
      {"raw", "'token'", "token", "k", {}},
      {"id_hex_sha256", "'7|' || encode(sha256('token'), 'hex')", "7|token", "k", {"--sid", "sid"}},
  };
  for (const Kind& kind : kinds) {
    daemon_.emplace();
    clear(
        "CREATE TABLE sessions (k text PRIMARY KEY, sid text, who text); GRANT SELECT ON sessions TO "
        "reader;");
    server_->sql(std::string("INSERT INTO sessions VALUES (") + kind.key + ", 'seven', 'alice')");
    std::vector<std::string> more{"--table", "public.sessions", "--key", "k"};
    more.insert(more.end(), kind.more.begin(), kind.more.end());
    listen({.connection = {}, .query = "SELECT k AS token_key, sid, who AS subject FROM sessions WHERE k = ANY($1)",
            .key_encoding = kind.encoding},
           more);
    ASSERT_TRUE(becomes(kind.token, "valid")) << kind.encoding;
    server_->sql("DELETE FROM sessions");
    EXPECT_TRUE(lookup_becomes(kind.token, "miss")) << kind.encoding;
    EXPECT_EQ(told("resyncs"), 1) << kind.encoding;
    EXPECT_EQ(
        server_->sql("SELECT count(*) FROM authcache_changes WHERE position('token'::bytea IN value) > 0"),
        "0")
        << kind.encoding;
  }
}

TEST_F(PostgresChanges, AKeyThatDoesNotTellItsTokenNeedsASidInTheQueryAndInTheRow) {
  clear(
      "CREATE TABLE sessions (k text PRIMARY KEY, sid text, who text); GRANT SELECT ON sessions TO reader;");
  Shop shop{.connection = server_->conninfo(),
            .query = "SELECT k AS token_key, who AS subject FROM sessions WHERE k = ANY($1)",
            .key_encoding = "id_hex_sha256",
            .more = kListen};
  configure(shop);
  server_->sql(ddl({"--table", "sessions", "--sid", "sid"}));
  start(shop);
  EXPECT_TRUE(eventually([&] { return error().contains("must return a column \"sid\""); })) << error();
  shop.query = "SELECT k AS token_key, sid, who AS subject FROM sessions WHERE k = ANY($1)";
  configure(shop);
  ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0);
  server_->sql("INSERT INTO sessions VALUES ('7|' || encode(sha256('token'), 'hex'), NULL, 'alice')");
  ASSERT_TRUE(connected());
  ASSERT_TRUE(hears());
  EXPECT_EQ(validate("7|token"), "unavailable/upstream");
  server_->sql("UPDATE sessions SET sid = '7'");
  EXPECT_TRUE(becomes("7|token", "valid"));
}

TEST_F(PostgresChanges, B24_NamesOfAnySpellingAreTakenAsNames) {
  const std::string schema = "we\"ird", table = "Se\"ssions'; DROP TABLE safe; --",
                    key = "to\\ken'); DROP TABLE safe; --";
  const auto quoted = [](std::string name) {
    for (std::size_t at = 0; (at = name.find('"', at)) != std::string::npos; at += 2) name.insert(at, 1, '"');
    return '"' + name + '"';
  };
  clear("CREATE TABLE safe (id int); DROP SCHEMA IF EXISTS " + quoted(schema) + " CASCADE; CREATE SCHEMA " +
        quoted(schema) + "; CREATE TABLE " + quoted(schema) + "." + quoted(table) + " (" + quoted(key) +
        " bytea PRIMARY KEY, \"la$authcache$st\" text)");
  configure({.connection = server_->conninfo(), .more = kListen});
  const std::string text = ddl({"--table", schema + "." + table, "--key", key, "--ignore", "la$authcache$st",
                                "--subjects", schema + "." + table + "." + key});
  server_->sql(text);
  server_->sql(text);  // again does no harm
  server_->sql("INSERT INTO " + quoted(schema) + "." + quoted(table) +
               " VALUES ('\\x01', 'a'); DELETE FROM " + quoted(schema) + "." + quoted(table));
  EXPECT_EQ(server_->sql("SELECT string_agg(kind, ',' ORDER BY kind) FROM authcache_changes"),
            "key,subject,subject");
  EXPECT_EQ(server_->sql("SELECT count(*) FROM safe"), "0");
  server_->sql("DROP SCHEMA " + quoted(schema) + " CASCADE");
  for (const char* bad : {"a\nb", ""}) {
    EXPECT_NE(daemon_
                  ->authctl({"sql", "postgres", "shop", "--config", daemon_->config_file().string(),
                             "--table", bad, "--key", "k"})
                  .exit,
              0);
  }
}

}  // namespace
}  // namespace authcache_test
