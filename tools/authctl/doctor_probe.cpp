#include "tools/authctl/doctor_probe.hpp"

#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "shm/coarse_clock.hpp"
#include "shm/table_file.hpp"
#include "shm/wire.hpp"
#include "tools/authctl/ask.hpp"
#include "tools/authctl/proc_text.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/table_inspection.hpp"
#include "tools/authctl/table_owner.hpp"

namespace authctl {
namespace {

namespace shm = authcache::shm;

constexpr std::size_t kNameBufferBytes =
    16 * 1024;  // of getpwuid_r and getgrgid_r; groups have long member lists

std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(kNameBufferBytes);
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(uid);
}

std::string group_name(gid_t gid) {
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(kNameBufferBytes);
  ::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->gr_name : std::to_string(gid);
}

bool in_group(gid_t gid) {
  if (::getegid() == gid) return true;
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return std::ranges::find(groups, gid) != groups.end();
}

DirectoryFacts probe_directory(const std::filesystem::path& path) {
  DirectoryFacts facts;
  struct stat inode {};
  if (::stat(path.c_str(), &inode) != 0) {
    if (errno != ENOENT) facts.error = std::strerror(errno);
    return facts;
  }
  facts.exists = true;
  facts.is_directory = S_ISDIR(inode.st_mode);
  facts.owner = user_name(inode.st_uid);
  facts.mode = inode.st_mode;
  struct statfs filesystem {};
  if (::statfs(path.c_str(), &filesystem) == 0) facts.tmpfs = filesystem.f_type == TMPFS_MAGIC;
  struct statvfs room {};
  if (::statvfs(path.c_str(), &room) == 0) facts.free_bytes = room.f_bavail * room.f_frsize;
  return facts;
}

// Pages count as mapped once they were read: one word of each 2 MiB tells whether a huge page stands there.
void touch(const shm::Mapping& mapping) {
  constexpr std::size_t kStep = 2 << 20;
  for (std::size_t i = 0; i < mapping.size(); i += kStep) {
    static_cast<void>(*static_cast<const volatile std::byte*>(mapping.data() + i));
  }
}

void probe_table(HostFacts& facts) {
  const auto table = shm::open_table(facts.runtime_dir / shm::kTableName,
                                     {.expected_owner = table_owner(facts.runtime_dir), .writable = false});
  if (!table) {
    facts.table_error = table.error().message;
    return;
  }
  touch(table->mapping);
  const std::string smaps = read_text_file("/proc/self/smaps").value_or("");
  const auto address = reinterpret_cast<std::uintptr_t>(table->mapping.data());
  const auto& header = table->view.header();
  // The heartbeat before the clock, so that a running writer is never ahead of it.
  const std::uint64_t heartbeat_ns = shm::StdAtomics::load_acquire(header.heartbeat_ns);
  facts.table = TableFacts{.generation = table->view.generation,
                           .state = shm::StdAtomics::load_acquire(header.state),
                           .file_bytes = table->view.geometry.file_bytes,
                           .page_kb = smaps_kb(smaps, address, "KernelPageSize").value_or(0),
                           .huge_kb = smaps_kb(smaps, address, "ShmemPmdMapped").value_or(0),
                           .heartbeat_age_ns = static_cast<std::int64_t>(shm::coarse_now_ns() - heartbeat_ns),
                           .heartbeat_timeout_ns = table->view.heartbeat_timeout_ns};
}

void probe_daemon(const Call& call, HostFacts& facts) {
  // Endpoints that nobody needed yet are asked now: what is wrong with them shows only over the network.
  auto probe = request("upstreams");
  probe["probe"] = true;
  (void)ask(call, probe);
  const auto stats = ask(call, request("stats"));
  if (!stats) {
    facts.daemon_error = stats.error();
    return;
  }
  const auto& daemon = object_in(*stats, "daemon");
  facts.daemon = DaemonFacts{.version = text_in(daemon, "version"), .io = text_in(daemon, "io")};
  for (const auto& complaint : array_in(*stats, "complaints"))
    facts.daemon->complaints.push_back(member_text("", complaint));
  for (const auto& complaint : array_in(*stats, "upstream_complaints"))
    facts.daemon->upstream_complaints.push_back(member_text("", complaint));
}

AccessFacts probe_access(const std::filesystem::path& runtime_dir) {
  AccessFacts facts{.user = user_name(::geteuid()), .is_root = ::geteuid() == 0};
  struct stat inode {};
  if (::stat((runtime_dir / shm::kTableName).c_str(), &inode) == 0 ||
      ::stat(runtime_dir.c_str(), &inode) == 0) {
    facts.table_group = group_name(inode.st_gid);
    facts.in_table_group = in_group(inode.st_gid) || inode.st_uid == ::geteuid();
  }
  if (::stat((runtime_dir / shm::wire::kControlSocket).c_str(), &inode) == 0) {
    facts.control_group = group_name(inode.st_gid);
    facts.in_control_group = in_group(inode.st_gid) || inode.st_uid == ::geteuid();
  }
  return facts;
}

std::string without_newline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

HostFacts probe_host(const Call& call) {
  HostFacts facts{.runtime_dir = call.settings.runtime_dir,
                  .directory = probe_directory(call.settings.runtime_dir)};
  probe_table(facts);
  facts.shmem_enabled =
      bracketed(read_text_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled").value_or(""));
  facts.clocks_shifted = shifts_clocks(read_text_file("/proc/self/timens_offsets").value_or(""));
  probe_daemon(call, facts);
  if (auto text = read_text_file("/proc/sys/kernel/io_uring_disabled"))
    facts.io_uring_disabled = without_newline(*text);
  facts.clock_source = without_newline(
      read_text_file("/sys/devices/system/clocksource/clocksource0/current_clocksource").value_or(""));
  facts.access = probe_access(call.settings.runtime_dir);
  return facts;
}

}  // namespace authctl
