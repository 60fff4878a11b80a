// A private directory on tmpfs and fresh tables in it, gone with the object. For tests of any folder; one
// thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "shm/table_writer.hpp"

namespace authcache_test {

// A directory of mode 0750 under /dev/shm. Throws std::runtime_error where none can be made.
class TempTableDirectory {
 public:
  TempTableDirectory();
  TempTableDirectory(const TempTableDirectory&) = delete;
  TempTableDirectory& operator=(const TempTableDirectory&) = delete;
  ~TempTableDirectory();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Small enough for thousands of tests a minute, large enough to fill.
[[nodiscard]] authcache::shm::TableSpec small_table_spec();

// A published and named table with its writer and one heartbeat.
class TempTable {
 public:
  explicit TempTable(const authcache::shm::TableSpec& spec = small_table_spec());

  [[nodiscard]] authcache::shm::TableWriter& writer() { return writer_; }
  [[nodiscard]] const authcache::shm::TableView& view() const { return writer_.view(); }
  [[nodiscard]] const std::filesystem::path& dir() const { return directory_.path(); }
  [[nodiscard]] std::filesystem::path file() const;  // table.<generation>

  // The same file through a second mapping, as a successor or a client opens it.
  [[nodiscard]] authcache::shm::TableFile open_again(bool writable) const;

 private:
  TempTableDirectory directory_;
  authcache::shm::TableWriter writer_;
};

}  // namespace authcache_test
