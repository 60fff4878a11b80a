#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "shm/coarse_clock.hpp"
#include "shm/table_file.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

Result<UniqueFd> create_unnamed(const std::filesystem::path& dir, std::uint64_t bytes, gid_t group) {
  UniqueFd fd(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) return system_error("cannot create a table in " + dir.string(), errno);
  int error = EINTR;  // a signal undoes what tmpfs has reserved so far
  while (error == EINTR) error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
  if (error != 0) {
    return system_error("cannot reserve " + std::to_string(bytes) + " bytes for a table in " + dir.string() +
                            "; free memory there or lower table.capacity",
                        error);
  }
  if (group != static_cast<gid_t>(-1) && ::fchown(fd.get(), static_cast<uid_t>(-1), group) != 0) {
    return system_error("cannot give the table to group " + std::to_string(group) + "; make the daemon's user a member",
                        errno);
  }
  if (::fchmod(fd.get(), kTableMode) != 0) return system_error("cannot set the table's mode", errno);
  return fd;
}

Result<void> fill_header(const TableSpec& spec, TableView& view) {
  const auto boot_id = current_boot_id();
  if (!boot_id) return std::unexpected(boot_id.error());
  if (::getrandom(view.secret.data(), sizeof view.secret, 0) != static_cast<ssize_t>(sizeof view.secret)) {
    return system_error("getrandom", errno);
  }
  Header& header = view.header();
  A::store_relaxed(header.magic, kMagic);
  A::store_relaxed(header.file_bytes, view.geometry.file_bytes);
  A::store_relaxed(header.generation, spec.generation);
  for (std::size_t i = 0; i < 2; ++i) {
    A::store_relaxed(header.boot_id[i], (*boot_id)[i]);
    A::store_relaxed(header.database_uuid[i], spec.database_uuid[i]);
  }
  A::store_relaxed(header.capacity, spec.capacity);
  A::store_relaxed(header.text_bytes_per_record, spec.text_bytes_per_record);
  A::store_relaxed(header.heartbeat_timeout_ns, spec.heartbeat_timeout_ns);
  A::store_relaxed(header.tick_ns, view.tick_ns);
  A::store_relaxed(header.negative_max, spec.negative_max);
  for (std::size_t i = 0; i < kSecretWords; ++i) A::store_relaxed(header.secret[i], view.secret[i]);
  A::store_relaxed(header.epoch_counter, 1);  // 0 is what a retired range reads as: no record may satisfy it
  A::store_relaxed(header.state, static_cast<std::uint64_t>(TableState::kLive));
  return {};
}

}  // namespace

Result<TableFile> create_table(const std::filesystem::path& dir, const TableSpec& spec) {
  if (spec.capacity < kCapacityMin || spec.capacity > kCapacityMax ||
      spec.text_bytes_per_record < kTextBytesPerRecordMin || spec.text_bytes_per_record > kTextBytesPerRecordMax) {
    return fail(ErrorCode::kUsage, "table.capacity or table.text_bytes_per_record is out of range");
  }
  TableFile file;
  file.view.geometry = make_geometry(spec.capacity, spec.text_bytes_per_record);
  file.view.generation = spec.generation;
  file.view.heartbeat_timeout_ns = spec.heartbeat_timeout_ns;
  file.view.tick_ns = coarse_tick_ns();
  auto fd = create_unnamed(dir, file.view.geometry.file_bytes, spec.group);
  if (!fd) return std::unexpected(fd.error());
  file.fd = std::move(*fd);
  auto mapping = Mapping::map(file.fd.get(), file.view.geometry.file_bytes, true);
  if (!mapping) return std::unexpected(mapping.error());
  file.mapping = std::move(*mapping);
  file.view.base = file.mapping.data();
  if (auto filled = fill_header(spec, file.view); !filled) return std::unexpected(filled.error());
  return file;
}

void publish_table(const TableView& view) { A::store_release(view.header().version, kFormatVersion); }

std::string table_file_name(std::uint64_t generation) { return std::string(kTableName) + "." + std::to_string(generation); }

Result<void> name_table(const TableFile& file, const std::filesystem::path& dir) {
  const std::filesystem::path named = dir / table_file_name(file.view.generation);
  const std::filesystem::path current = dir / kTableName;
  const std::filesystem::path next = dir / (std::string(kTableName) + ".next");
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd.get());
  struct stat inode;
  const bool has_name = ::fstat(file.fd.get(), &inode) == 0 && inode.st_nlink > 0;
  if (!has_name && ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, named.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return system_error("cannot name the table " + named.string(), errno);
  }
  ::unlink(next.c_str());  // left by a predecessor that died between link and rename
  if (::link(named.c_str(), next.c_str()) != 0) return system_error("cannot link " + next.string(), errno);
  if (::rename(next.c_str(), current.c_str()) != 0) return system_error("cannot rename to " + current.string(), errno);
  ::unlink(next.c_str());  // rename of two links to one file is a no-op that leaves both
  return {};
}

std::vector<std::uint64_t> list_generations(const std::filesystem::path& dir) {
  const std::string prefix = std::string(kTableName) + ".";
  std::vector<std::uint64_t> generations;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::uint64_t generation = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, generation);
    if (parsed.ec == std::errc{} && parsed.ptr == end) generations.push_back(generation);
  }
  std::ranges::sort(generations);
  return generations;
}

}  // namespace authcache::shm
