#include "daemon/upstream/session_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "daemon/base/sha256.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/upstream/session_values.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using authcache::shm::ErrorCode;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;
using authcached::KeyEncoding;
using authcached::NewSession;
using authcached::ProfileConfig;
using authcached::Proof;
using authcached::SessionSpec;
using authcached::SessionStore;
using authcached::testing::TemporaryDirectory;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSecond;

void run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << (message ? message : "");
  sqlite3_free(message);
  sqlite3_close(db);
}

SessionStore open_ok(const ProfileConfig& profile, const std::filesystem::path& file) {
  Result<SessionStore> store = SessionStore::open(profile, file);
  if (!store) throw std::runtime_error(store.error().message);
  return std::move(*store);
}

Proof resolve_one(SessionStore& store, std::string_view token, std::int64_t wall_now_ns = kNow) {
  return store.resolve(std::span(&token, 1), wall_now_ns).at(0);
}

SessionSpec alice() {
  return {.subject = "alice",
          .client_id = "shop",
          .scopes = {"read", "write"},
          .roles = {"admin"},
          .permissions = {"orders:list"},
          .created_wall_ns = kNow - 5,
          .expires_wall_ns = kNow + 100 * kSecond};
}

const std::string_view kHostileTokens[] = {
    "' OR '1'='1",
    "\" OR 1=1 --",
    "*",
    "%",
    "a\r\nSET x",
    std::string_view("a\0b", 3),
    std::string_view("\0", 1),
    "",
};

TEST(OwnSessions, CreatedSessionIsFoundWithAllItsFacts) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const std::vector<NewSession> made = store.create(alice(), 1).value();
  const Proof proof = resolve_one(store, made[0].token);
  EXPECT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_EQ(proof.reason, Reason::kNone);
  EXPECT_EQ(proof.identity.subject, "alice");
  EXPECT_EQ(proof.identity.client_id, "shop");
  EXPECT_EQ(proof.identity.sid, made[0].sid);
  EXPECT_EQ(proof.identity.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(proof.identity.permissions, (std::vector<std::string>{"orders:list", "role:admin"}));
  EXPECT_EQ(proof.issued_wall_ns, kNow - 5);
  EXPECT_EQ(proof.expires_wall_ns, kNow + 100 * kSecond);
  EXPECT_EQ(made[0].proof.identity, proof.identity);
  EXPECT_EQ(made[0].proof.verdict, Verdict::kValid);
}

TEST(OwnSessions, NoSidIsTakenForAnOptionOnACommandLine) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const std::vector<NewSession> made = store.create(alice(), 1'000).value();
  for (const NewSession& session : made) EXPECT_NE(session.sid.front(), '-');
}

TEST(OwnSessions, TokensAreDistinctAndNoFileHoldsOne) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const std::vector<NewSession> made = store.create(alice(), 200).value();
  std::set<std::string> tokens;
  for (const NewSession& session : made) {
    EXPECT_EQ(session.token.size(), 43U);
    EXPECT_EQ(session.sid.size(), 22U);
    EXPECT_EQ(authcached::base64url_decode(session.token)->size(), 32U);
    tokens.insert(session.token);
  }
  EXPECT_EQ(tokens.size(), 200U);
  for (const char* suffix : {"", "-wal"}) {
    const std::string file = (directory / "sessions.db").string() + suffix;
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    ASSERT_FALSE(bytes.empty());
    EXPECT_EQ(bytes.find(made[0].token), std::string::npos);
    EXPECT_EQ(bytes.find(*authcached::base64url_decode(made[0].token)), std::string::npos);
    struct stat found {};
    ASSERT_EQ(::stat(file.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0600U);
  }
}

TEST(OwnSessions, ExpiredAndRevokedAndUnknownAreInvalidEachWithItsReason) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const std::vector<NewSession> made = store.create(alice(), 2).value();
  EXPECT_EQ(resolve_one(store, made[0].token, kNow + 100 * kSecond - 1).verdict, Verdict::kValid);
  const Proof expired = resolve_one(store, made[0].token, kNow + 100 * kSecond);
  EXPECT_EQ(expired.verdict, Verdict::kInvalid);
  EXPECT_EQ(expired.reason, Reason::kExpired);
  ASSERT_TRUE(store.revoke(made[1].sid, kNow));
  const Proof revoked = resolve_one(store, made[1].token);
  EXPECT_EQ(revoked.verdict, Verdict::kInvalid);
  EXPECT_EQ(revoked.reason, Reason::kRevoked);
  const Proof unknown = resolve_one(store, std::string(43, 'A'));
  EXPECT_EQ(unknown.verdict, Verdict::kInvalid);
  EXPECT_EQ(unknown.reason, Reason::kUnknown);
}

TEST(OwnSessions, RevokingTwiceKeepsTheFirstMomentAndAnUnknownSidIsNotFound) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const NewSession session = store.create(alice(), 1).value()[0];
  EXPECT_EQ(store.revoke(session.sid, kNow)->revoked_wall_ns, kNow);
  const auto again = store.revoke(session.sid, kNow + 5);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->revoked_wall_ns, kNow);
  EXPECT_EQ(again->token_hash, authcached::sha256(session.token));
  EXPECT_EQ(store.revoke("nobody", kNow).error().code, ErrorCode::kNotFound);
}

TEST(OwnSessions, SurviveAReopening) {
  const TemporaryDirectory directory;
  std::vector<NewSession> made;
  {
    SessionStore store = open_ok({}, directory / "sessions.db");
    made = store.create(alice(), 2).value();
    ASSERT_TRUE(store.revoke(made[1].sid, kNow));
  }
  SessionStore store = open_ok({}, directory / "sessions.db");
  EXPECT_EQ(resolve_one(store, made[0].token).verdict, Verdict::kValid);
  EXPECT_EQ(resolve_one(store, made[1].token).reason, Reason::kRevoked);
}

// Version 1 kept its rows by the token's hash; nobody is logged out by an upgrade.
TEST(OwnSessions, FileOfTheFirstVersionIsTakenOverWithAllItsSessions) {
  const TemporaryDirectory directory;
  const auto file = directory / "sessions.db";
  std::vector<NewSession> made;
  {
    SessionStore store = open_ok({}, file);
    for (std::int64_t i = 0; i < 3; ++i) {
      SessionSpec spec = alice();
      spec.created_wall_ns = kNow + i;
      made.push_back(std::move(store.create(spec, 1).value()[0]));
    }
    ASSERT_TRUE(store.revoke(made[1].sid, kNow + 5));
  }
  run_sql(file,
          "ALTER TABLE sessions RENAME TO now;"
          "DROP INDEX sessions_by_token; DROP INDEX sessions_by_sid; DROP INDEX sessions_by_subject;"
          "CREATE TABLE sessions(token_hash BLOB PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),"
          " subject TEXT NOT NULL, client_id TEXT NOT NULL, sid TEXT NOT NULL, scopes TEXT NOT NULL,"
          " roles TEXT NOT NULL, permissions TEXT NOT NULL, created_ns INTEGER NOT NULL,"
          " expires_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL, revoked_ns INTEGER) STRICT, WITHOUT ROWID;"
          "CREATE UNIQUE INDEX sessions_by_sid ON sessions(sid);"
          "CREATE INDEX sessions_by_subject ON sessions(subject, created_ns);"
          "CREATE INDEX sessions_by_creation ON sessions(created_ns);"
          "INSERT INTO sessions SELECT token_hash, subject, client_id, sid, scopes, roles, permissions, created_ns,"
          " expires_ns, last_seen_ns, revoked_ns FROM now; DROP TABLE now; PRAGMA user_version = 1");
  for (int opening = 0; opening < 2; ++opening) {
    SessionStore store = open_ok({}, file);
    EXPECT_EQ(resolve_one(store, made[0].token, kNow + 9).identity.subject, "alice");
    EXPECT_EQ(resolve_one(store, made[1].token, kNow + 9).reason, Reason::kRevoked);
    const auto rows = store.list("alice", 10).value();
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].sid, made[2].sid);
    EXPECT_EQ(rows[2].sid, made[0].sid);
    EXPECT_EQ(rows[0].scopes, made[2].proof.identity.scopes);
  }
  SessionStore store = open_ok({}, file);
  ASSERT_TRUE(store.create(alice(), 1));
  EXPECT_EQ(store.list("", 10)->size(), 4U);
}

TEST(OwnSessions, ListIsNewestFirstAndBounded) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  for (std::int64_t i = 0; i < 5; ++i) {
    SessionSpec spec = alice();
    spec.subject = i % 2 == 0 ? "alice" : "bob";
    spec.created_wall_ns = kNow + i;
    ASSERT_TRUE(store.create(spec, 1));
  }
  EXPECT_EQ(store.list("", 100)->size(), 5U);
  const auto rows = store.list("alice", 2).value();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].created_wall_ns, kNow + 4);
  EXPECT_EQ(rows[1].created_wall_ns, kNow + 2);
  EXPECT_EQ(rows[0].roles, std::vector<std::string>{"admin"});
  EXPECT_TRUE(store.list("carol", 10)->empty());
}

TEST(OwnSessions, SpecThatCouldNotBeReadBackIsRefused) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const auto refused = [&](auto change) {
    SessionSpec spec = alice();
    change(spec);
    const auto made = store.create(spec, 1);
    return !made && made.error().code == ErrorCode::kUsage;
  };
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.subject.clear(); }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.subject = "a\nb"; }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.scopes = {"read write"}; }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.roles = {""}; }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.permissions = {"[\"a\"]"}; }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.permissions = {"[a]"}; }));
  EXPECT_TRUE(refused([](SessionSpec& spec) { spec.expires_wall_ns = spec.created_wall_ns; }));
  EXPECT_EQ(store.create(alice(), 0).error().code, ErrorCode::kUsage);
  EXPECT_EQ(store.create(alice(), 1'000'000).error().code, ErrorCode::kUsage);
  EXPECT_TRUE(store.list("", 10)->empty());
}

TEST(OwnSessions, B24_HostileTokensAreUnknownAndHarmless) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const NewSession session = store.create(alice(), 1).value()[0];
  const std::string huge(1 << 20, 'x');
  std::vector<std::string_view> tokens(std::begin(kHostileTokens), std::end(kHostileTokens));
  tokens.push_back(huge);
  tokens.push_back(session.token);
  const std::vector<Proof> proofs = store.resolve(tokens, kNow);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) EXPECT_EQ(proofs[i].reason, Reason::kUnknown) << i;
  EXPECT_EQ(proofs.back().verdict, Verdict::kValid);
}

// B12: no answer is kept here, so a session that appears is found by the next question.
TEST(OwnSessions, B12_UnknownTokenIsValidOnceItsRowIsThere) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const std::string token(43, 'B');
  EXPECT_EQ(resolve_one(store, token).reason, Reason::kUnknown);
  const NewSession session = store.create(alice(), 1).value()[0];
  const authcached::Sha256 hash = authcached::sha256(token);
  std::string hex;
  for (const std::uint8_t byte : hash) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", byte);
    hex += text;
  }
  run_sql(directory / "sessions.db", "UPDATE sessions SET token_hash = x'" + hex + "'");
  EXPECT_EQ(resolve_one(store, token).verdict, Verdict::kValid);
  EXPECT_EQ(resolve_one(store, session.token).reason, Reason::kUnknown);
}

TEST(OwnSessions, FileThatLostItsNameAnswersNothing) {
  const TemporaryDirectory directory;
  SessionStore store = open_ok({}, directory / "sessions.db");
  const NewSession session = store.create(alice(), 1).value()[0];
  std::filesystem::remove(directory / "sessions.db");
  const Proof proof = resolve_one(store, session.token);
  EXPECT_EQ(proof.verdict, Verdict::kUnavailable);
  EXPECT_TRUE(store.broken());
  EXPECT_FALSE(store.create(alice(), 1));
}

// A database as another program might keep it, and the profile that reads it.
class ForeignSchema : public ::testing::Test {
 protected:
  ForeignSchema() {
    profile_.database = directory_ / "app.db";
    profile_.query =
        "SELECT user AS subject, scope AS scopes, role AS roles, ends AS expires, made AS created, "
        "out AS revoked FROM s WHERE k = ?1";
    profile_.key_encoding = KeyEncoding::kRaw;
    run_sql(profile_.database, "CREATE TABLE s(k, user, scope, role, ends, made, out)");
  }
  void insert(const std::string& values) {
    run_sql(profile_.database, "INSERT INTO s VALUES (" + values + ")");
  }
  Proof find(std::string_view token) {
    SessionStore store = open_ok(profile_, {});
    return resolve_one(store, token);
  }
  std::string refusal(const std::string& query) {
    profile_.query = query;
    const auto store = SessionStore::open(profile_, {});
    return store ? "" : store.error().message;
  }

  TemporaryDirectory directory_;
  ProfileConfig profile_;
};

TEST_F(ForeignSchema, RowBecomesAnIdentity) {
  insert("'tok', 42, '[\"read\",\"write\"]', 'admin  user', 1700000050, '2023-11-14 22:00:00', NULL");
  const Proof proof = find("tok");
  EXPECT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_EQ(proof.identity.subject, "42");
  EXPECT_EQ(proof.identity.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(proof.identity.permissions, (std::vector<std::string>{"role:admin", "role:user"}));
  EXPECT_EQ(proof.expires_wall_ns, 1'700'000'050 * kSecond);
  EXPECT_EQ(proof.issued_wall_ns, 1'699'999'200 * kSecond);
  EXPECT_EQ(find("other").reason, Reason::kUnknown);
}

TEST_F(ForeignSchema, MissingEndIsNoEnd) {
  insert("'tok', 'alice', NULL, NULL, NULL, NULL, 0");
  const Proof proof = find("tok");
  EXPECT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_FALSE(proof.expires_wall_ns);
  EXPECT_FALSE(proof.issued_wall_ns);
}

TEST_F(ForeignSchema, KeyIsBoundInTheEncodingOfTheProfile) {
  const authcached::Sha256 hash = authcached::sha256(std::string_view("abc"));
  const std::string bytes(reinterpret_cast<const char*>(hash.data()), hash.size());
  const std::string hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const std::pair<KeyEncoding, std::string> keys[] = {
      {KeyEncoding::kRaw, "'abc'"},
      {KeyEncoding::kHexSha256, "'" + hex + "'"},
      {KeyEncoding::kBase64urlSha256, "'" + authcached::base64url_encode(bytes) + "'"},
      {KeyEncoding::kSha256, "x'" + hex + "'"}};
  for (const auto& [encoding, key] : keys) {
    run_sql(profile_.database, "DELETE FROM s");
    insert(key + ", 'alice', '', '', NULL, NULL, NULL");
    for (const auto& [other, ignored] : keys) {
      profile_.key_encoding = other;
      EXPECT_EQ(find("abc").verdict, other == encoding ? Verdict::kValid : Verdict::kInvalid) << ignored;
    }
  }
}

TEST_F(ForeignSchema, EveryFormOfRevokedIsRevoked) {
  for (const char* out : {"1", "1700000000", "0.5", "'2023-01-01'", "'yes'", "x'00'", "-1"}) {
    run_sql(profile_.database, "DELETE FROM s");
    insert("'tok', 'alice', '', '', NULL, NULL, " + std::string(out));
    EXPECT_EQ(find("tok").reason, Reason::kRevoked) << out;
  }
  for (const char* out : {"NULL", "0", "0.0", "''", "'0'", "'false'"}) {
    run_sql(profile_.database, "DELETE FROM s");
    insert("'tok', 'alice', '', '', NULL, NULL, " + std::string(out));
    EXPECT_EQ(find("tok").verdict, Verdict::kValid) << out;
  }
}

TEST_F(ForeignSchema, RowThatCannotBeUnderstoodIsUnavailableForItsTokenAlone) {
  const char* const rows[] = {
      "'t', NULL, '', '', NULL, NULL, NULL",
      "'t', '', '', '', NULL, NULL, NULL",
      "'t', x'41', '', '', NULL, NULL, NULL",
      "'t', 'a', '[1]', '', NULL, NULL, NULL",
      "'t', 'a', '[\"x\"', '', NULL, NULL, NULL",
      "'t', 'a', '', '', 'soon', NULL, NULL",
      "'t', 'a', '', '', '', NULL, NULL",
      "'t', 'a', '', '', 1700000050000, NULL, NULL",
      "'t', 'a', '', '', x'00', NULL, NULL",
      "'t', 'a', '', '', -5, NULL, NULL",
      "'t', 'a', '', '', '2023-02-30 00:00:00', NULL, NULL",
      "'t', 'a', '', '', NULL, 'once', NULL",
  };
  for (const char* row : rows) {
    run_sql(profile_.database, "DELETE FROM s");
    insert(row);
    insert("'good', 'bob', '', '', NULL, NULL, NULL");
    SessionStore store = open_ok(profile_, {});
    const std::string_view tokens[] = {"t", "good"};
    const std::vector<Proof> proofs = store.resolve(tokens, kNow);
    EXPECT_EQ(proofs[0].verdict, Verdict::kUnavailable) << row;
    EXPECT_EQ(proofs[0].reason, Reason::kUpstream) << row;
    EXPECT_EQ(proofs[1].verdict, Verdict::kValid) << row;
    EXPECT_FALSE(store.broken()) << row;
  }
}

TEST_F(ForeignSchema, TwoRowsForOneTokenAreNoAnswer) {
  insert("'tok', 'alice', '', '', NULL, NULL, NULL");
  insert("'tok', 'mallory', '', '', NULL, NULL, NULL");
  EXPECT_EQ(find("tok").verdict, Verdict::kUnavailable);
}

TEST_F(ForeignSchema, StoredKeyIsComparedByteByByteWhereTheQueryReturnsIt) {
  run_sql(profile_.database,
          "CREATE TABLE n(k TEXT COLLATE NOCASE, user); INSERT INTO n VALUES ('AbC', 'alice')");
  profile_.query = "SELECT user AS subject, k AS token_key FROM n WHERE k = :token_key";
  EXPECT_EQ(find("AbC").verdict, Verdict::kValid);
  EXPECT_EQ(find("abc").reason, Reason::kUnknown);
}

TEST_F(ForeignSchema, QueryThatIsNotOneReadingSelectIsRefusedWithASentence) {
  EXPECT_NE(refusal("SELECT user AS subject, 1 AS shoe FROM s WHERE k = ?1").find("\"shoe\""),
            std::string::npos);
  EXPECT_NE(refusal("SELECT scope AS scopes FROM s WHERE k = ?1").find("\"subject\""), std::string::npos);
  EXPECT_NE(refusal("SELECT user AS subject, k AS subject FROM s WHERE k = ?1").find("twice"),
            std::string::npos);
  for (const char* query : {
           "SELECT user AS subject FROM s",
           "SELECT user AS subject FROM s WHERE k = ?1 AND user = ?2",
           "SELECT user AS subject FROM s WHERE k = ?2",
           "SELECT user AS subject FROM s WHERE k = :other",
           "SELECT user AS subject FROM s WHERE k = ?1; DELETE FROM s",
           "SELECT user AS subject FROM s WHERE k = ?1; SELECT 1",
           "DELETE FROM s WHERE k = ?1 RETURNING user AS subject",
           "INSERT INTO s(k) VALUES (?1)",
           "EXPLAIN SELECT user AS subject FROM s WHERE k = ?1",
           "PRAGMA user_version",
           "ATTACH ?1 AS other",
           "BEGIN",
           "SELECT user AS subject FROM nowhere WHERE k = ?1",
           "SELECT user AS subject, made AS created, ends AS created_ns FROM s WHERE k = ?1",
           "nonsense",
           " ",
       }) {
    EXPECT_NE(refusal(query), "") << query;
  }
  EXPECT_EQ(refusal("SELECT user AS subject FROM s WHERE k = ?1; -- the end"), "");
}

TEST_F(ForeignSchema, ChangedColumnsOfASelectStarAreSeenBeforeTheyAreRead) {
  run_sql(profile_.database,
          "CREATE TABLE w(token_key, subject, client_id); INSERT INTO w VALUES ('t', 'alice', 'shop')");
  profile_.query = "SELECT * FROM w WHERE token_key = ?1";
  SessionStore store = open_ok(profile_, {});
  EXPECT_EQ(resolve_one(store, "t").identity.subject, "alice");
  run_sql(profile_.database,
          "DROP TABLE w; CREATE TABLE w(client_id, subject, token_key); INSERT INTO w VALUES ('shop', 'bob', "
          "'t')");
  const Proof moved = resolve_one(store, "t");
  EXPECT_EQ(moved.identity.subject, "bob");
  EXPECT_EQ(moved.identity.client_id, "shop");
  run_sql(profile_.database, "ALTER TABLE w ADD COLUMN shoe");
  EXPECT_EQ(resolve_one(store, "t").verdict, Verdict::kUnavailable);
}

TEST_F(ForeignSchema, B24_HostileTokensAreUnknownAndHarmless) {
  insert("'tok', 'alice', '', '', NULL, NULL, NULL");
  for (const std::string_view token : kHostileTokens)
    EXPECT_EQ(find(token).reason, Reason::kUnknown) << token;
  EXPECT_EQ(find(std::string(1 << 20, 'x')).reason, Reason::kUnknown);
  EXPECT_EQ(find("tok").verdict, Verdict::kValid);
}

TEST_F(ForeignSchema, DatabaseIsOpenedReadOnlyAndOperationsOfOurSchemaAreRefused) {
  SessionStore store = open_ok(profile_, {});
  EXPECT_EQ(store.create(alice(), 1).error().code, ErrorCode::kUsage);
  EXPECT_EQ(store.list("", 1).error().code, ErrorCode::kUsage);
  EXPECT_EQ(store.revoke("s", kNow).error().code, ErrorCode::kUsage);
  std::filesystem::remove(profile_.database);
  const auto gone = SessionStore::open(profile_, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(profile_.database));
}

TEST_F(ForeignSchema, QueryWithoutAnEndIsInterrupted) {
  profile_.query =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
      "SELECT i AS subject FROM n WHERE i < 0 AND i <> ?1";
  SessionStore store = open_ok(profile_, {});
  const std::string_view tokens[] = {"a", "b"};
  for (const Proof& proof : store.resolve(tokens, kNow)) {
    EXPECT_EQ(proof.verdict, Verdict::kUnavailable);
    EXPECT_EQ(proof.reason, Reason::kTimeout);
  }
  EXPECT_FALSE(store.broken());
}

TEST_F(ForeignSchema, LockedDatabaseTimesOutAndAnswersAfterwards) {
  insert("'tok', 'alice', '', '', NULL, NULL, NULL");
  SessionStore store = open_ok(profile_, {});
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open(profile_.database.c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(writer, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(resolve_one(store, "tok").reason, Reason::kTimeout);
  sqlite3_close(writer);
  EXPECT_EQ(resolve_one(store, "tok").verdict, Verdict::kValid);
}

TEST(SessionValues, UtcTextIsReadStrictly) {
  using authcached::utc_text_ns;
  EXPECT_EQ(utc_text_ns("1970-01-01 00:00:01"), kSecond);
  EXPECT_EQ(utc_text_ns("2023-11-14T22:13:20Z"), kNow);
  EXPECT_EQ(utc_text_ns("2023-11-14 22:13:20.25"), kNow + kSecond / 4);
  EXPECT_EQ(utc_text_ns("2023-11-14 22:13:20.1234567891"), kNow + 123'456'789);
  for (const char* text :
       {"", "2023-11-14", "2023-11-14 22:13", "2023-11-14 22:13:20+02:00", "2023-11-14 22:13:20.",
        "2023-13-01 00:00:00", "2023-02-29 00:00:00", "2023-11-14 24:00:00", "1969-12-31 23:59:59",
        "9999-12-31 23:59:59", "2023-11-14 22:13:2x", "2023/11/14 22:13:20", "+023-11-14 22:13:20"}) {
    EXPECT_FALSE(utc_text_ns(text)) << text;
  }
}

}  // namespace
