// The [role.NAME] sections: their keys, and what must hold among them and the profiles. Internal to the configuration's
// parser.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/toml_document.hpp"

namespace authcached {

// For config_keys().
[[nodiscard]] std::vector<ConfigKey> role_keys();
// For bound_keys().
[[nodiscard]] std::vector<std::string> role_bound_keys();

// Every fault is appended. The profiles must have been read: they name the roles that they take.
void read_roles(const toml::table& document, Config& config, std::vector<ConfigFault>& faults);

}  // namespace authcached
