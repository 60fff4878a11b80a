#include "daemon/base/config_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "daemon/base/config_ranges.hpp"

namespace authcached {

namespace shm = authcache::shm;

ParsedConfig judge_config_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return {{}, {{0, "cannot open the configuration: " + std::string(std::strerror(errno)), "name a readable file with --config"}}};
  }
  std::string text(kConfigBytesMax + 1, '\0');  // one byte more than may be: the parser then says that it is too long
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  ParsedConfig parsed = parse_config(text, file);
  if (parsed.faults.empty()) check_environment(parsed.config, parsed.faults);
  std::ranges::stable_sort(parsed.faults, {}, &ConfigFault::line);
  return parsed;
}

std::string fault_lines(const std::string& file, const std::vector<ConfigFault>& faults) {
  std::string lines;
  for (const ConfigFault& fault : faults) {
    if (!lines.empty()) lines += '\n';
    lines += file;
    if (fault.line > 0) lines += ":" + std::to_string(fault.line);
    lines += ": " + fault.message + "; " + fault.remedy;
  }
  return lines;
}

shm::Result<Config> load_config(const std::string& file) {
  ParsedConfig parsed = judge_config_file(file);
  if (!parsed.faults.empty()) return shm::fail(shm::ErrorCode::kUsage, fault_lines(file, parsed.faults));
  return std::move(parsed.config);
}

}  // namespace authcached
