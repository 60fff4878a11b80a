// What doctor concludes from what doctor_probe.hpp saw. Pure: the same facts give the same checks, in the
// same order.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/authctl/exit_code.hpp"

namespace authctl {

struct DirectoryFacts {
  bool exists = false;
  bool is_directory = false;
  std::string error{};  // why it can't be looked at, other than not being there
  std::string owner{};
  mode_t mode = 0;
  bool tmpfs = false;
  std::uint64_t free_bytes = 0;
};

struct TableFacts {
  std::uint64_t generation = 0;
  std::uint64_t state = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t page_kb = 0;  // KernelPageSize of our mapping of it
  std::uint64_t huge_kb = 0;  // ShmemPmdMapped: how much of it huge pages hold
  std::int64_t heartbeat_age_ns = 0;
  std::uint64_t heartbeat_timeout_ns = 0;
};

struct DaemonFacts {
  std::string version{};
  std::string io{};                       // "io_uring" or "epoll"
  std::vector<std::string> complaints{};  // of the daemon about its state database
  std::vector<std::string> upstream_complaints{};  // about key sets and endpoints, as far as it asked them
};

struct AccessFacts {
  std::string user{};
  bool is_root = false;
  std::string table_group{};  // empty: there is none to see
  bool in_table_group = false;
  std::string control_group{};
  bool in_control_group = false;
};

struct HostFacts {
  std::filesystem::path runtime_dir{};
  DirectoryFacts directory{};
  std::optional<TableFacts> table{};
  std::string table_error{};    // if there is no `table`
  std::string shmem_enabled{};  // what /sys says about huge pages in shared memory
  bool clocks_shifted = false;  // this process lives in a time namespace with an offset
  std::optional<DaemonFacts> daemon{};
  std::optional<Failure> daemon_error{};           // if there is no `daemon`
  std::optional<std::string> io_uring_disabled{};  // of the sysctl; nothing: the kernel has none
  std::string clock_source{};
  AccessFacts access{};
};

enum class Status : std::uint8_t { kOk, kWarn, kFail };

struct Check {
  std::string name;
  Status status;
  std::string finding;
  std::string remedy;  // empty for kOk
};

[[nodiscard]] std::vector<Check> examine(const HostFacts& facts);
[[nodiscard]] std::string_view status_name(Status status);
// kUnreachable where no daemon answers, whatever else fails: that is what to look at first.
[[nodiscard]] Exit exit_of_checks(const std::vector<Check>& checks, const HostFacts& facts);

}  // namespace authctl
