// authcached: the command line, and nothing else.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "daemon/base/config_file.hpp"
#include "daemon/base/config_manual.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/process_shield.hpp"
#include "daemon/base/version.hpp"
#include "daemon/daemon.hpp"
#include "daemon/upstream/postgres_changes_ddl.hpp"

namespace {

using namespace authcached;

constexpr int kExitUsage = 2;
constexpr int kExitFailed = 5;

int check(const std::string& file) {
  const ParsedConfig judged = judge_config_file(file);
  if (judged.faults.empty()) {
    std::cout << file << ": ok\n";
    return 0;
  }
  std::cerr << fault_lines(file, judged.faults) << '\n';
  return kExitUsage;
}

int explain(const std::string& name) {
  for (const ConfigKey& key : config_keys()) {
    if (key.name != name) continue;
    std::cout << key.name << "\n  unit:     " << key.unit << "\n  default:  " << key.default_value
              << "\n  reload:   " << (key.reloadable ? "yes" : "no, restart") << "\n  " << key.explanation << '\n';
    return 0;
  }
  std::cerr << "there is no key " << name << "; docs/config.md lists them all\n";
  return 1;
}

// What authctl sql postgres hands on: NAME=VALUE each.
int print_changes_sql(const std::string& file, const std::string& name, const std::vector<std::string>& asked) {
  const auto config = load_config(file);
  if (!config) {
    std::cerr << config.error().message << '\n';
    return kExitUsage;
  }
  const auto profile = std::ranges::find(config->profiles, name, &ProfileConfig::name);
  if (profile == config->profiles.end()) {
    std::cerr << file << " holds no such profile\n";
    return kExitUsage;
  }
  ChangesDdl ddl;
  for (const std::string& each : asked) {
    const std::size_t equals = std::min(each.find('='), each.size());
    const std::string what = each.substr(0, equals), value = each.substr(std::min(equals + 1, each.size()));
    if (what == "table") ddl.sessions = value;
    if (what == "key") ddl.key = value;
    if (what == "sid") ddl.sid = value;
    if (what == "reader") ddl.reader = value;
    if (what == "ignore") ddl.ignored.push_back(value);
    const std::size_t dot = value.rfind('.');
    if (what == "subjects") ddl.subjects.push_back({value.substr(0, dot), dot == std::string::npos ? "" : value.substr(dot + 1)});
  }
  const auto text = changes_ddl(*profile, ddl);
  if (!text) {
    std::cerr << text.error().message << '\n';
    return kExitUsage;
  }
  std::cout << *text;
  return 0;
}

int serve(const std::string& file, bool first_start) {
  if (const auto shielded = shield_process(); !shielded) {
    std::cerr << shielded.error().message << '\n';
    return kExitFailed;
  }
  auto config = load_config(file);
  if (!config) {
    std::cerr << config.error().message << '\n';
    return kExitUsage;
  }
  start_log(log_options_from_environment());
  if (const auto level = log_level_from_name(config->log_level)) set_log_level(*level);
  auto daemon = Daemon::start(std::move(*config), {.config_file = file, .first_start = first_start});
  if (!daemon) {
    log_event(LogLevel::kError, "not_started", {{"error", daemon.error().message}});
    return kExitFailed;
  }
  (*daemon)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (has_borrowed_rights()) {
    std::cerr << "authcached must not be setuid, setgid or have file capabilities; start it as the user it is to run as\n";
    return kExitUsage;
  }
  CLI::App app("authcached: validates tokens once and shares the answers through shared memory", "authcached");
  std::string file = "/etc/authcache/authcached.toml";
  std::string key, sql_profile;
  std::vector<std::string> sql_asked;
  bool only_check = false, first_start = false, manual = false;
  app.add_option("--config", file, "the configuration file")->capture_default_str();
  app.add_flag("--check", only_check, "judge the configuration and exit: 0 good, 2 not");
  app.add_flag("--first-start", first_start,
               "no process of this host can have a table of an earlier authcached mapped: acknowledge revocations at once");
  app.add_option("--explain-config", key, "tell what one key of the configuration means");
  app.add_flag("--print-config-manual", manual, "print docs/config.md");
  app.add_option("--print-changes-sql", sql_profile, "print what the database of a profile needs to tell of changes; see authctl sql postgres");
  app.add_option("--changes-sql", sql_asked, "for --print-changes-sql: NAME=VALUE")->allow_extra_args(false);
  app.set_version_flag("--version", std::string(kVersion));
  app.footer("Example: authcached --config /etc/authcache/authcached.toml --check");
  CLI11_PARSE(app, argc, argv);
  if (manual) {
    std::cout << config_manual();
    return 0;
  }
  if (!key.empty()) return explain(key);
  if (!sql_profile.empty()) return print_changes_sql(file, sql_profile, sql_asked);
  return only_check ? check(file) : serve(file, first_start);
}
