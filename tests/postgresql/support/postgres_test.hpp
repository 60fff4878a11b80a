// A test with a real PostgreSQL server, one for all cases of a program, and a daemon of its own for each case
// whose profile "shop" asks it. Skips, saying so, where no server can run.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/process/support/daemon_process.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/test_ca.hpp"

namespace authcache_test {

// SHA-256 in lower-case hex.
[[nodiscard]] std::string hex_sha256(const std::string& text);

// A table of sessions by hash, as a program would have it.
inline constexpr const char* kPlainSchema = R"(
  CREATE TABLE sessions (token_hash bytea PRIMARY KEY, user_id text NOT NULL, roles text[] NOT NULL DEFAULT '{}',
                         created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, revoked_at timestamptz);
  GRANT SELECT ON sessions TO reader, guarded;
)";
inline constexpr const char* kPlainQuery =
    "SELECT token_hash AS token_key, user_id AS subject, roles, created_at AS created, expires_at AS "
    "expires, "
    "revoked_at AS revoked FROM sessions WHERE token_hash = ANY($1)";

struct Shop {
  std::string connection;
  std::string query = kPlainQuery;
  std::string key_encoding = "sha256";
  std::string more = {};  // further lines of the profile
};

class PostgresTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;

  // The database as it was made: an empty schema "public".
  static void clear(const std::string& ddl);
  static void insert_plain(const std::string& token, const std::string& user, const std::string& values = {});

  void configure(const Shop& shop) const;
  void configure_profile(const std::string& section) const;
  void start_configured();
  void start(const Shop& shop);
  void start() { start({.connection = server_->conninfo()}); }

  [[nodiscard]] std::string validate(const std::string& token, int timeout_ms = 8'000) {
    return reader_->validate({.profile = "shop", .token = token, .timeout_ms = timeout_ms});
  }
  [[nodiscard]] std::string lookup(const std::string& token) {
    return reader_->lookup({.profile = "shop", .token = token});
  }
  // All of them before the first answer; the verdicts in their order, -1 where none came.
  [[nodiscard]] std::vector<int> validate_together(const std::vector<std::string>& tokens) const;
  [[nodiscard]] bool becomes(const std::string& token, const std::string& answer) {
    return eventually([&] { return validate(token) == answer; });
  }
  // Asked once while nobody was connected yet, a token is unavailable: wait for the connection first.
  [[nodiscard]] bool connected() const {
    return eventually([&] { return state().at("state").as_string() == "connected"; });
  }
  [[nodiscard]] boost::json::object state() const;
  [[nodiscard]] std::string error() const { return std::string(state().at("error").as_string()); }
  [[nodiscard]] std::int64_t count(const char* member) const {
    return state().at(member).to_number<std::int64_t>();
  }

  static std::unique_ptr<PostgresServer> server_;
  static std::unique_ptr<authcached::testing::TestCa> authority_;
  static std::filesystem::path directory_;
  std::optional<DaemonProcess> daemon_;
  std::optional<ReaderProcess> reader_;
};

}  // namespace authcache_test
