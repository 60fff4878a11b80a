#include "daemon/control/housekeeping.hpp"

#include <algorithm>

#include "daemon/base/config_ranges.hpp"
#include "daemon/base/log.hpp"
#include "daemon/cache/take_over.hpp"
#include "daemon/upstream/sqlite_upstream.hpp"

namespace authcached {

namespace shm = authcache::shm;
using namespace std::chrono_literals;

namespace {

constexpr auto kSweepInterval = 100ms;
// The whole table once in a minute: a spent record costs room until then, never a wrong answer.
constexpr std::uint64_t kSweepsPerTable = 600;
constexpr auto kKeySetInterval = 1s;    // how long a key put into or taken out of a file may go unnoticed
constexpr auto kPurgeInterval = 10s;
constexpr auto kTableCheckInterval = 1s;
// A tenth of the least heartbeat_timeout that may be configured: a reload can bring any.
constexpr auto kBeatInterval = std::chrono::nanoseconds(kHeartbeatTimeoutRange.low) / 10;

}  // namespace

void Housekeeping::start(std::function<void()> replace_table) {
  replace_table_ = std::move(replace_table);
  services_.loop.every(kBeatInterval, [this] { beat(); });
  services_.loop.every(kSweepInterval, [this] {
    sweep();
    expire_overdue();
    key_sets_.catch_up();
    services_.changes.tick();
    services_.watches.tick();
  });
  services_.loop.every(Refresher::kInterval, [this] {
    services_.refresher.tick();
    services_.uses.tick();
  });
  services_.loop.every(kKeySetInterval, [this] {
    key_sets_.poll();
    tell_complaints();
  });
  services_.loop.every(std::chrono::nanoseconds(MemoryRelief::kLookNs), [this] { memory_.tick(); });
  services_.loop.every(kPurgeInterval, [this] {
    services_.revoker.purge();
    report_suppressed_events();
  });
  services_.loop.every(kTableCheckInterval, [this] {
    if (needs_replacement(services_.tables.newest().writer.view(), services_.config.table)) replace_table_();
  });
  services_.loop.on_wall_clock_step([this] { void_all(); });
}

// The clocks are looked at before the beat: a table that outlived a suspend must not look alive before its records
// are void.
void Housekeeping::beat() {
  look_at_clocks();
  services_.tables.beat(static_cast<std::uint64_t>(services_.clock.monotonic_ns()));
}

void Housekeeping::look_at_clocks() {
  const ClockOffsets now = clock_offsets(services_.clock);
  if (stepped(offsets_, now)) void_all();
}

void Housekeeping::void_all() {
  const ClockOffsets now = clock_offsets(services_.clock);
  services_.tables.raise_all();
  log_event(LogLevel::kWarning, "clock_step", {{"wall_change_ns", now.wall_ns - offsets_.wall_ns}, {"suspended_ns", now.boot_ns - offsets_.boot_ns}});
  offsets_ = now;
  services_.tables.set_clock_offsets(now.wall_ns, now.boot_ns);
}

void Housekeeping::sweep() {
  const std::uint64_t slots = services_.tables.newest().writer.view().geometry.slots;
  const auto window = [this](std::uint64_t id) -> std::uint64_t {
    const auto profile = std::ranges::find(services_.profiles, id, [](const auto& each) { return each->id; });
    if (profile == services_.profiles.end()) return 0;
    return static_cast<std::uint64_t>(std::chrono::nanoseconds((*profile)->config.stale_if_error).count());
  };
  const bool any = std::ranges::any_of(services_.profiles, [](const auto& each) { return each->config.stale_if_error.count() > 0; });
  services_.tables.sweep(static_cast<std::uint64_t>(services_.clock.monotonic_ns()), slots / kSweepsPerTable + 1,
                         any ? Tables::Window(window) : Tables::Window());
}

void Housekeeping::expire_overdue() {
  for (const auto& profile : services_.profiles) {
    if (auto* sqlite = dynamic_cast<SqliteUpstream*>(profile->upstream.get())) sqlite->expire_overdue();
  }
}

// Once when an endpoint begins to fail, and once when it answers again. Key sets tell of themselves (key_set_watch.hpp).
void Housekeeping::tell_complaints() {
  if (services_.fleet != nullptr && services_.fleet->current() != fleet_current_) {
    fleet_current_ = !fleet_current_;
    if (fleet_current_) {
      log_event(LogLevel::kInfo, "fleet_current");
    } else {
      log_event(LogLevel::kError, "fleet_not_current", {{"error", services_.fleet->complaint()}});
    }
  }
  for (const auto& profile : services_.profiles) {
    const UpstreamKind kind = profile->config.upstream;
    if (kind != UpstreamKind::kIntrospection && kind != UpstreamKind::kPostgresql && kind != UpstreamKind::kRedis) continue;
    const std::string complaint = profile->upstream->complaint();
    const bool failed = failing_.contains(profile->config.name);
    if (complaint.empty() == !failed) continue;
    if (failed) {
      failing_.erase(profile->config.name);
      log_event(LogLevel::kInfo, "upstream_answers", {{"profile", profile->config.name}});
    } else {
      failing_.insert(profile->config.name);
      log_event(LogLevel::kError, "upstream_failed", {{"profile", profile->config.name}, {"error", complaint}});
    }
  }
}

}  // namespace authcached
