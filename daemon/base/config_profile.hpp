// One [profile.NAME] section: its keys, and what must hold among them. Internal to the configuration's
// parser.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/config_reader.hpp"

namespace authcached {

[[nodiscard]] std::span<const KeyBinding<ProfileConfig>> profile_bindings();

// Every fault of the section is appended; the profile is meaningful only if there is none.
[[nodiscard]] ProfileConfig read_profile(const toml::key& name, const toml::table& section,
                                         std::vector<ConfigFault>& faults);

}  // namespace authcached
