// Session misses through the daemon's socket, beside a bare prepared-statement loop on the same database
// file.
//
// Both answer the same question for the same distinct tokens in the same order: hash the token, find its row,
// read its columns. The daemon also receives it, judges it, admits a record and answers; it has 64 questions
// in flight on one connection. Before each pass its table is flushed, so that every question goes to the
// database. Passes alternate. The same daemon began with an empty table, which it filled with all sessions of the
// database ("warm").
//
// usage: miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR [google benchmark flags]
#include <benchmark/benchmark.h>
#include <sqlite3.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "bench/session_daemon.hpp"
#include "daemon/base/sha256.hpp"

namespace {

using namespace authcache_bench;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kCapacity = 1'000'000;
constexpr std::size_t kCreatesPerRequest = 1'000;
constexpr std::size_t kCreators = 4;  // what is asked for while one transaction is written goes into the next
constexpr std::size_t kCreatesPerCaller = 10;

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

std::int64_t all_passes(const benchmark::State& state, std::size_t each) {
  return state.iterations() * static_cast<std::int64_t>(each);
}

void look_up(sqlite3_stmt* statement, const std::string& token) {
  const authcached::Sha256 hash = authcached::sha256(token);
  sqlite3_bind_blob(statement, 1, hash.data(), static_cast<int>(hash.size()), SQLITE_STATIC);
  if (sqlite3_step(statement) != SQLITE_ROW) die("a session is missing");
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    benchmark::DoNotOptimize(sqlite3_column_text(statement, column));
  }
  sqlite3_reset(statement);
}

void bare_loop(benchmark::State& state, const SessionDaemon& daemon) {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(daemon.database().c_str(), &db, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK)
    die("cannot open the sessions");
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(db, "SELECT * FROM sessions WHERE token_hash = ?1", -1, &statement, nullptr);
  for (auto _ : state) {
    const auto begun = Clock::now();
    for (const std::string& token : daemon.tokens()) look_up(statement, token);
    state.SetIterationTime(seconds_since(begun));
  }
  state.SetItemsProcessed(all_passes(state, daemon.tokens().size()));
  sqlite3_finalize(statement);
  sqlite3_close(db);
}

void through_daemon(benchmark::State& state, const SessionDaemon& daemon) {
  DaemonLink control(daemon.control_socket());
  for (auto _ : state) {
    control.control(R"({"verb":"flush"})");
    const auto begun = Clock::now();
    daemon.ask_all();
    state.SetIterationTime(seconds_since(begun));
  }
  state.SetItemsProcessed(all_passes(state, daemon.tokens().size()));
}

void create(benchmark::State& state, const SessionDaemon& daemon) {
  const auto ask = [&daemon] {
    DaemonLink control(daemon.control_socket());
    for (std::size_t request = 0; request < kCreatesPerCaller; ++request) {
      control.control(
          R"({"verb":"session_create","profile":"sessions","subject":"bench","scopes":["read"],"count":)" +
          std::to_string(kCreatesPerRequest) + "}");
    }
  };
  for (auto _ : state) {
    const auto begun = Clock::now();
    {
      std::vector<std::jthread> callers;
      for (std::size_t caller = 0; caller < kCreators; ++caller) callers.emplace_back(ask);
    }
    state.SetIterationTime(seconds_since(begun));
  }
  state.SetItemsProcessed(all_passes(state, kCreators * kCreatesPerCaller * kCreatesPerRequest));
}

// What the daemon did while it started, as it tells itself.
double warm_seconds(const SessionDaemon& daemon) {
  DaemonLink control(daemon.control_socket());
  for (;;) {
    const auto stats = boost::json::parse(control.control(R"({"verb":"stats"})")).as_object();
    const auto& warm = stats.at("warm").as_array().at(0).as_object();
    if (!warm.at("done").as_bool()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    if (warm.at("records").to_number<std::size_t>() != daemon.tokens().size()) die("not every session was warmed");
    return static_cast<double>(warm.at("took_ns").to_number<std::int64_t>()) / 1e9;
  }
}

// Once a start: every repetition tells of the same one.
void warm(benchmark::State& state, const SessionDaemon& daemon, double seconds) {
  for (auto _ : state) state.SetIterationTime(seconds);
  state.SetItemsProcessed(all_passes(state, daemon.tokens().size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) die("usage: miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR [flags]");
  const SessionDaemon daemon(argv[1], argv[2], argv[3], {.capacity = kCapacity, .profile_lines = "warm = 10000000\n"});
  const double warmed = warm_seconds(daemon);
  argv[3] = argv[0];
  int rest = argc - 3;
  benchmark::Initialize(&rest, argv + 3);
  const auto add = [&](const char* name, void (*run)(benchmark::State&, const SessionDaemon&)) {
    benchmark::RegisterBenchmark(name, [&daemon, run](benchmark::State& state) {
      run(state, daemon);
    })->UseManualTime();
  };
  add("sqlite_loop", bare_loop);
  add("session_miss", through_daemon);
  add("session_create", create);
  benchmark::RegisterBenchmark("warm", [&](benchmark::State& state) {
    warm(state, daemon, warmed);
  })->UseManualTime()->Iterations(1);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
