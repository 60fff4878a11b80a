// The reference manual of the configuration, docs/config.md, written from config_keys() so that it cannot say
// anything else than the parser does. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace authcached {

// The text of docs/config.md: `authcached --print-config-manual > docs/config.md`.
[[nodiscard]] std::string config_manual();

// The example that the manual shows; a valid configuration.
[[nodiscard]] std::string_view config_example();

}  // namespace authcached
