// A PostgresTest whose profile hears of changes, in a database made ready as authctl sql postgres says.
// Records live for minutes and are not refreshed: what is refused was heard.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/postgresql/support/postgres_test.hpp"

namespace authcache_test {

// A session of the superuser that stays open between its statements.
class OpenSession {
 public:
  explicit OpenSession(const PostgresServer& server);
  void sql(const std::string& text) const;

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

class ChangesTest : public PostgresTest {
 protected:
  static constexpr const char* kListen = "changes = \"listen\"\nttl_max = \"10m\"\nrefresh = \"off\"\n";
  void SetUp() override;

  // What authctl prints for the configured profile.
  [[nodiscard]] std::string ddl(const std::vector<std::string>& more = {"--table", "sessions", "--key",
                                                                        "token_hash"}) const;
  // Configures, makes the database ready, starts, and waits until changes are heard.
  void listen(Shop shop = {},
              const std::vector<std::string>& more = {"--table", "sessions", "--key", "token_hash"});
  void listen_at(const std::string& connection, const std::string& more = {});
  void start_listening(const Shop& shop);

  [[nodiscard]] boost::json::object changes() const { return state().at("changes").as_object(); }
  [[nodiscard]] std::int64_t told(const char* member) const {
    return changes().at(member).to_number<std::int64_t>();
  }
  [[nodiscard]] bool hears() const {
    return eventually([&] { return changes().at("state").as_string() == "hearing"; });
  }
  // A hit in another process becomes this answer, without anybody asking the daemon.
  [[nodiscard]] bool lookup_becomes(const std::string& token, const std::string& answer) {
    return eventually([&] { return lookup(token) == answer; });
  }
  // Good, and a hit from now on.
  std::string known(const std::string& token, const std::string& user = "alice");
  void forget(const std::string& token, const PostgresServer& server) const {
    server.sql("DELETE FROM sessions WHERE token_hash = '\\x" + hex_sha256(token) + "'");
  }
  void forget(const std::string& token) const { forget(token, *server_); }
};

}  // namespace authcache_test
