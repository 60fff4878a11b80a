#include "daemon/base/memory_pressure.hpp"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace authcached {

namespace {

namespace fs = std::filesystem;

// "0::/system.slice/authcached.service", the line of cgroup v2; nothing where there is none, or in the root,
// which has no files of its own.
std::optional<std::string> own_group(const fs::path& proc) {
  std::ifstream file(proc / "self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::/") && line.size() > 4) return line.substr(4);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_at(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", in microseconds.
std::optional<std::uint64_t> read_stalled_us(const fs::path& file) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t total = line.rfind(" total=");
    if (line.starts_with("some ") && total != std::string::npos)
      return number_at(std::string_view(line).substr(total + 7));
  }
  return std::nullopt;
}

// "low 0", "high 3", "max 0", "oom 0", ...: each line of the latter three is a limit that was run into.
std::optional<std::uint64_t> read_limits_met(const fs::path& file) {
  std::ifstream stream(file);
  std::optional<std::uint64_t> sum;
  for (std::string name, value; stream >> name >> value;) {
    if (name != "high" && name != "max" && name != "oom") continue;
    const auto count = number_at(value);
    if (count) sum = sum.value_or(0) + *count;
  }
  return sum;
}

}  // namespace

MemoryPressureFiles memory_pressure_files(const fs::path& proc, const fs::path& cgroups) {
  MemoryPressureFiles files;
  std::error_code error;
  if (const auto group = own_group(proc)) {
    for (const fs::path& mount : {cgroups, cgroups / "unified"}) {
      const fs::path pressure = mount / *group / "memory.pressure", events = mount / *group / "memory.events";
      if (files.pressure.empty() && fs::exists(pressure, error)) files.pressure = pressure;
      if (files.events.empty() && fs::exists(events, error)) files.events = events;
    }
  }
  const fs::path machine = proc / "pressure/memory";
  if (files.pressure.empty() && fs::exists(machine, error)) files.pressure = machine;
  return files;
}

MemoryPressure::Reading MemoryPressure::read() const {
  Reading reading;
  if (!files_.pressure.empty()) reading.stalled_us = read_stalled_us(files_.pressure);
  if (!files_.events.empty()) reading.limits_met = read_limits_met(files_.events);
  return reading;
}

bool MemoryPressure::pressed(std::int64_t now_ns) {
  const Reading now = read();
  const std::int64_t elapsed_us = (now_ns - last_ns_) / 1'000;
  const bool stalled =
      now.stalled_us && last_.stalled_us && *now.stalled_us > *last_.stalled_us &&
      (*now.stalled_us - *last_.stalled_us) * 100 >= static_cast<std::uint64_t>(elapsed_us * kStalledPercent);
  const bool limited = now.limits_met && last_.limits_met && *now.limits_met > *last_.limits_met;
  last_ = now;
  last_ns_ = now_ns;
  return stalled || limited;
}

}  // namespace authcached
