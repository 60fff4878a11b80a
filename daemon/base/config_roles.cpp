#include "daemon/base/config_roles.hpp"

#include <algorithm>

#include "daemon/base/config_reader.hpp"
#include "daemon/base/nearest_name.hpp"
#include "daemon/base/roles.hpp"

namespace authcached {
namespace {

constexpr KeyBinding<RoleConfig> kRoleBindings[] = {
    {"inherits", [](KeyReader& key, RoleConfig& role) { key.texts(role.inherits, kRoleInheritsMax, kRoleNameBytesMax); }},
    {"permissions",
     [](KeyReader& key, RoleConfig& role) { key.texts(role.permissions, kRoleGrantsMax, kRolePermissionBytesMax); }},
};

// Names come from directories, with blanks and letters of every language.
bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= kRoleNameBytesMax &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

RoleConfig read_role(const toml::key& name, const toml::table& section, std::vector<ConfigFault>& faults) {
  RoleConfig role;
  role.name = name.str();
  const std::string shown = "role." + shown_name(name.str());
  if (!good_name(name.str())) {
    faults.push_back({line_of(section), shown + " is not a role's name",
                      "write 1 to " + std::to_string(kRoleNameBytesMax) + " bytes without control characters"});
  }
  const KeyLines lines = read_section<RoleConfig>(section, shown + ".", kRoleBindings, {}, role, faults);
  if (lines.empty()) {
    faults.push_back({line_of(section), shown + " grants nothing", "write permissions, inherits or both"});
  }
  return role;
}

std::uint32_t line_at(const toml::table& document, std::initializer_list<std::string_view> way) {
  const toml::node* at = &document;
  for (const std::string_view name : way) {
    const toml::table* const table = at->as_table();
    const toml::node* const next = table == nullptr ? nullptr : table->get(name);
    if (next == nullptr) break;
    at = next;
  }
  return line_of(*at);
}

// Whose tokens may hold a role is never guessed: a partner's "admin" is not ours.
void judge_takers(const toml::table& document, const Config& config, std::vector<ConfigFault>& faults) {
  std::vector<std::string_view> names;
  for (const RoleConfig& role : config.roles) names.push_back(role.name);
  bool taken = false;
  for (const ProfileConfig& profile : config.profiles) {
    for (const std::string& role : profile.roles) {
      taken = true;
      if (std::ranges::find(names, role) != names.end()) continue;
      const auto nearest = nearest_name(role, names);
      faults.push_back({line_at(document, {"profile", profile.name, "roles"}),
                        "profile." + profile.name + ".roles names a role that is not defined",
                        nearest ? "did you mean \"" + shown_name(*nearest) + "\"?"
                                : "write a section [role.NAME] for each, or leave it out: a role that grants nothing needs no entry"});
    }
  }
  if (!config.roles.empty() && !taken && faults.empty()) {
    faults.push_back({line_at(document, {"role"}), "roles are defined, and no profile takes any from its tokens",
                      "write roles = [\"" + shown_name(config.roles.front().name) + "\"] into the profile whose tokens may hold it"});
  }
}

}  // namespace

std::vector<std::string> role_bound_keys() {
  std::vector<std::string> names;
  for (const auto& binding : kRoleBindings) names.push_back("role.NAME." + std::string(binding.name));
  return names;
}

void read_roles(const toml::table& document, Config& config, std::vector<ConfigFault>& faults) {
  if (const toml::node* const node = document.get("role")) {
    const toml::table* const roles = node->as_table();
    if (roles == nullptr) {
      faults.push_back({line_of(*node), "role is a value, not a section", "write its keys under the heading [role.NAME]"});
      return;
    }
    for (const auto& [name, value] : *roles) {
      const toml::table* const section = value.as_table();
      if (section == nullptr) {
        faults.push_back({line_of(value), "role." + shown_name(name.str()) + " is a value, not a section",
                          "write its keys under the heading [role.NAME]"});
        continue;
      }
      config.roles.push_back(read_role(name, *section, faults));
    }
  }
  for (const RoleFault& fault : judge_roles(config.roles)) {
    faults.push_back({line_at(document, {"role", fault.role}), fault.message, fault.remedy});
  }
  judge_takers(document, config, faults);
}

std::vector<ConfigKey> role_keys() {
  return {
      {"role.NAME.inherits", "list of text", "", true,
       "The roles whose permissions this one has as well, at most 64, and at most 16 levels of them. A circle is a fault."},
      {"role.NAME.permissions", "list of text", "", true,
       "What the role grants: names such as \"reports.read\", names with a resource such as \"documents/42:read\", and "
       "patterns such as \"documents/*:read\", in which \"*\" stands for one whole segment between '/' and ':'. 1 to 255 "
       "bytes each without blanks; at most 48 different ones in all roles together, because each takes one of a record's 64 "
       "bits."},
  };
}

}  // namespace authcached
