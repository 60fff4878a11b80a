#include "daemon/base/config_parse.hpp"

#include <algorithm>

#include "daemon/base/config_fleet.hpp"
#include "daemon/base/config_http.hpp"
#include "daemon/base/config_profile.hpp"
#include "daemon/base/config_reader.hpp"
#include "daemon/base/config_roles.hpp"

namespace authcached {
namespace {

constexpr std::pair<std::string_view, std::string_view> kLogLevels[] = {
    {"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}};

constexpr KeyBinding<Config> kTopBindings[] = {
    {"runtime_dir",
     [](KeyReader& key, Config& config) { key.path(config.runtime_dir, kRuntimeDirBytesMax); }},
    {"state_dir", [](KeyReader& key, Config& config) { key.path(config.state_dir); }},
    {"group", [](KeyReader& key, Config& config) { key.group(config.group); }},
    {"admin_group", [](KeyReader& key, Config& config) { key.group(config.admin_group); }},
    {"log_level", [](KeyReader& key, Config& config) { key.choice(config.log_level, kLogLevels); }},
};

constexpr KeyBinding<TableConfig> kTableBindings[] = {
    {"capacity", [](KeyReader& key, TableConfig& table) { key.number(table.capacity, kCapacityRange); }},
    {"negative_percent",
     [](KeyReader& key, TableConfig& table) { key.number(table.negative_percent, kNegativePercentRange); }},
    {"text_bytes_per_record",
     [](KeyReader& key, TableConfig& table) {
       key.size(table.text_bytes_per_record, kTextBytesPerRecordRange);
     }},
    {"heartbeat_timeout",
     [](KeyReader& key, TableConfig& table) {
       key.duration(table.heartbeat_timeout, kHeartbeatTimeoutRange);
     }},
};

constexpr KeyBinding<LimitsConfig> kLimitsBindings[] = {
    {"misses_per_second_per_uid",
     [](KeyReader& key, LimitsConfig& limits) {
       key.number(limits.misses_per_second_per_uid, kMissRateRange);
     }},
    {"miss_burst_per_uid",
     [](KeyReader& key, LimitsConfig& limits) { key.number(limits.miss_burst_per_uid, kMissRateRange); }},
    {"connections",
     [](KeyReader& key, LimitsConfig& limits) { key.number(limits.connections, kConnectionsRange); }},
    {"flights", [](KeyReader& key, LimitsConfig& limits) { key.number(limits.flights, kFlightsRange); }},
    {"waiters_per_flight",
     [](KeyReader& key, LimitsConfig& limits) {
       key.number(limits.waiters_per_flight, kWaitersPerFlightRange);
     }},
    {"rules", [](KeyReader& key, LimitsConfig& limits) { key.number(limits.rules, kRulesRange); }},
    {"upstream_timeout",
     [](KeyReader& key, LimitsConfig& limits) {
       key.duration(limits.upstream_timeout, kUpstreamTimeoutRange);
     }},
};

constexpr std::string_view kSections[] = {"table", "limits", "http", "fleet", "role", "profile"};

void not_a_section(const toml::node& node, std::string_view name, std::string_view heading,
                   std::vector<ConfigFault>& faults) {
  faults.push_back({line_of(node), shown_name(name) + " is a value, not a section",
                    "write its keys under the heading [" + std::string(heading) + "]"});
}

template <class Section>
void read_subsection(const toml::table& document, std::string_view name,
                     std::span<const KeyBinding<Section>> bindings, Section& section,
                     std::vector<ConfigFault>& faults) {
  const toml::node* const node = document.get(name);
  if (node == nullptr) return;
  const toml::table* const source = node->as_table();
  if (source == nullptr) return not_a_section(*node, name, name, faults);
  read_section<Section>(*source, std::string(name) + ".", bindings, {}, section, faults);
}

// Two profiles that trust the same things would answer with each other's records, under either one's TTLs.
void refuse_twins(const std::vector<ProfileConfig>& profiles, const std::vector<std::uint32_t>& lines,
                  std::vector<ConfigFault>& faults) {
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (profiles[i].id() != profiles[j].id()) continue;
      faults.push_back(
          {lines[i],
           "profile." + profiles[i].name + " trusts exactly what profile." + profiles[j].name + " trusts",
           "keep one of them: callers state their audience in the requirement, not by a profile"});
      break;
    }
  }
}

void read_profiles(const toml::table& document, Config& config, std::vector<ConfigFault>& faults) {
  const toml::node* const node = document.get("profile");
  if (node == nullptr) {
    faults.push_back({0, "there is no profile, so no token could ever be proven",
                      "add a section such as [profile.sessions] with upstream = \"sqlite\""});
    return;
  }
  const toml::table* const profiles = node->as_table();
  if (profiles == nullptr) return not_a_section(*node, "profile", "profile.NAME", faults);
  if (profiles->empty() || profiles->size() > kProfilesMax) {
    faults.push_back(
        {line_of(*node), "there are " + std::to_string(profiles->size()) + " profiles",
         "write 1 to " + std::to_string(kProfilesMax) + ": each has a place in the table's header"});
    return;
  }
  std::vector<std::uint32_t> lines;
  const std::size_t faults_before = faults.size();
  for (const auto& [name, value] : *profiles) {
    const toml::table* const section = value.as_table();
    if (section == nullptr) {
      not_a_section(value, "profile." + std::string(name.str()), "profile.NAME", faults);
      continue;
    }
    config.profiles.push_back(read_profile(name, *section, faults));
    lines.push_back(line_of(*section));
  }
  // Half-read profiles look alike because the keys that tell them apart are what is wrong.
  if (faults.size() == faults_before) refuse_twins(config.profiles, lines, faults);
}

// toml++ quotes an over-long number whole, and a fault shows no value; the names in "cannot redefine" may
// stay.
std::string without_values(std::string_view description) {
  std::string shown(description);
  const std::size_t open = shown.find('\'');
  const std::size_t close = shown.rfind('\'');
  if (open != std::string::npos && close > open + 2 && shown.find("redefine") == std::string::npos) {
    shown.replace(open, close - open + 1, "the value");
  }
  std::ranges::replace_if(
      shown, [](char byte) { return byte < 0x20 || byte >= 0x7f; }, '?');
  return shown;
}

}  // namespace

std::vector<std::string> bound_keys() {
  std::vector<std::string> names;
  for (const auto& binding : kTopBindings) names.emplace_back(binding.name);
  for (const auto& binding : kTableBindings) names.push_back("table." + std::string(binding.name));
  for (const auto& binding : kLimitsBindings) names.push_back("limits." + std::string(binding.name));
  for (std::string& name : http_bound_keys()) names.push_back(std::move(name));
  for (std::string& name : fleet_bound_keys()) names.push_back(std::move(name));
  for (std::string& name : role_bound_keys()) names.push_back(std::move(name));
  for (const auto& binding : profile_bindings()) names.push_back("profile.NAME." + std::string(binding.name));
  return names;
}

ParsedConfig parse_config(std::string_view text, std::string_view source_name) {
  ParsedConfig parsed;
  if (text.size() > kConfigBytesMax) {
    parsed.faults.push_back({0, "the file has " + std::to_string(text.size()) + " bytes",
                             "keep it under " + std::to_string(kConfigBytesMax) + ": is it the right file?"});
    return parsed;
  }
  const toml::parse_result document = toml::parse(text, source_name);
  if (!document) {
    const toml::parse_error& error = document.error();
    parsed.faults.push_back({static_cast<std::uint32_t>(error.source().begin.line),
                             "not TOML: " + without_values(error.description()),
                             "correct the syntax there; nothing behind it was read"});
    return parsed;
  }
  const toml::table& table = document.table();
  Config& config = parsed.config;
  read_section<Config>(table, "", kTopBindings, kSections, config, parsed.faults);
  read_subsection<TableConfig>(table, "table", kTableBindings, config.table, parsed.faults);
  read_subsection<LimitsConfig>(table, "limits", kLimitsBindings, config.limits, parsed.faults);
  read_profiles(table, config, parsed.faults);
  read_roles(table, config, parsed.faults);
  read_http(table, config, parsed.faults);
  read_fleet(table, config, parsed.faults);
  std::ranges::stable_sort(parsed.faults, {}, &ConfigFault::line);
  return parsed;
}

}  // namespace authcached
