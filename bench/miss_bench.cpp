// Session misses through the daemon's socket, beside a bare prepared-statement loop on the same database file.
//
// Both answer the same question for the same distinct tokens in the same order: hash the token, find its row, read its
// columns. The daemon also receives it, judges it, admits a record and answers; it has 64 questions in flight on one
// connection. Before each pass its table is flushed, so that every question goes to the database. Passes alternate.
//
// usage: miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR [google benchmark flags]
#include <benchmark/benchmark.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/sha256.hpp"
#include "daemon/upstream/session_store.hpp"
#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSessions = 100'000;
constexpr std::size_t kInFlight = 64;
constexpr std::size_t kCreatesPerRequest = 1'000;
constexpr const char* kProfile = "sessions";

[[noreturn]] void die(const std::string& sentence) {
  std::cerr << "miss_bench: " << sentence << '\n';
  std::exit(1);
}

std::int64_t wall_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// One connection, blocking, frames in and out.
class Client {
 public:
  explicit Client(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) die("the daemon closed the connection");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // Reads at least one frame and hands over each that is whole.
  template <class Fn>
  void receive(Fn fn) {
    for (bool any = false; !any;) {
      char bytes[64 * 1024];
      const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (got <= 0) die("the daemon closed the connection");
      buffer_.append(bytes, static_cast<std::size_t>(got));
      std::size_t at = 0;
      while (buffer_.size() - at >= wire::kHeadBytes) {
        char head_bytes[wire::kHeadBytes];
        std::memcpy(head_bytes, buffer_.data() + at, sizeof head_bytes);
        const wire::Head head = wire::decode_head(head_bytes);
        if (buffer_.size() - at - wire::kHeadBytes < head.size) break;
        fn(head, std::string_view(buffer_).substr(at + wire::kHeadBytes, head.size));
        at += wire::kHeadBytes + head.size;
        any = true;
      }
      buffer_.erase(0, at);
    }
  }

  std::string control(const std::string& request) {
    std::string frame, reply;
    wire::append_frame(frame, wire::Type::kControl, 1, request);
    send(frame);
    receive([&](const wire::Head&, std::string_view payload) { reply = payload; });
    if (reply.find("\"ok\":true") == std::string::npos) die(request.substr(0, 40) + " was answered " + reply.substr(0, 200));
    return reply;
  }

 private:
  shm::UniqueFd fd_;
  bool connected_ = false;
  std::string buffer_;
};

class Bench {
 public:
  Bench(std::string daemon, std::filesystem::path runtime, std::filesystem::path state)
      : runtime_(std::move(runtime)), database_(state / "sessions.db") {
    std::filesystem::create_directory(state);
    std::filesystem::permissions(state, std::filesystem::perms::owner_all);
    fill_database();
    start_daemon(daemon, state);
  }
  ~Bench() {
    ::kill(daemon_, SIGTERM);
    ::waitpid(daemon_, nullptr, 0);
  }

  void bare_loop(benchmark::State& state) {
    sqlite3* db = nullptr;
    if (sqlite3_open_v2(database_.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) die("cannot open the sessions");
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, "SELECT * FROM sessions WHERE token_hash = ?1", -1, &statement, nullptr);
    for (auto _ : state) {
      const auto begun = Clock::now();
      for (const std::string& token : tokens_) look_up(statement, token);
      state.SetIterationTime(seconds_since(begun));
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens_.size()));
    sqlite3_finalize(statement);
    sqlite3_close(db);
  }

  void through_daemon(benchmark::State& state) {
    Client control(runtime_ / wire::kControlSocket);
    for (auto _ : state) {
      control.control(R"({"verb":"flush"})");
      Client client(runtime_ / wire::kMissSocket);
      const auto begun = Clock::now();
      ask_all(client);
      state.SetIterationTime(seconds_since(begun));
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens_.size()));
  }

  void create(benchmark::State& state) {
    Client control(runtime_ / wire::kControlSocket);
    for (auto _ : state) {
      const auto begun = Clock::now();
      control.control(R"({"verb":"session_create","profile":"sessions","subject":"bench","scopes":["read"],"count":)" +
                      std::to_string(kCreatesPerRequest) + "}");
      state.SetIterationTime(seconds_since(begun));
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCreatesPerRequest));
  }

 private:
  static double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

  static void look_up(sqlite3_stmt* statement, const std::string& token) {
    const authcached::Sha256 hash = authcached::sha256(token);
    sqlite3_bind_blob(statement, 1, hash.data(), static_cast<int>(hash.size()), SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_ROW) die("a session is missing");
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      benchmark::DoNotOptimize(sqlite3_column_text(statement, column));
    }
    sqlite3_reset(statement);
  }

  void fill_database() {
    authcached::ProfileConfig profile;
    profile.name = kProfile;
    auto store = authcached::SessionStore::open(profile, database_);
    if (!store) die(store.error().message);
    const std::int64_t now = wall_now_ns();
    authcached::SessionSpec spec{"user", "web", {"read", "write"}, {"member"}, {}, now, now + std::int64_t{3600} * 1'000'000'000};
    while (tokens_.size() < kSessions) {
      auto created = store->create(spec, 10'000);
      if (!created) die(created.error().message);
      for (auto& session : *created) tokens_.push_back(std::move(session.token));
    }
  }

  void start_daemon(const std::string& daemon, const std::filesystem::path& state) {
    const auto config = state / "authcached.toml";
    std::ofstream(config) << "runtime_dir = \"" << runtime_.string() << "\"\nstate_dir = \"" << state.string()
                          << "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity = 1000000\n"
                             "[limits]\nmisses_per_second_per_uid = 10000000\nmiss_burst_per_uid = 10000000\n[profile.sessions]\nupstream = \"sqlite\"\n";
    std::string config_text = config.string();
    std::string arguments[] = {daemon, "--config", config_text, "--first-start"};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), arguments[3].data(), nullptr};
    if (::posix_spawn(&daemon_, daemon.c_str(), nullptr, nullptr, argv, environ) != 0) die("cannot start " + daemon);
    for (int tries = 0; tries < 1'000; ++tries) {
      if (Client(runtime_ / wire::kControlSocket).connected()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    die("the daemon did not start");
  }

  void ask_all(Client& client) {
    std::size_t asked = 0, answered = 0;
    std::string frames;
    while (answered < tokens_.size()) {
      frames.clear();
      for (; asked < tokens_.size() && asked - answered < kInFlight; ++asked) {
        wire::append_validate(frames, asked + 1, {.timeout_ms = 2'000, .profile = kProfile, .token = tokens_[asked]});
      }
      if (!frames.empty()) client.send(frames);
      client.receive([&](const wire::Head&, std::string_view payload) {
        const auto reply = wire::decode_validate_reply(payload);
        if (!reply || reply->verdict != shm::Verdict::kValid) die("a session was not valid");
        ++answered;
      });
    }
  }

  std::filesystem::path runtime_, database_;
  std::vector<std::string> tokens_;
  pid_t daemon_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR [flags]\n";
    return 2;
  }
  Bench bench(argv[1], argv[2], argv[3]);
  argv[3] = argv[0];
  int rest = argc - 3;
  benchmark::Initialize(&rest, argv + 3);
  benchmark::RegisterBenchmark("sqlite_loop", [&](benchmark::State& state) { bench.bare_loop(state); })->UseManualTime();
  benchmark::RegisterBenchmark("session_miss", [&](benchmark::State& state) { bench.through_daemon(state); })->UseManualTime();
  benchmark::RegisterBenchmark("session_create", [&](benchmark::State& state) { bench.create(state); })->UseManualTime();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
