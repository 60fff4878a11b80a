// Table files: making one, naming it, and attaching to one that another process made.
//
// A file is made without a name, given all its blocks (posix_fallocate: a full tmpfs is an error here, not a SIGBUS
// later), filled, published by a release store of its version, and only then named `table.<generation>`; `table` is a
// hard link to the current one, replaced by rename. So whoever can open a name sees a whole file.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shm/boot_id.hpp"
#include "shm/result.hpp"
#include "shm/table_view.hpp"
#include "shm/unique_fd.hpp"

namespace authcache::shm {

inline constexpr const char* kTableName = "table";
inline constexpr mode_t kTableMode = 0640;

// A mapped range. Moving it moves the ownership; unmapping happens once.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  static Result<Mapping> map(int fd, std::size_t bytes, bool writable);
  // Replaces the pages by anonymous zeros in place: every later read finds state RETIRED, and nothing is pinned.
  void give_up();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

struct TableFile {
  UniqueFd fd;  // writers keep it (naming, inode); readers close it
  Mapping mapping;
  TableView view;
};

struct TableSpec {
  std::uint64_t capacity = 0;
  std::uint64_t text_bytes_per_record = 0;
  std::uint64_t heartbeat_timeout_ns = 0;
  std::uint64_t negative_max = 0;
  std::uint64_t generation = 0;
  std::array<std::uint64_t, 2> database_uuid{};
  gid_t group = static_cast<gid_t>(-1);  // -1: leave the file's group
};

[[nodiscard]] Result<TableFile> create_table(const std::filesystem::path& dir, const TableSpec& spec);
void publish_table(const TableView& view);
[[nodiscard]] Result<void> name_table(const TableFile& file, const std::filesystem::path& dir);
[[nodiscard]] std::string table_file_name(std::uint64_t generation);
[[nodiscard]] std::vector<std::uint64_t> list_generations(const std::filesystem::path& dir);  // rising

// Opens and checks, on one descriptor: no symbolic link, owner (root, this process's euid or expected_owner), mode,
// tmpfs, size, magic, version, boot. Each refusal is a sentence.
struct OpenTable {
  uid_t expected_owner = static_cast<uid_t>(-1);
  bool writable = false;
};
[[nodiscard]] Result<TableFile> open_table(const std::filesystem::path& file, const OpenTable& how);

// The directory that holds it: owned like the table, and writable by nobody else.
[[nodiscard]] Result<void> check_directory(const std::filesystem::path& dir, uid_t expected_owner);

}  // namespace authcache::shm
