// The [http] section with its [http.client.NAME] and [http.logout.NAME]: its keys, what they mean, and what
// must hold among them and the profiles. Internal to the configuration's parser, but for the names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/toml_document.hpp"

namespace authcached {

// For config_keys().
[[nodiscard]] std::vector<ConfigKey> http_keys();
// For bound_keys().
[[nodiscard]] std::vector<std::string> http_bound_keys();

// Every fault is appended. The profiles must have been read: a logout section names one.
void read_http(const toml::table& document, Config& config, std::vector<ConfigFault>& faults);

[[nodiscard]] std::string_view http_identity_name(HttpIdentity identity);  // "subject"

}  // namespace authcached
