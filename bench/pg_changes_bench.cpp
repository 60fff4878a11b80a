// From a commit in PostgreSQL to the refusal in another process, on a profile that hears of changes.
//
// A child process looks a token up again and again, with a rest of kRest between, for each look takes a
// processor; the parent deletes the token's session in a transaction of its own. Counted is from the moment
// before the statement is sent to the moment at which the child first does not see "valid", so the commit
// itself is part of it. The server runs without fsync, as in pg_bench: a disk's share would be the disk's.
//
// usage: pg_changes_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <authcache/authcache.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/server_process.hpp"
#include "daemon/base/config.hpp"
#include "daemon/upstream/postgres_changes_ddl.hpp"
#include "shm/wire.hpp"
#include "tests/support/postgres_server.hpp"

namespace {

using namespace authcache_bench;

constexpr std::size_t kSessions = 2'000;
constexpr std::size_t kRounds = 3;
constexpr std::size_t kPerRound = 500;
constexpr timespec kRest{0, 50'000};
constexpr const char* kQuery =
    "SELECT token_hash AS token_key, user_id AS subject FROM sessions WHERE token_hash = ANY($1)";

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

std::string token_of(std::size_t i) {
  const std::string number = std::to_string(i);
  return std::string(43 - number.size(), 'A') + number;
}

// One client of the SDK.
class Asker {
 public:
  explicit Asker(const std::string& runtime) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.runtime_dir = runtime.c_str();
    if (authcache_open(&options, &client_) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
    if (authcache_requirement_create(client_, "shop", &requirement_) != AUTHCACHE_OK) die("no requirement");
  }
  ~Asker() {
    authcache_requirement_free(requirement_);
    authcache_close(client_);
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  [[nodiscard]] int lookup(const std::string& token) {
    return authcache_lookup(client_, token.data(), token.size(), requirement_, nullptr);
  }
  void make_known(const std::string& token) {
    for (int tries = 0; tries < 500; ++tries) {
      if (authcache_validate(client_, token.data(), token.size(), requirement_, 2'000, nullptr) ==
          AUTHCACHE_VALID)
        return;
      ::poll(nullptr, 0, 10);
    }
    die("a session does not become valid");
  }

 private:
  authcache_client* client_ = nullptr;
  authcache_requirement* requirement_ = nullptr;
};

struct Shared {
  std::atomic<std::size_t> wanted{0};  // the token to look at, plus one
  std::atomic<std::size_t> seen{0};    // the token seen valid, plus one
  std::atomic<std::int64_t> refused_ns{0};
};

[[noreturn]] void watch(Shared& shared, const std::string& runtime) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Asker asker(runtime);
  for (std::size_t last = 0;;) {
    const std::size_t wanted = shared.wanted.load();
    if (wanted == last) {
      ::nanosleep(&kRest, nullptr);
      continue;
    }
    last = wanted;
    const std::string token = token_of(wanted - 1);
    while (asker.lookup(token) != AUTHCACHE_VALID) ::nanosleep(&kRest, nullptr);
    shared.seen = wanted;
    while (asker.lookup(token) == AUTHCACHE_VALID) ::nanosleep(&kRest, nullptr);
    shared.refused_ns = now_ns();
  }
}

class Writer {
 public:
  explicit Writer(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) die(PQerrorMessage(connection_.get()));
  }
  void run(const std::string& sql) const {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_.get(), sql.c_str()),
                                                                PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) die(PQerrorMessage(connection_.get()));
  }

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

void prepare(const authcache_test::PostgresServer& server) {
  server.sql(
      "CREATE TABLE sessions (token_hash bytea PRIMARY KEY, user_id text NOT NULL); GRANT SELECT ON sessions "
      "TO reader;"
      "INSERT INTO sessions SELECT sha256(lpad(i::text, 43, 'A')::bytea), 'user' || i FROM "
      "generate_series(0, " +
      std::to_string(kSessions - 1) + ") i; ANALYZE sessions");
  authcached::ProfileConfig profile;
  profile.name = "shop";
  profile.upstream = authcached::UpstreamKind::kPostgresql;
  profile.connection = server.conninfo();
  authcached::ChangesDdl asked;
  asked.sessions = "sessions";
  asked.key = "token_hash";
  const auto ddl = authcached::changes_ddl(profile, asked);
  if (!ddl) die(ddl.error().message);
  server.sql(*ddl);
}

std::string write_config(const std::string& runtime, const std::string& state, const std::string& conninfo) {
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  const std::string file = state + "/authcached.toml";
  std::ofstream(file) << "runtime_dir = \"" << runtime << "\"\nstate_dir = \"" << state
                      << "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = "
                         "\"error\"\n[profile.shop]\nupstream = \"postgresql\"\n"
                         "connection = \""
                      << conninfo
                      << "\"\nkey_encoding = \"sha256\"\nrefresh = \"off\"\nchanges = \"listen\"\nquery = \""
                      << kQuery << "\"\n";
  return file;
}

double per_cent(std::vector<double> sorted, double share) {
  std::ranges::sort(sorted);
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::vector<double> measure(const Writer& writer, Asker& asker, Shared& shared, std::size_t first) {
  std::vector<double> took_ms;
  for (std::size_t i = first; i < first + kPerRound; ++i) {
    asker.make_known(token_of(i));
    shared.refused_ns = 0;
    shared.wanted = i + 1;
    while (shared.seen.load() != i + 1) ::nanosleep(&kRest, nullptr);
    const std::int64_t begun = now_ns();
    writer.run("DELETE FROM sessions WHERE token_hash = sha256('" + token_of(i) + "')");
    while (shared.refused_ns.load() == 0) ::nanosleep(&kRest, nullptr);
    took_ms.push_back(static_cast<double>(shared.refused_ns.load() - begun) / 1e6);
  }
  return took_ms;
}

void run(char** argv, const std::string& directory) {
  const authcache_test::PostgresServer server(directory + "/a");
  prepare(server);
  const std::string config = write_config(argv[2], argv[3], server.conninfo());
  const ServerProcess daemon({argv[1], "--config", config, "--first-start"},
                             std::filesystem::path(argv[2]) / authcache::shm::wire::kControlSocket);
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no memory");
  Shared& shared = *new (memory) Shared;
  const pid_t child = ::fork();
  if (child < 0) die("cannot fork");
  if (child == 0) watch(shared, argv[2]);
  Asker asker(argv[2]);
  const Writer writer(server.conninfo("admin"));
  FlatReport report;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const std::vector<double> took_ms = measure(writer, asker, shared, round * kPerRound);
    report.add("revoke_commit_to_refused_ms_p50", per_cent(took_ms, 0.5));
    report.add("revoke_commit_to_refused_ms_p99", per_cent(took_ms, 0.99));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  report.write(argv[4]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: pg_changes_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  // The server's user must reach its directory, and a socket's path is short.
  std::string directory = "/dev/shm/authcache-pg-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) die("cannot make a directory");
  std::filesystem::permissions(directory, std::filesystem::perms(0755));
  run(argv, directory);
  std::filesystem::remove_all(directory);
  return 0;
}
