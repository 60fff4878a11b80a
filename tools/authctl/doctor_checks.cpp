#include "tools/authctl/doctor_checks.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "tools/authctl/table_inspection.hpp"
#include "tools/authctl/units.hpp"

namespace authctl {
namespace {

constexpr std::uint64_t kSmallPageKb = 4;
// A table that a few small pages hold gains nothing from huge ones.
constexpr std::uint64_t kHugeMattersBytes = 8 << 20;

Check ok(std::string name, std::string finding) {
  return {std::move(name), Status::kOk, std::move(finding), ""};
}
Check warn(std::string name, std::string finding, std::string remedy) {
  return {std::move(name), Status::kWarn, std::move(finding), std::move(remedy)};
}
Check fail(std::string name, std::string finding, std::string remedy) {
  return {std::move(name), Status::kFail, std::move(finding), std::move(remedy)};
}

std::string mode_text(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

Check check_runtime_directory(const HostFacts& facts) {
  const std::string name = "runtime directory";
  const std::string path = facts.runtime_dir.string();
  const DirectoryFacts& directory = facts.directory;
  if (!directory.error.empty())
    return fail(name, path + ": " + directory.error, "run doctor as a user who may look at it");
  if (!directory.exists)
    return fail(name, "there is no " + path, "start authcached, or name its directory with --runtime-dir");
  if (!directory.is_directory)
    return fail(name, path + " is not a directory", "remove it and start authcached");
  const std::string finding = path + ", owner " + directory.owner + ", mode " + mode_text(directory.mode);
  if ((directory.mode & 0022) != 0) {
    return fail(name, finding + ": others than its owner can put files there", "chmod 0750 " + path);
  }
  if ((directory.mode & 0007) != 0) return warn(name, finding + ": open to every user", "chmod 0750 " + path);
  return ok(name, finding);
}

Check check_table(const HostFacts& facts) {
  const std::string name = "table";
  if (!facts.table)
    return fail(name, facts.table_error,
                "start authcached, which makes the table; if it runs, its log says more");
  const std::string finding = "generation " + std::to_string(facts.table->generation) + ", " +
                              std::string(table_state_name(facts.table->state)) + ", " +
                              bytes_text(facts.table->file_bytes);
  const std::string_view state = table_state_name(facts.table->state);
  if (state != "live" && state != "moving")
    return fail(name, finding + ": no reader accepts it", "start authcached; it makes a new one");
  return ok(name, finding);
}

Check check_tmpfs(const HostFacts& facts) {
  const std::string name = "tmpfs";
  if (!facts.directory.exists) return fail(name, "there is no directory to look at", "see the first check");
  if (facts.directory.tmpfs) return ok(name, facts.runtime_dir.string() + " is on tmpfs");
  return fail(name, facts.runtime_dir.string() + " is not on tmpfs",
              "set runtime_dir to a directory on tmpfs, such as one in /dev/shm");
}

Check check_huge_pages(const HostFacts& facts) {
  const std::string name = "huge pages";
  const std::string setting =
      "shmem_enabled is " + (facts.shmem_enabled.empty() ? "unknown" : facts.shmem_enabled);
  if (!facts.table) return warn(name, "not known without a table; " + setting, "see the table check");
  if (facts.table->huge_kb > 0)
    return ok(name, bytes_text(facts.table->huge_kb * 1024) + " of the table in huge pages");
  if (facts.table->page_kb > kSmallPageKb)
    return ok(name, "pages of " + bytes_text(facts.table->page_kb * 1024));
  if (facts.table->file_bytes < kHugeMattersBytes)
    return ok(name, "none; the table is too small to gain from them");
  return warn(name, "none: hits pay for more address translation; " + setting,
              "mount a tmpfs with huge=within_size on the runtime directory");
}

Check check_heartbeat(const HostFacts& facts) {
  const std::string name = "heartbeat";
  if (!facts.table) return fail(name, "no table, no heartbeat", "see the table check");
  const std::int64_t age_ns = facts.table->heartbeat_age_ns;
  const auto timeout_ns = static_cast<std::int64_t>(facts.table->heartbeat_timeout_ns);
  const std::string finding =
      duration_text(std::max<std::int64_t>(age_ns, 0)) + " old, timeout " + duration_text(timeout_ns);
  if (age_ns > timeout_ns) {
    return fail(name, finding + ": every lookup answers unavailable",
                "start authcached, or look in its log for why it hangs");
  }
  if (age_ns > timeout_ns / 2)
    return warn(name, finding + ": late", "look in the daemon's log and at the machine's load");
  return ok(name, finding);
}

Check check_time_namespace(const HostFacts& facts) {
  const std::string name = "time namespace";
  if (facts.table && facts.table->heartbeat_age_ns < 0) {
    return fail(name,
                "the heartbeat is later than this process's clock: the daemon runs in another time namespace",
                "run daemon and applications in one time namespace");
  }
  if (facts.clocks_shifted) {
    return warn(name, "this process runs in a time namespace with an offset",
                "run authcached in the same one");
  }
  return ok(name, "the machine's own clocks");
}

Check check_daemon(const HostFacts& facts) {
  const std::string name = "daemon";
  if (facts.daemon) return ok(name, "authcached " + facts.daemon->version + " answers");
  const std::string why = facts.daemon_error ? facts.daemon_error->sentence : "it was not asked";
  return fail(name, why, "start authcached; if it runs, its log says more");
}

Check check_io(const HostFacts& facts) {
  const std::string name = "io backend";
  const std::string value = facts.io_uring_disabled.value_or("");
  const bool forbidden = facts.io_uring_disabled && value != "0";
  const std::string sysctl = forbidden ? "kernel.io_uring_disabled is " + value : "io_uring is permitted";
  const std::string remedy = "sysctl kernel.io_uring_disabled=0, or use the epoll build";
  if (!facts.daemon) return forbidden ? warn(name, sysctl, remedy) : ok(name, sysctl);
  if (facts.daemon->io == "io_uring") return ok(name, "io_uring");
  return ok(name, facts.daemon->io + " by its build; " + sysctl);
}

Check check_state_database(const HostFacts& facts) {
  const std::string name = "state database";
  if (!facts.daemon) return warn(name, "not known: no daemon answers", "see the daemon check");
  if (facts.daemon->complaints.empty()) return ok(name, "the daemon has no complaint");
  std::string all;
  for (const auto& complaint : facts.daemon->complaints) all += (all.empty() ? "" : "; ") + complaint;
  return fail(name, all,
              "every token was made to revalidate; restore the database or remove what was set aside");
}

Check check_upstreams(const HostFacts& facts) {
  const std::string name = "upstreams";
  if (!facts.daemon) return warn(name, "not known: no daemon answers", "see the daemon check");
  if (facts.daemon->upstream_complaints.empty()) return ok(name, "every issuer that was asked answered");
  std::string all;
  for (const auto& complaint : facts.daemon->upstream_complaints) all += (all.empty() ? "" : "; ") + complaint;
  return fail(name, all, "authctl upstreams says more: correct the URL, CA, client or secret, or see to the issuer");
}

Check check_room(const HostFacts& facts) {
  const std::string name = "room";
  if (!facts.directory.exists) return warn(name, "there is no directory to look at", "see the first check");
  const std::string free = bytes_text(facts.directory.free_bytes) + " free in " + facts.runtime_dir.string();
  if (!facts.table) return warn(name, free + "; how much a table needs is not known", "see the table check");
  if (facts.directory.free_bytes >= facts.table->file_bytes) return ok(name, free + ", a second table fits");
  return warn(
      name, free + ", a second table needs " + bytes_text(facts.table->file_bytes),
      "enlarge the tmpfs or lower table.capacity: without room, a new size can't be taken while serving");
}

Check check_clock_source(const HostFacts& facts) {
  const std::string name = "clock source";
  // Those that the vDSO reads without entering the kernel.
  constexpr std::array<std::string_view, 4> kFast{"tsc", "arch_sys_counter", "kvm-clock",
                                                  "hyperv_clocksource_tsc_page"};
  if (std::ranges::find(kFast, facts.clock_source) != kFast.end()) return ok(name, facts.clock_source);
  const std::string shown = facts.clock_source.empty() ? "unknown" : facts.clock_source;
  return warn(name, shown + ": each exact look at the clock is a system call for the daemon",
              "boot with clocksource=tsc if this machine's is stable");
}

Check check_groups(const HostFacts& facts) {
  const std::string name = "groups";
  const AccessFacts& access = facts.access;
  if (access.is_root) return ok(name, access.user + " may do everything");
  if (!access.table_group.empty() && !access.in_table_group) {
    return warn(name,
                access.user + " is not in group " + access.table_group + ": its applications cannot attach",
                "usermod -aG " + access.table_group + " " + access.user + ", and log in again");
  }
  if (!access.control_group.empty() && !access.in_control_group) {
    return warn(name,
                access.user + " is not in group " + access.control_group + ": it cannot use authctl's verbs",
                "usermod -aG " + access.control_group + " " + access.user + ", and log in again");
  }
  if (access.table_group.empty())
    return warn(name, "not known: no table or socket can be seen", "see the checks above");
  return ok(name, access.user + " may attach" + (access.in_control_group ? " and administer" : ""));
}

}  // namespace

std::vector<Check> examine(const HostFacts& facts) {
  return {check_runtime_directory(facts),
          check_table(facts),
          check_tmpfs(facts),
          check_huge_pages(facts),
          check_heartbeat(facts),
          check_time_namespace(facts),
          check_daemon(facts),
          check_io(facts),
          check_state_database(facts),
          check_upstreams(facts),
          check_room(facts),
          check_clock_source(facts),
          check_groups(facts)};
}

std::string_view status_name(Status status) {
  switch (status) {
    case Status::kOk: return "ok";
    case Status::kWarn: return "warn";
    case Status::kFail: break;
  }
  return "fail";
}

Exit exit_of_checks(const std::vector<Check>& checks, const HostFacts& facts) {
  if (!facts.daemon) return Exit::kUnreachable;
  const bool failed =
      std::ranges::any_of(checks, [](const Check& check) { return check.status == Status::kFail; });
  return failed ? Exit::kFailed : Exit::kYes;
}

}  // namespace authctl
