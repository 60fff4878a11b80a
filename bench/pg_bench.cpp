// Distinct session misses through the daemon on PostgreSQL, beside a bare libpq loop on the same table of the
// same server.
//
// Both answer the same question for the same tokens in the same order: hash the token, find its row, read its
// columns. The bare loop holds 256 single-key queries of a prepared statement in flight in pipeline mode on
// one connection, with a sync for every 64. The daemon gets 256 questions in flight by authcache_submit,
// judges each row, admits a record and answers; the client then finds it in the table. Before each pass the
// table is flushed. Rounds alternate.
//
// usage: pg_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <authcache/authcache.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/server_process.hpp"
#include "daemon/base/sha256.hpp"
#include "shm/wire.hpp"
#include "tests/support/postgres_server.hpp"

namespace {

using namespace authcache_bench;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSessions = 100'000;
constexpr std::size_t kInFlight = 256;
constexpr std::size_t kQueriesPerSync = 64;
constexpr int kRounds = 7;
constexpr const char* kColumns =
    "token_hash AS token_key, user_id AS subject, roles, created_at AS created, expires_at AS expires, "
    "revoked_at AS revoked";

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

std::vector<std::string> make_tokens() {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < kSessions; ++i) {
    const std::string number = std::to_string(i);
    tokens.push_back(std::string(43 - number.size(), 'A') + number);
  }
  return tokens;
}

void fill(const authcache_test::PostgresServer& server) {
  server.sql(
      "CREATE TABLE sessions (token_hash bytea PRIMARY KEY, user_id text NOT NULL, roles text[] NOT NULL, "
      "created_at timestamptz NOT NULL, "
      "expires_at timestamptz, revoked_at timestamptz); GRANT SELECT ON sessions TO reader;"
      "INSERT INTO sessions SELECT sha256(lpad(i::text, 43, 'A')::bytea), 'user' || i, '{member}', now(), "
      "now() + interval '1 hour', NULL FROM "
      "generate_series(0, " +
      std::to_string(kSessions - 1) + ") i; ANALYZE sessions; CHECKPOINT");
}

class BareLoop {
 public:
  explicit BareLoop(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), PQfinish) {
    const std::string query = std::string("SELECT ") + kColumns + " FROM sessions WHERE token_hash = $1";
    const std::unique_ptr<PGresult, void (*)(PGresult*)> prepared(
        PQprepare(connection_.get(), "find", query.c_str(), 0, nullptr), PQclear);
    if (PQresultStatus(prepared.get()) != PGRES_COMMAND_OK) die(PQerrorMessage(connection_.get()));
    if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) == 0)
      die("no pipeline mode");
  }

  double pass(const std::vector<std::string>& tokens) {
    const auto begun = Clock::now();
    std::size_t asked = 0, answered = 0;
    while (answered < tokens.size()) {
      while (asked < tokens.size() && asked - answered + kQueriesPerSync <= kInFlight) {
        for (std::size_t i = 0; i < kQueriesPerSync && asked < tokens.size(); ++i) ask(tokens[asked++]);
        if (PQpipelineSync(connection_.get()) == 0) die(PQerrorMessage(connection_.get()));
      }
      if (PQflush(connection_.get()) < 0) die(PQerrorMessage(connection_.get()));
      pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
      if (::poll(&socket, 1, -1) != 1 || PQconsumeInput(connection_.get()) == 0) die("the server went");
      answered += take();
    }
    return static_cast<double>(tokens.size()) / seconds_since(begun);
  }

  [[nodiscard]] std::uint64_t read() const { return read_; }

 private:
  void ask(const std::string& token) {
    const authcached::Sha256 hash = authcached::sha256(token);
    const char* const value = reinterpret_cast<const char*>(hash.data());
    const int size = static_cast<int>(hash.size()), binary = 1;
    if (PQsendQueryPrepared(connection_.get(), "find", 1, &value, &size, &binary, 1) == 0)
      die(PQerrorMessage(connection_.get()));
  }

  std::size_t take() {
    std::size_t rows = 0;
    for (int ends = 0; ends < 2 && PQisBusy(connection_.get()) == 0;) {
      const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(connection_.get()), PQclear);
      ends = result ? 0 : ends + 1;
      if (!result || PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) continue;
      if (PQntuples(result.get()) != 1) die("a session is missing");
      for (int column = 0; column < PQnfields(result.get()); ++column)
        read_ += static_cast<unsigned char>(*PQgetvalue(result.get(), 0, column));
      ++rows;
    }
    return rows;
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  std::uint64_t read_ = 0;
};

class ThroughDaemon {
 public:
  explicit ThroughDaemon(const std::string& runtime)
      : control_(std::filesystem::path(runtime) / authcache::shm::wire::kControlSocket) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.runtime_dir = runtime.c_str();
    if (authcache_open(&options, &client_) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
    if (authcache_requirement_create(client_, "shop", &requirement_) != AUTHCACHE_OK) die("no requirement");
    answers_.resize(kInFlight);
    for (authcache_answer& answer : answers_) answer = authcache_answer AUTHCACHE_ANSWER_INIT;
  }
  ~ThroughDaemon() {
    authcache_requirement_free(requirement_);
    authcache_close(client_);
  }
  ThroughDaemon(const ThroughDaemon&) = delete;
  ThroughDaemon& operator=(const ThroughDaemon&) = delete;

  double pass(const std::vector<std::string>& tokens) {
    control_.control(R"({"verb":"flush"})");
    const auto begun = Clock::now();
    std::size_t asked = 0, answered = 0;
    while (answered < tokens.size()) {
      for (; asked < tokens.size() && asked - answered < kInFlight; ++asked) {
        if (authcache_submit(client_, tokens[asked].data(), tokens[asked].size(), requirement_, 5'000, asked,
                             nullptr, nullptr) != AUTHCACHE_MISS)
          die("a flushed session was not asked for");
      }
      pollfd ready{authcache_fd(client_), POLLIN, 0};
      (void)::poll(&ready, 1, 1'000);
      const int got = authcache_collect(client_, answers_.data(), answers_.size());
      for (int i = 0; i < got; ++i) {
        if (answers_[static_cast<std::size_t>(i)].verdict != AUTHCACHE_VALID) die("a session was not valid");
      }
      answered += static_cast<std::size_t>(std::max(got, 0));
    }
    return static_cast<double>(tokens.size()) / seconds_since(begun);
  }

  // One question after the other until it is answered: the daemon connects by itself.
  void wait_for(const std::string& token) {
    for (int tries = 0; tries < 500; ++tries) {
      if (authcache_validate(client_, token.data(), token.size(), requirement_, 2'000, nullptr) ==
          AUTHCACHE_VALID)
        return;
      ::poll(nullptr, 0, 10);
    }
    die("the daemon does not reach the database");
  }
  std::string upstreams() { return control_.control(R"({"verb":"upstreams"})"); }

 private:
  DaemonLink control_;
  authcache_client* client_ = nullptr;
  authcache_requirement* requirement_ = nullptr;
  std::vector<authcache_answer> answers_;
};

std::string write_config(const std::string& runtime, const std::string& state, const std::string& conninfo) {
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  const std::string file = state + "/authcached.toml";
  std::ofstream(file)
      << "runtime_dir = \"" << runtime << "\"\nstate_dir = \"" << state
      << "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity = 200000\n[limits]\n"
         "misses_per_second_per_uid = 10000000\nmiss_burst_per_uid = 10000000\n[profile.shop]\nupstream = "
         "\"postgresql\"\nconnection = \""
      << conninfo << "\"\nkey_encoding = \"sha256\"\nrefresh = \"off\"\nquery = \"SELECT " << kColumns
      << " FROM sessions WHERE token_hash = ANY($1)\"\n";
  return file;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: pg_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  // The server's user must reach its directory, and a socket's path is short.
  std::string directory = "/dev/shm/authcache-pg-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) die("cannot make a directory");
  std::filesystem::permissions(directory, std::filesystem::perms(0755));
  {
    const authcache_test::PostgresServer server(directory + "/a");
    fill(server);
    const std::string config = write_config(argv[2], argv[3], server.conninfo());
    const ServerProcess daemon({argv[1], "--config", config, "--first-start"},
                               std::filesystem::path(argv[2]) / authcache::shm::wire::kControlSocket);
    const std::vector<std::string> tokens = make_tokens();
    ThroughDaemon ours(argv[2]);
    BareLoop bare(server.conninfo());
    ours.wait_for(tokens[0]);
    (void)bare.pass(tokens);  // the server reads its pages for the first time
    (void)ours.pass(tokens);
    FlatReport report;
    for (int round = 0; round < kRounds; ++round) {
      const double one = round % 2 == 0 ? ours.pass(tokens) : bare.pass(tokens);
      const double other = round % 2 == 0 ? bare.pass(tokens) : ours.pass(tokens);
      const double daemon_rate = round % 2 == 0 ? one : other, bare_rate = round % 2 == 0 ? other : one;
      report.add("pg_lookup_per_s", daemon_rate);
      report.add("pg_pipeline_per_s", bare_rate);
      report.add("pg_lookup_over_pipeline", daemon_rate / bare_rate);
    }
    if (bare.read() == 0) die("nothing was read");  // or the compiler could leave it out
    report.write(argv[4]);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
