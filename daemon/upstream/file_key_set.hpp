// A key set in a file. The file is looked at once a second and read when it changed, by a worker, because checking the
// keys of a large set takes seconds; a file that cannot be read or holds no usable key leaves the last good set in place
// and says so. Loop thread only.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "shm/result.hpp"

namespace authcached {

class FileKeySet final : public KeySetSource, public std::enable_shared_from_this<FileKeySet> {
 public:
  // Reads the file for the first time, on the calling thread; an unusable one is an error, so that a daemon does not
  // start blind. The reader runs later reads: not one that checks signatures, whose questions would wait behind them.
  static authcache::shm::Result<std::shared_ptr<FileKeySet>> open(const std::filesystem::path& file, Executor& reader, Executor& loop,
                                                                  const Clock& clock);

  [[nodiscard]] std::shared_ptr<const KeySet> keys() const override { return keys_; }
  // Has the file read if its identity, size or time changed. changed is called in the turn in which the new set comes into
  // force or a new error becomes known.
  void poll(Changed changed) override;
  // A file says all that it knows.
  void seek(const KeySet* seen, uid_t uid, std::uint64_t deadline_ns, Found found) override;
  [[nodiscard]] const std::string& last_error() const override { return last_error_; }
  [[nodiscard]] std::int64_t loaded_wall_ns() const override { return loaded_wall_ns_; }
  [[nodiscard]] std::string complaint() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  struct FileMark {
    std::uint64_t device = 0, inode = 0, bytes = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const FileMark&) const = default;
  };
  struct Reading {
    FileMark mark;  // also of a file that does not parse: it is read again when it changes
    authcache::shm::Result<KeySet> keys;
  };
  FileKeySet(const std::filesystem::path& file, Executor& reader, Executor& loop, const Clock& clock);
  [[nodiscard]] static FileMark mark_of(const struct stat& inode);
  [[nodiscard]] static authcache::shm::Result<std::string> read_file(const std::string& file, FileMark& mark);
  [[nodiscard]] static Reading read(const std::string& file);
  // True if this error was not the last one already.
  bool fails(std::string sentence);
  [[nodiscard]] KeySetChange take(Reading reading);

  const std::string file_;
  Executor& reader_;
  Executor& loop_;
  const Clock& clock_;
  std::shared_ptr<const KeySet> keys_;
  FileMark mark_;
  bool reading_ = false;
  bool young_ = false;  // the file was written shortly before it was read: a later write may bear the same time
  std::string last_error_;
  std::int64_t loaded_wall_ns_ = 0;
  std::uint64_t reads_ = 0;
};

}  // namespace authcached
