// The [fleet] section: its keys, and what must hold among them. Internal to the configuration's parser.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/toml_document.hpp"

namespace authcached {

// For config_keys().
[[nodiscard]] std::vector<ConfigKey> fleet_keys();
// For bound_keys().
[[nodiscard]] std::vector<std::string> fleet_bound_keys();

// Every fault is appended.
void read_fleet(const toml::table& document, Config& config, std::vector<ConfigFault>& faults);

}  // namespace authcached
