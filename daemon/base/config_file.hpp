// A configuration file as the daemon takes it: read, parsed, judged against this machine; all faults in one error.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "shm/result.hpp"

namespace authcached {

// Every fault of the file, in line order; a file that cannot be read is one fault.
[[nodiscard]] ParsedConfig judge_config_file(const std::string& file);
// One line for each fault: "FILE:LINE: what is wrong; remedy".
[[nodiscard]] std::string fault_lines(const std::string& file, const std::vector<ConfigFault>& faults);

[[nodiscard]] authcache::shm::Result<Config> load_config(const std::string& file);

}  // namespace authcached
