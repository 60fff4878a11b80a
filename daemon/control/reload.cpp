#include "daemon/control/reload.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "daemon/base/config_file.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/roles.hpp"
#include "daemon/control/face/client_table.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

void keep_http_socket(const HttpConfig& before, HttpConfig& now) {
  now.socket = before.socket;
  now.port = before.port;
  now.ipv6 = before.ipv6;
  now.group = before.group;
  now.connections = before.connections;
}

ReloadReport compare(const Config& before, const Config& now) {
  ReloadReport report;
  const auto note = [](std::vector<std::string>& list, bool differs, const char* key) {
    if (differs) list.emplace_back(key);
  };
  note(report.restart_needed, before.runtime_dir != now.runtime_dir, "runtime_dir");
  note(report.restart_needed, before.state_dir != now.state_dir, "state_dir");
  note(report.restart_needed, before.group != now.group, "group");
  note(report.restart_needed, before.admin_group != now.admin_group, "admin_group");
  note(report.restart_needed, before.limits.connections != now.limits.connections, "limits.connections");
  const bool other_socket = before.http.socket != now.http.socket || before.http.port != now.http.port || before.http.ipv6 != now.http.ipv6;
  note(report.restart_needed, other_socket, "http.listen");
  note(report.restart_needed, before.http.group != now.http.group, "http.group");
  note(report.restart_needed, before.http.connections != now.http.connections, "http.connections");
  note(report.restart_needed, before.fleet != now.fleet, "fleet");
  note(report.changed, before.log_level != now.log_level, "log_level");
  note(report.changed, !(before.table == now.table), "table");
  LimitsConfig limits = now.limits;
  limits.connections = before.limits.connections;
  note(report.changed, !(before.limits == limits), "limits");
  HttpConfig http = now.http;
  keep_http_socket(before.http, http);
  note(report.changed, !(before.http == http), "http");
  note(report.changed, before.profiles != now.profiles, "profile");
  note(report.changed, before.roles != now.roles, "role");
  return report;
}

// What a running daemon cannot change stays as it is.
void keep_what_needs_a_restart(const Config& before, Config& now) {
  now.runtime_dir = before.runtime_dir;
  now.state_dir = before.state_dir;
  now.group = before.group;
  now.admin_group = before.admin_group;
  now.limits.connections = before.limits.connections;
  keep_http_socket(before.http, now.http);
  now.fleet = before.fleet;
}

// True if each profile of before is there unchanged, and every other proves tokens by its own trust: then all records
// say what they should, and so will those of questions under way.
bool only_adds(const std::vector<ProfileConfig>& before, const std::vector<ProfileConfig>& now) {
  const auto kept = [&](const ProfileConfig& old) { return std::ranges::find(now, old) != now.end(); };
  const auto own_trust = [&](const ProfileConfig& profile) {
    return std::ranges::none_of(before, [&](const ProfileConfig& old) { return !(old == profile) && old.id() == profile.id(); });
  };
  return std::ranges::all_of(before, kept) && std::ranges::all_of(now, own_trust);
}

std::vector<ProfileConfig> without_roles(std::vector<ProfileConfig> profiles) {
  for (ProfileConfig& profile : profiles) profile.roles.clear();
  return profiles;
}

// The roles of which some token may hold more or less than before.
std::set<std::string> changed_roles(const Config& before, const Config& now) {
  std::set<std::string> changed = RoleBook(before.roles).differences(RoleBook(now.roles));
  for (const ProfileConfig& profile : now.profiles) {
    const auto old = std::ranges::find(before.profiles, profile.name, &ProfileConfig::name);
    if (old == before.profiles.end()) continue;  // its records are new as well
    const std::set<std::string> was(old->roles.begin(), old->roles.end()), is(profile.roles.begin(), profile.roles.end());
    std::ranges::set_symmetric_difference(was, is, std::inserter(changed, changed.end()));
  }
  return changed;
}

// The last step: no record says any more what the roles granted before. A table of a predecessor that nobody can reach
// may still be read, and says it until its heartbeat is old.
void apply_roles(Services& services, std::set<std::string> roles, std::move_only_function<void()> done) {
  const auto settled = [&services, done = std::make_shared<std::move_only_function<void()>>(std::move(done))](std::uint64_t records) {
    log_event(LogLevel::kInfo, "roles_applied", {{"records", records}});
    if (const std::int64_t held = services.revoker.held_for_ns(); held > 0) {
      return services.loop.after(std::chrono::nanoseconds(held), [done] { (*done)(); });
    }
    (*done)();
  };
  services.revoker.regrant(services.admission, services.profiles, std::move(roles), settled);
}

}  // namespace

void reload(Services& services, Config& config, Profiles& profiles, ProfileFactory& factory,
            std::move_only_function<void(shm::Result<ReloadReport>)> done) {
  auto next = load_config(services.config_file);
  if (!next) {
    log_event(LogLevel::kError, "reload_refused", {{"error", next.error().message}});
    return done(std::unexpected(next.error()));
  }
  ReloadReport report = compare(config, *next);
  keep_what_needs_a_restart(config, *next);
  if (config.http.is_on()) {
    if (const auto clients = ClientTable::load(next->http.clients); !clients) {
      log_event(LogLevel::kError, "reload_refused", {{"error", clients.error().message}});
      return done(std::unexpected(clients.error()));
    }
  }
  auto made = factory.make(*next, profiles);
  if (!made) {
    log_event(LogLevel::kError, "reload_refused", {{"error", made.error().message}});
    return done(std::unexpected(made.error()));
  }
  // Records of our own sessions carry the audience that the profile had when they were admitted.
  if (!only_adds(without_roles(config.profiles), without_roles(next->profiles))) services.tables.raise_all();
  std::set<std::string> roles = changed_roles(config, *next);
  config = std::move(*next);
  profiles = std::move(*made);
  if (const auto level = log_level_from_name(config.log_level)) set_log_level(*level);
  services.resolver.set_limits(config.limits);
  services.revoker.set_rules_max(config.limits.rules);
  services.revoker.set_profiles(profiles);
  services.changes.follow(profiles, true);
  services.tables.set_profiles(describe_profiles(profiles));
  services.admission.set_roles(std::make_shared<const RoleBook>(config.roles), profiles);
  std::vector<std::uint64_t> current;
  for (const auto& profile : profiles) current.push_back(profile->id);
  log_event(LogLevel::kInfo, "reloaded", {{"changed", static_cast<std::int64_t>(report.changed.size())}});
  auto answer = [report = std::move(report), done = std::move(done)]() mutable { done(std::move(report)); };
  services.revoker.flush_other_profiles(
      std::move(current), [&services, roles = std::move(roles), answer = std::move(answer)](std::uint64_t) mutable {
        if (roles.empty()) return answer();
        apply_roles(services, std::move(roles), std::move(answer));
      });
}

}  // namespace authcached
