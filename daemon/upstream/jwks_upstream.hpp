// JWTs against a key set in a file. The file is looked at once a second and read when it changed, by a worker, because
// checking the keys of a large set takes seconds; a file that cannot be read or holds no usable key leaves the last
// good set in place and says so. Signatures are checked by a small pool. Loop thread only.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/token/jwt.hpp"
#include "daemon/token/key_set.hpp"
#include "daemon/upstream/upstream.hpp"
#include "shm/result.hpp"

namespace authcached {

// What a re-read changed: keys that no longer prove anything, and whether new ones came.
struct KeySetChange {
  std::vector<Sha256> removed;
  bool added = false;
  bool failed = false;  // the file cannot be used, for a reason not told before: last_error()
};

class JwksUpstream final : public Upstream, public std::enable_shared_from_this<JwksUpstream> {
 public:
  using Changed = std::move_only_function<void(const KeySetChange&)>;

  // Reads the file for the first time, on the calling thread; an unusable one is an error, so that a daemon does not
  // start blind. The reader runs later reads: not one of the pool, whose questions would wait behind them.
  static authcache::shm::Result<std::shared_ptr<JwksUpstream>> open(const ProfileConfig& profile, std::vector<Executor*> pool,
                                                                    Executor& reader, Executor& loop, const Clock& clock);

  void resolve(Query query, Answer answer) override;
  [[nodiscard]] bool well_formed(std::string_view token) const override { return is_compact_jws(token); }
  [[nodiscard]] bool has_key(const Sha256& thumbprint) const override;
  [[nodiscard]] std::string state_json() const override;

  // Looks at the file; has it read if its identity, size or time changed. changed is called at most once, on the loop,
  // in the turn in which the new set comes into force or a new error becomes known.
  void poll(Changed changed);
  [[nodiscard]] const KeySet& keys() const { return *keys_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] std::int64_t loaded_wall_ns() const { return loaded_wall_ns_; }

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
  JwksUpstream(const ProfileConfig& profile, std::vector<Executor*> pool, Executor& reader, Executor& loop, const Clock& clock);
  [[nodiscard]] static FileMark mark_of(const struct stat& inode);
  [[nodiscard]] static authcache::shm::Result<std::string> read_file(const std::string& file, FileMark& mark);
  [[nodiscard]] static Reading read(const std::string& file);
  // True if this error was not the last one already.
  bool fails(std::string sentence);
  [[nodiscard]] KeySetChange take(Reading reading);
  [[nodiscard]] Proof prove(const Query& query, const KeySet& keys) const;

  const std::string file_;
  JwtPolicy policy_;
  std::vector<Executor*> pool_;
  Executor& reader_;
  Executor& loop_;
  const Clock& clock_;
  std::shared_ptr<const KeySet> keys_;
  FileMark mark_;
  bool reading_ = false;
  bool young_ = false;  // the file was written shortly before it was read: a later write may bear the same time
  std::string last_error_;
  std::int64_t loaded_wall_ns_ = 0;
  std::uint64_t questions_ = 0;
  std::uint64_t reads_ = 0;
  std::size_t next_ = 0;      // pool, in turn
  std::size_t in_pool_ = 0;
};

}  // namespace authcached
