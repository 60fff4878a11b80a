// Sessions found by a query on a real server: what a row may hold, which keys find it, and what nobody may
// find.
#include "tests/postgresql/support/postgres_test.hpp"

namespace authcache_test {
namespace {

class PostgresLookups : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (!IsSkipped()) clear(kPlainSchema);
  }
};

TEST_F(PostgresLookups, ARowSaysWhoItIsWhatItMayAndUntilWhen) {
  insert_plain("good-token", "alice", "'{admin,\"sales team\"}', now(), now() + interval '1 hour', NULL");
  insert_plain("old-token", "bob", "'{}', now() - interval '2 hours', now() - interval '1 second', NULL");
  insert_plain("out-token", "carol", "'{}', now(), now() + interval '1 hour', now()");
  insert_plain("endless-token", "dave", "'{}', now(), 'infinity', NULL");
  start();
  EXPECT_EQ(validate("good-token"), "valid");
  EXPECT_EQ(reader_->subject(), "alice");
  EXPECT_EQ(reader_->validate({.profile = "shop", .token = "good-token", .permission = "role:admin"}),
            "valid");
  EXPECT_EQ(reader_->validate({.profile = "shop", .token = "good-token", .permission = "role:sales"}),
            "forbidden/permission");
  EXPECT_EQ(lookup("good-token"), "valid");
  EXPECT_EQ(validate("old-token"), "invalid/expired");
  EXPECT_EQ(validate("out-token"), "invalid/revoked");
  EXPECT_EQ(validate("endless-token"), "valid");
  EXPECT_EQ(validate("nobodys-token"), "invalid/unknown");
}

TEST_F(PostgresLookups, MissesThatArriveTogetherBecomeOneStatement_D13) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 200; ++i) {
    tokens.push_back("together-" + std::to_string(i));
    insert_plain(tokens.back(), "u" + std::to_string(i));
  }
  start();
  ASSERT_TRUE(connected());
  for (const int verdict : validate_together(tokens)) EXPECT_EQ(verdict, AUTHCACHE_VALID);
  EXPECT_GT(count("largest_batch"), 16);
  EXPECT_LT(count("statements"), 100);
}

TEST_F(PostgresLookups, TextKeysAreFoundByTheirBytesAlone_B24) {
  clear(
      "CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE s (id citext PRIMARY KEY, who text); GRANT SELECT "
      "ON s TO reader;"
      "INSERT INTO s VALUES ('AbCdEf', 'alice')");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject FROM s WHERE id = ANY($1::text[]::citext[])",
         .key_encoding = "raw"});
  EXPECT_EQ(validate("AbCdEf"), "valid");
  EXPECT_EQ(validate("abcdef"), "invalid/unknown");  // the database calls it equal
  clear(
      "CREATE TABLE s (id char(10) PRIMARY KEY, who text); GRANT SELECT ON s TO reader; INSERT INTO s VALUES "
      "('padded', 'bob')");
  EXPECT_TRUE(
      eventually([&] { return validate("padded" + std::string(4, '.')).starts_with("unavailable"); }));
}

TEST_F(PostgresLookups, SessionIdsFullOfSqlAreBytesAndNothingElse_B24) {
  clear(
      "CREATE TABLE s (id text PRIMARY KEY, who text); GRANT ALL ON s TO reader; INSERT INTO s VALUES "
      "('plain', 'alice')");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw"});
  ASSERT_TRUE(connected());
  const std::vector<std::string> hostile{"'",           "''", "\"",      "');DROP/**/TABLE/**/s;--",
                                         "plain'--",    "$1", "{plain}", "{\"plain\"}",
                                         "plain,plain", "\\", "\\x00",   "%",
                                         "NULL",        "*3", "*",       "'||pg_sleep(10)||'",
                                         "plain\\0"};
  for (const std::string& id : hostile) EXPECT_EQ(validate(id), "invalid/unknown") << id;
  // They are sessions like others where they stand in the table.
  for (const std::string& id : hostile) {
    std::string quoted;
    for (const char c : id) quoted += c == '\'' ? "''" : std::string(1, c);
    server_->sql("INSERT INTO s VALUES ('" + quoted + "', 'bob')");
  }
  EXPECT_TRUE(eventually([&] { return validate(hostile[0]) == "valid"; }));
  for (const std::string& id : hostile) EXPECT_TRUE(becomes(id, "valid")) << id;
  EXPECT_EQ(validate("plain"), "valid");
  // What no session id is never gets there.
  Client client(daemon_->runtime_dir());  // a reader process takes texts without NUL
  const std::int64_t asked = count("questions");
  for (const std::string& id : {std::string("pl\0ain", 6), std::string("plain\r\n*1"), std::string("pl ain"),
                                std::string("pl\xc3\xa4in"), std::string(5'000, 'a')}) {
    EXPECT_EQ(client.validate({.profile = "shop", .token = id}), "invalid/malformed");
  }
  EXPECT_EQ(client.validate({.profile = "shop", .token = std::string(1 << 20, 'a')}), "invalid/too_long");
  EXPECT_EQ(count("questions"), asked);
  EXPECT_EQ(server_->sql("SELECT count(*) FROM s"), std::to_string(hostile.size() + 1));
}

TEST_F(PostgresLookups, KeysThatFillTheSocketArriveWhole) {
  clear(
      "CREATE TABLE s (id text, who text); CREATE INDEX ON s USING hash (id); GRANT SELECT ON s TO reader;"
      "INSERT INTO s SELECT i || repeat('x', 4000), 'u' || i FROM generate_series(100, 899) i");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw"});
  ASSERT_TRUE(connected());
  std::vector<std::string> tokens;
  for (int i = 100; i < 900; ++i) tokens.push_back(std::to_string(i) + std::string(4'000, 'x'));
  for (const int verdict : validate_together(tokens)) EXPECT_EQ(verdict, AUTHCACHE_VALID);
  EXPECT_EQ(validate(tokens[7]), "valid");
  EXPECT_EQ(reader_->subject(), "u107");
}

TEST_F(PostgresLookups, AKeyWithTwoRowsOrManyIsNobodys) {
  clear(
      "CREATE TABLE s (id text, who text); GRANT SELECT ON s TO reader;"
      "INSERT INTO s VALUES ('one', 'alice'), ('two', 'bob'), ('two', 'carol');"
      "INSERT INTO s SELECT 'many', 'u' || i FROM generate_series(1, 10000) i");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw"});
  EXPECT_EQ(validate("two"), "unavailable/upstream");
  EXPECT_EQ(validate("many"), "unavailable/upstream");
  EXPECT_EQ(validate("one"), "valid");
}

TEST_F(PostgresLookups, ARowThatMakesTheQueryFailTakesNoOtherKeyWithIt) {
  clear(
      "CREATE TABLE s (id text PRIMARY KEY, who text, n int); GRANT SELECT ON s TO reader;"
      "INSERT INTO s SELECT 'k' || i, 'u' || i, i FROM generate_series(0, 99) i");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject, (3600 / n) AS client_id FROM s WHERE id = ANY($1)",
         .key_encoding = "raw"});
  ASSERT_TRUE(connected());
  std::vector<std::string> tokens;
  for (int i = 0; i < 100; ++i) tokens.push_back("k" + std::to_string(i));
  const std::vector<int> verdicts = validate_together(tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    EXPECT_EQ(verdicts[i], i == 0 ? AUTHCACHE_UNAVAILABLE : AUTHCACHE_VALID) << tokens[i];
  EXPECT_GT(count("statements_halved"), 0);
  EXPECT_EQ(validate("k0"), "unavailable/upstream");
}

TEST_F(PostgresLookups, AValueThatIsNoneOfItsKindIsUnavailableForItsTokenAlone) {
  clear(
      "CREATE TABLE s (id text PRIMARY KEY, who text, scopes jsonb, ends numeric); GRANT SELECT ON s TO "
      "reader; INSERT INTO s VALUES"
      "('good', 'alice', '[\"read\"]', 9000000000), ('none', NULL, '[]', NULL), ('text', 'a', '\"read "
      "write\"', NULL), ('map', 'a', '{\"a\":1}', NULL),"
      "('null', 'a', '[null]', NULL), ('ms', 'a', '[]', 1700000000000000), ('nan', 'a', '[]', 'NaN'), "
      "('minus', 'a', '[]', -5),"
      "('long', repeat('x', 5000), '[]', NULL), ('plain', 'a', NULL, NULL)");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, who AS subject, scopes, ends AS expires FROM s WHERE id = ANY($1)",
         .key_encoding = "raw",
         .more = "max_token_lifetime = \"366d\"\n"});
  EXPECT_EQ(validate("plain"), "valid");
  EXPECT_NE(validate("good"), "unavailable/upstream");
  for (const char* id : {"none", "text", "map", "null", "ms", "nan", "minus", "long"})
    EXPECT_EQ(validate(id), "unavailable/upstream") << id;
}

TEST_F(PostgresLookups, AQueryThatCannotBeServedIsRefusedWithASentence) {
  struct Wrong {
    const char* query;
    const char* encoding;
    const char* says;
  };
  const Wrong wrongs[] = {
      {"SELECT token_hash AS token_key, user_id FROM sessions WHERE token_hash = ANY($1)", "sha256",
       "no known meaning"},
      {"SELECT user_id AS subject FROM sessions WHERE token_hash = ANY($1)", "sha256", "token_key"},
      {"SELECT token_hash AS token_key FROM sessions WHERE token_hash = ANY($1)", "sha256", "no column"},
      {"SELECT token_hash AS token_key, user_id AS subject FROM sessions WHERE token_hash = $1", "sha256",
       "= ANY($1)"},
      {"SELECT token_hash AS token_key, user_id AS subject FROM sessions WHERE token_hash = ANY($1)",
       "hex_sha256", "key_encoding must be"},
      {"SELECT user_id AS token_key, user_id AS subject FROM sessions WHERE user_id = ANY($1)", "sha256",
       "cannot be \\\"sha256\\\""},
      {"SELECT token_hash AS token_key, user_id AS subject, created_at AS scopes FROM sessions WHERE "
       "token_hash = ANY($1)",
       "sha256", "cast it"},
      {"SELECT token_hash AS token_key, user_id AS subject FROM sessions WHERE token_hash = ANY($1) AND "
       "user_id = $2",
       "sha256", "2 parameters"},
      {"DELETE FROM sessions WHERE token_hash = ANY($1) RETURNING token_hash AS token_key, user_id AS "
       "subject",
       "sha256", "syntax error"},
      {"SELECT token_hash AS token_key, user_id AS subject FROM nowhere WHERE token_hash = ANY($1)", "sha256",
       "does not exist"},
      {"SELECT token_hash AS token_key, user_id AS subject FROM sessions WHERE token_hash = ANY($1)) x; DROP "
       "TABLE sessions; --",
       "sha256", "syntax error"},
  };
  start();
  for (const Wrong& wrong : wrongs) {
    configure({.connection = server_->conninfo(), .query = wrong.query, .key_encoding = wrong.encoding});
    ASSERT_EQ(daemon_->authctl({"reload"}).exit, 0) << wrong.query;
    EXPECT_TRUE(eventually([&] {
      return daemon_->authctl({"upstreams", "--json"}).out.contains(wrong.says);
    })) << wrong.query
        << "\n"
        << error();
    EXPECT_EQ(validate("any"), "unavailable/upstream");
    EXPECT_EQ(daemon_->authctl({"doctor"}).exit, 5);
  }
}

TEST_F(PostgresLookups, ATransactionOfOursCannotWrite_B24) {
  clear(
      "CREATE TABLE s (id text PRIMARY KEY, who text); CREATE TABLE seen (id text); GRANT ALL ON s, seen TO "
      "reader;"
      "CREATE FUNCTION note(x text) RETURNS text LANGUAGE plpgsql AS $$BEGIN INSERT INTO seen VALUES (x); "
      "RETURN x; END$$;"
      "INSERT INTO s VALUES ('a', 'alice')");
  start({.connection = server_->conninfo(),
         .query = "SELECT id AS token_key, note(who) AS subject FROM s WHERE id = ANY($1)",
         .key_encoding = "raw"});
  EXPECT_EQ(validate("a"), "unavailable/upstream");
  EXPECT_EQ(server_->sql("SELECT count(*) FROM seen"), "0");
}

TEST_F(PostgresLookups, ARevocationHoldsAlthoughTheRowIsStillGood_D7) {
  insert_plain("mine", "alice");
  start();
  ASSERT_TRUE(becomes("mine", "valid"));
  ASSERT_EQ(daemon_->revoke("mine").exit, 0);
  EXPECT_EQ(lookup("mine"), "miss");
  EXPECT_EQ(validate("mine"), "invalid/revoked");
  insert_plain("other", "alice");
  ASSERT_TRUE(becomes("other", "valid"));
  ASSERT_EQ(daemon_->authctl({"revoke", "--subject", "alice"}).exit, 0);
  EXPECT_EQ(validate("other"), "invalid/revoked");
}

TEST_F(PostgresLookups, RecordsInUseAreProvenAgainInBatchesBeforeTheirTime_D13) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    tokens.push_back("hot-" + std::to_string(i));
    insert_plain(tokens.back(), "u" + std::to_string(i));
  }
  start({.connection = server_->conninfo(), .more = "ttl_max = \"2s\"\n"});
  ASSERT_TRUE(connected());
  for (const std::string& token : tokens) ASSERT_EQ(validate(token), "valid");
  const std::int64_t statements = count("statements"), questions = count("questions");
  const auto refreshed = [&] { return count("questions") - questions; };
  EXPECT_TRUE(eventually([&] {
    for (const std::string& token : tokens) EXPECT_NE(lookup(token), "invalid/unknown");
    return refreshed() >= 200;
  }));
  // One by one they were validated; due together, they are asked about together.
  EXPECT_LT(count("statements") - statements, refreshed() / 2);
  // A session that goes is seen by the refresh.
  server_->sql("DELETE FROM sessions WHERE user_id = 'u7'");
  EXPECT_TRUE(eventually([&] { return lookup("hot-7") != "valid"; }));
  EXPECT_EQ(validate("hot-7"), "invalid/unknown");
}

}  // namespace
}  // namespace authcache_test
