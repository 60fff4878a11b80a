#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "shm/table_file.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

// What a user namespace shows for everybody that it has no number for, this process itself included.
constexpr uid_t kOverflowUid = 65534;

bool trusted_owner(uid_t owner, uid_t expected) {
  return owner == 0 || owner == expected || (owner == ::geteuid() && owner != kOverflowUid);
}

Result<void> check_inode(const std::string& name, int fd, uid_t expected_owner, std::uint64_t& bytes) {
  struct stat inode;
  if (::fstat(fd, &inode) != 0) return system_error("cannot stat " + name, errno);
  if (!S_ISREG(inode.st_mode)) return fail(ErrorCode::kRefused, name + " is not a regular file");
  if (!trusted_owner(inode.st_uid, expected_owner)) {
    return fail(ErrorCode::kRefused, name + " is owned by uid " + std::to_string(inode.st_uid) +
                                         ", which is neither root, this process nor the configured daemon uid");
  }
  if ((inode.st_mode & 07777 & ~kTableMode) != 0) {
    return fail(ErrorCode::kRefused, name + " has a wider mode than 0640: someone else may have written it");
  }
  struct statfs filesystem;
  if (::fstatfs(fd, &filesystem) != 0) return system_error("cannot statfs " + name, errno);
  if (filesystem.f_type != TMPFS_MAGIC) {
    return fail(ErrorCode::kRefused, name + " is not on tmpfs; set runtime_dir to a directory on tmpfs, such as one in /dev/shm");
  }
  bytes = static_cast<std::uint64_t>(inode.st_size);
  if (bytes < sizeof(Header)) return fail(ErrorCode::kCorrupt, name + " is shorter than a table header");
  return {};
}

// The header, once mapped: what it says must agree with what this build would lay out.
Result<void> adopt_header(const std::string& name, std::uint64_t bytes, TableView& view) {
  const Header& header = view.header();
  if (A::load_relaxed(header.magic) != kMagic) return fail(ErrorCode::kCorrupt, name + " is not a table file");
  const std::uint64_t version = A::load_acquire(header.version);
  if (version != kFormatVersion) {
    return fail(ErrorCode::kRefused, name + " has format version " + std::to_string(version) + ", this build reads " +
                                         std::to_string(kFormatVersion) + "; install matching daemon and library");
  }
  const auto boot_id = current_boot_id();
  if (!boot_id) return std::unexpected(boot_id.error());
  for (std::size_t i = 0; i < 2; ++i) {
    if (A::load_relaxed(header.boot_id[i]) != (*boot_id)[i]) {
      return fail(ErrorCode::kRefused, name + " was written in another boot of this machine");
    }
  }
  const std::uint64_t capacity = A::load_relaxed(header.capacity);
  const std::uint64_t text = A::load_relaxed(header.text_bytes_per_record);
  const bool in_range = capacity >= kCapacityMin && capacity <= kCapacityMax && text >= kTextBytesPerRecordMin &&
                        text <= kTextBytesPerRecordMax;
  if (!in_range || make_geometry(capacity, text).file_bytes != bytes || A::load_relaxed(header.file_bytes) != bytes) {
    return fail(ErrorCode::kCorrupt, name + " has a size that its header does not explain");
  }
  view.geometry = make_geometry(capacity, text);
  for (std::size_t i = 0; i < kSecretWords; ++i) view.secret[i] = A::load_relaxed(header.secret[i]);
  view.generation = A::load_relaxed(header.generation);
  view.heartbeat_timeout_ns = A::load_relaxed(header.heartbeat_timeout_ns);
  view.tick_ns = A::load_relaxed(header.tick_ns);
  return {};
}

}  // namespace

Result<TableFile> open_table(const std::filesystem::path& path, const OpenTable& how) {
  const std::string name = path.string();
  TableFile file;
  file.fd = UniqueFd(::open(path.c_str(), (how.writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.fd) {
    const int error = errno;
    if (error == ENOENT) return fail(ErrorCode::kNotFound, "there is no " + name + "; start authcached");
    if (error == ELOOP) return fail(ErrorCode::kRefused, name + " is a symbolic link");
    if (error == EACCES) {
      return fail(ErrorCode::kRefused, "no permission to read " + name + "; add this user to the group that owns it");
    }
    return system_error("cannot open " + name, error);
  }
  std::uint64_t bytes = 0;
  if (auto checked = check_inode(name, file.fd.get(), how.expected_owner, bytes); !checked) return std::unexpected(checked.error());
  auto mapping = Mapping::map(file.fd.get(), bytes, how.writable);
  if (!mapping) return std::unexpected(mapping.error());
  file.mapping = std::move(*mapping);
  file.view.base = file.mapping.data();
  if (auto adopted = adopt_header(name, bytes, file.view); !adopted) return std::unexpected(adopted.error());
  return file;
}

Result<void> check_directory(const std::filesystem::path& dir, uid_t expected_owner) {
  struct stat inode;
  if (::stat(dir.c_str(), &inode) != 0) {
    if (errno == ENOENT) return fail(ErrorCode::kNotFound, "there is no runtime directory " + dir.string() + "; start authcached");
    return system_error("cannot stat " + dir.string(), errno);
  }
  if (!S_ISDIR(inode.st_mode)) return fail(ErrorCode::kRefused, dir.string() + " is not a directory");
  if (!trusted_owner(inode.st_uid, expected_owner)) {
    return fail(ErrorCode::kRefused, dir.string() + " is owned by uid " + std::to_string(inode.st_uid) +
                                         ", which is neither root, this process nor the configured daemon uid");
  }
  if ((inode.st_mode & 0022) != 0) {
    return fail(ErrorCode::kRefused, dir.string() + " is writable by others than its owner; chmod it to 0750");
  }
  return {};
}

}  // namespace authcache::shm
