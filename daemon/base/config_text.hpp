// The effective configuration, every key with its value, as TOML that parses to the same configuration. Pure.
#pragma once

#include <string>

#include "daemon/base/config.hpp"

namespace authcached {

[[nodiscard]] std::string config_text(const Config& config);

}  // namespace authcached
