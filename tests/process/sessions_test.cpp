// Sessions of our own store, made by authctl, by hand and by another program with a schema of its own.
#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <sqlite3.h>

#include <stdexcept>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

std::string sha256_hex(std::string_view text) {
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  std::string hex;
  for (const unsigned char byte : hash) {
    constexpr const char* kDigits = "0123456789abcdef";
    hex += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return hex;
}

// Another program with the database open.
class Database {
 public:
  explicit Database(const std::filesystem::path& file) {
    if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK)
      throw std::runtime_error("cannot open " + file.string());
    sqlite3_busy_timeout(db_, 5'000);
  }
  ~Database() { sqlite3_close(db_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  void run(const std::string& sql) const {
    char* error = nullptr;
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error) != SQLITE_OK)
      throw std::runtime_error(error);
  }

 private:
  sqlite3* db_ = nullptr;
};

std::string row_of(const std::string& token) {
  const std::string now = std::to_string(now_seconds()) + "000000000",
                    end = std::to_string(now_seconds() + 600) + "000000000";
  return "INSERT INTO sessions(token_hash, subject, client_id, sid, scopes, roles, permissions, created_ns, "
         "expires_ns, last_seen_ns) VALUES (x'" +
         sha256_hex(token) + "', 'bob', '', 'by-hand', 'read', '', '', " + now + ", " + end + ", " + now +
         ")";
}

TEST(OwnSessions, AThousandNewOnesAreHitsInAnotherProcessAtOnce) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::vector<std::string> tokens = scene.create_sessions(1'000);
  ASSERT_EQ(tokens.size(), 1'000u);
  std::size_t valid = 0;
  for (const std::string& token : tokens) valid += reader.lookup(session(token)) == "valid" ? 1 : 0;
  EXPECT_EQ(valid, 1'000u);
}

TEST(OwnSessions, OneRevokedByItsSidIsRefusedAtOnceAndListedAsRevoked) {
  Scene scene;
  scene.start();
  const Ran created =
      scene.daemon.authctl({"session", "create", "--subject", "carol", "--count", "2", "--json"});
  ASSERT_EQ(created.exit, 0) << created.err;
  const auto document = created.json();
  const auto& made = document.at("sessions").as_array();
  const Question ended{.profile = "sessions", .token = std::string(made.at(0).at("token").as_string())};
  const Question kept{.profile = "sessions", .token = std::string(made.at(1).at("token").as_string())};
  const std::string sid(made.at(0).at("sid").as_string());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(ended), "valid");
  const Ran revoke = scene.daemon.authctl({"session", "revoke", sid});
  ASSERT_EQ(revoke.exit, 0) << revoke.err;
  EXPECT_NE(reader.lookup(ended), "valid");
  EXPECT_EQ(reader.validate(ended), "invalid/revoked");
  EXPECT_EQ(reader.lookup(kept), "valid");

  const auto list = scene.daemon.authctl({"session", "list", "--subject", "carol", "--json"}).json();
  ASSERT_EQ(list.at("sessions").as_array().size(), 2u);
  for (const auto& each : list.at("sessions").as_array()) {
    EXPECT_EQ(each.at("revoked_wall_ns").is_null(), each.at("sid").as_string() != sid);
    EXPECT_FALSE(each.as_object().contains("token"));
  }
  EXPECT_EQ(scene.daemon.authctl({"session", "revoke", "no-such-sid"}).exit, 1);
}

TEST(OwnSessions, OneRevokedByItsSidStaysRefusedAfterAKill) {
  Scene scene;
  scene.start();
  const Ran created = scene.daemon.authctl({"session", "create", "--subject", "carol", "--json"});
  const auto made = created.json().at("sessions").as_array().at(0);
  const Question question{.profile = "sessions", .token = std::string(made.at("token").as_string())};
  ASSERT_EQ(scene.daemon.authctl({"session", "revoke", std::string(made.at("sid").as_string())}).exit, 0);
  scene.daemon.kill();
  scene.start(DaemonProcess::First::kNo);
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(question), "invalid/revoked");
}

TEST(OwnSessions, TheStoreHoldsNoTokens) {
  Scene scene;
  scene.start();
  const std::string token = scene.create_session();
  for (const char* suffix : {"", "-wal"})
    EXPECT_FALSE(read_file(scene.sessions_db().string() + suffix).contains(token));
}

TEST(OwnSessions, AnExpiredOneIsRefused) {
  Scene scene;
  scene.start();
  const Question question = session(scene.create_session({"--ttl", "1s"}));
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.lookup(question), "valid");
  EXPECT_TRUE(eventually([&] { return reader.lookup(question) != "valid"; }));
  EXPECT_TRUE(eventually([&] { return reader.validate(question) == "invalid/expired"; }));
}

TEST(OwnSessions, ARowDeletedByHandIsUnknownOnceItsRecordIsGone) {
  Scene scene;
  scene.start();
  const Question question = session(scene.create_session());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.lookup(question), "valid");
  Database(scene.sessions_db())
      .run("DELETE FROM sessions WHERE token_hash = x'" + sha256_hex(question.token) + "'");
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  EXPECT_EQ(reader.lookup(question), "miss");
  EXPECT_EQ(reader.validate(question), "invalid/unknown");
}

// B12
TEST(OwnSessions, B12_ATokenThatCameBeforeItsRowIsAcceptedWithinTheNegativeTtl) {
  Scene scene({.sessions = "negative_ttl = \"1s\""});
  scene.start();
  const Question question = session(random_token());
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(question), "invalid/unknown");
  ASSERT_EQ(reader.lookup(question), "invalid/unknown");
  Database(scene.sessions_db()).run(row_of(question.token));
  EXPECT_TRUE(eventually([&] { return reader.validate(question) == "valid"; }, milliseconds(3'000)));
  EXPECT_EQ(reader.subject(), "bob");
}

class Shop {
 public:
  Shop() {
    database.run(
        "CREATE TABLE logins(token_hash TEXT PRIMARY KEY, user_id TEXT, created_at INTEGER, expires_at "
        "INTEGER, logged_out_at INTEGER)");
    scene.settings.limits = "upstream_timeout = \"500ms\"";
    scene.settings.more =
        "\n[profile.shop]\nupstream = \"sqlite\"\ndatabase = \"" + file.string() +
        "\"\nkey_encoding = \"hex_sha256\"\nnegative_ttl = \"100ms\"\nquery = \"SELECT user_id AS subject, "
        "created_at AS created, "
        "expires_at AS expires, logged_out_at AS revoked FROM logins WHERE token_hash = ?1\"\n";
    scene.configure();
  }
  Question add(const std::string& user) const {
    const std::string token = random_token();
    database.run("INSERT INTO logins VALUES ('" + sha256_hex(token) + "', '" + user + "', " +
                 std::to_string(now_seconds() - 10) + ", " + std::to_string(now_seconds() + 600) + ", NULL)");
    return {.profile = "shop", .token = token};
  }

  Scene scene;
  std::filesystem::path file = scene.daemon.scratch("shop.sqlite");
  Database database{file};
};

TEST(ForeignSessions, AnExistingSchemaAnswersByItsHashesAndIsNotWritten) {
  Shop shop;
  const Question carol = shop.add("carol"), out = shop.add("dave");
  shop.database.run("UPDATE logins SET logged_out_at = 1 WHERE user_id = 'dave'");
  const std::string before = read_file(shop.file);
  shop.scene.start();
  ReaderProcess reader(shop.scene.daemon.runtime_dir()), other(shop.scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(carol), "valid");
  EXPECT_EQ(reader.subject(), "carol");
  EXPECT_EQ(other.lookup(carol), "valid");
  EXPECT_EQ(reader.validate(out), "invalid/revoked");
  EXPECT_EQ(reader.validate({.profile = "shop", .token = random_token()}), "invalid/unknown");
  EXPECT_EQ(read_file(shop.file), before);
}

TEST(ForeignSessions, ARevocationHoldsAlthoughTheOtherProgramsRowIsStillGood) {
  Shop shop;
  const Question carol = shop.add("carol");
  shop.scene.start();
  ReaderProcess reader(shop.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(carol), "valid");
  ASSERT_EQ(shop.scene.daemon.revoke(carol.token).exit, 0);
  EXPECT_EQ(reader.validate(carol), "invalid/revoked");
  shop.scene.daemon.kill();
  shop.scene.start(DaemonProcess::First::kNo);
  EXPECT_EQ(reader.validate(carol), "invalid/revoked");
}

// B15
TEST(ForeignSessions, B15_ALockedDatabaseIsUnavailableNotInvalidAndComesBack) {
  Shop shop;
  const Question known = shop.add("carol"), unseen = shop.add("dave");
  shop.scene.start();
  ReaderProcess reader(shop.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(known), "valid");
  shop.database.run("BEGIN EXCLUSIVE");
  const std::string answer = reader.validate(unseen);
  EXPECT_TRUE(answer.starts_with("unavailable/")) << answer;
  EXPECT_EQ(reader.lookup(unseen), "miss") << "nothing of it is cached";
  EXPECT_EQ(reader.lookup(known), "valid") << "what was proved before is served on";
  EXPECT_EQ(reader.validate(session(shop.scene.create_session())), "valid")
      << "another profile is not held up";
  shop.database.run("COMMIT");
  EXPECT_TRUE(eventually([&] { return reader.validate(unseen) == "valid"; }));
}

TEST(ForeignSessions, ADatabaseReplacedUnderTheDaemonIsOpenedAnew) {
  Shop shop;
  const Question known = shop.add("carol");
  shop.scene.start();
  ReaderProcess reader(shop.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(known), "valid");
  const std::filesystem::path fresh = shop.scene.daemon.scratch("fresh.sqlite");
  const std::string token = random_token();
  {
    const Database next(fresh);
    next.run(
        "CREATE TABLE logins(token_hash TEXT PRIMARY KEY, user_id TEXT, created_at INTEGER, expires_at "
        "INTEGER, logged_out_at INTEGER)");
    next.run("INSERT INTO logins VALUES ('" + sha256_hex(token) + "', 'erin', " +
             std::to_string(now_seconds() - 10) + ", " + std::to_string(now_seconds() + 600) + ", NULL)");
  }
  std::filesystem::rename(fresh, shop.file);
  EXPECT_TRUE(eventually([&] { return reader.validate({.profile = "shop", .token = token}) == "valid"; }));
}

}  // namespace
}  // namespace authcache_test
