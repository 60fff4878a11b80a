// Whether memory is short, as the kernel tells it: the time that tasks stood still for want of it (PSI), and
// how often this service ran into the limits of its control group (memory.events). The daemon's own group is
// looked at where it has one of cgroup v2, else the whole machine. The files are read, not armed: triggers
// take rights that the service does not have on every kernel. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace authcached {

// Empty: there is no such file.
struct MemoryPressureFiles {
  std::filesystem::path pressure, events;
};
// Of this process. The arguments are for tests.
[[nodiscard]] MemoryPressureFiles memory_pressure_files(
    const std::filesystem::path& proc = "/proc", const std::filesystem::path& cgroups = "/sys/fs/cgroup");

class MemoryPressure {
 public:
  // Of the time between two looks: systemd's default for services that watch theirs
  // (MemoryPressureThresholdSec).
  static constexpr std::int64_t kStalledPercent = 10;

  explicit MemoryPressure(MemoryPressureFiles files) : files_(std::move(files)) {}

  // Since the look before: tasks stood still for kStalledPercent of the time or more, or a limit was met.
  // Monotonic time. False at the first look, and where nothing can be read.
  [[nodiscard]] bool pressed(std::int64_t now_ns);

  [[nodiscard]] const MemoryPressureFiles& files() const { return files_; }
  [[nodiscard]] std::uint64_t stalled_us() const { return last_.stalled_us.value_or(0); }  // in all
  [[nodiscard]] std::uint64_t limits_met() const { return last_.limits_met.value_or(0); }  // in all

 private:
  struct Reading {
    std::optional<std::uint64_t> stalled_us, limits_met;
  };
  [[nodiscard]] Reading read() const;

  MemoryPressureFiles files_;
  Reading last_;
  std::int64_t last_ns_ = 0;
};

}  // namespace authcached
