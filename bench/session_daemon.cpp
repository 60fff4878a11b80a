#include "bench/session_daemon.hpp"

#include <chrono>
#include <fstream>

#include "bench/ask_all.hpp"
#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "daemon/base/config.hpp"
#include "daemon/upstream/session_store.hpp"

namespace authcache_bench {
namespace {

namespace wire = authcache::shm::wire;

constexpr std::size_t kInFlight = 64;
constexpr std::size_t kPerTransaction = 10'000;
constexpr std::int64_t kSessionLifeNs = std::int64_t{3600} * 1'000'000'000;

std::int64_t wall_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

SessionDaemon::SessionDaemon(std::string program, std::filesystem::path runtime, std::filesystem::path state,
                             Setup setup)
    : runtime_(std::move(runtime)),
      state_(std::move(state)),
      database_(state_ / "sessions.db"),
      setup_(std::move(setup)) {
  std::filesystem::create_directory(state_);
  std::filesystem::permissions(state_, std::filesystem::perms::owner_all);
  fill_database();
  write_config(setup_.capacity);
  const std::vector<std::string> command{std::move(program), "--config",
                                         (state_ / "authcached.toml").string(), "--first-start"};
  process_ = std::make_unique<ServerProcess>(command, control_socket());
}

std::filesystem::path SessionDaemon::control_socket() const { return runtime_ / wire::kControlSocket; }

void SessionDaemon::fill_database() {
  authcached::ProfileConfig profile;
  profile.name = kProfile;
  auto store = authcached::SessionStore::open(profile, database_);
  if (!store) die(store.error().message);
  const std::int64_t now = wall_now_ns();
  while (tokens_.size() < setup_.sessions) {
    std::vector<authcached::SessionOrder> orders;
    for (std::size_t i = 0; i < kPerTransaction; ++i) {
      const std::string subject = "user-" + std::to_string(tokens_.size() + i);
      orders.push_back({{subject, "web", {"read", "write"}, {"member"}, {}, now, now + kSessionLifeNs}, 1});
    }
    for (auto& created : store->create(orders)) {
      if (!created) die(created.error().message);
      tokens_.push_back(std::move(created->front().token));
    }
  }
}

void SessionDaemon::write_config(std::uint64_t capacity) const {
  std::ofstream(state_ / "authcached.toml")
      << "runtime_dir = \"" << runtime_.string() << "\"\nstate_dir = \"" << state_.string()
      << "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity = " << capacity
      << "\nheartbeat_timeout = \"2s\"\n[limits]\nmisses_per_second_per_uid = 10000000\n"
         "miss_burst_per_uid = 10000000\n[profile.sessions]\nupstream = \"sqlite\"\n"
      << setup_.profile_lines << setup_.sections;
}

void SessionDaemon::reload(std::uint64_t capacity) const {
  write_config(capacity);
  DaemonLink(control_socket()).control(R"({"verb":"reload"})");
}

void SessionDaemon::ask_all() const {
  authcache_bench::ask_all(runtime_ / wire::kMissSocket, kProfile, tokens_, kInFlight);
}

}  // namespace authcache_bench
