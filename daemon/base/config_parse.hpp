// What the configuration's parser knows, for the test that holds it against what config_keys() documents.
#pragma once

#include <string>
#include <vector>

namespace authcached {

// The full name of every key that parse_config reads, such as "table.capacity" and "profile.NAME.ttl_max".
[[nodiscard]] std::vector<std::string> bound_keys();

}  // namespace authcached
