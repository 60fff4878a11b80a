// LMDB: one database file on the table's file system, filled in key order (MDB_APPEND packs its pages full),
// then opened again read-only. A lookup is what lmdb.h advises for short reads: one read-only transaction,
// kept by mdb_txn_reset and begun by mdb_txn_renew. Reader locks stay on (no MDB_NOLOCK): a writer exists in
// the field.
//
// One thread. The constructor ends the program if LMDB refuses anything.
#pragma once

#include <lmdb.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "bench/die.hpp"
#include "shm/slot.hpp"

namespace authcache_bench {

template <class Value>
class LmdbPeer {
 public:
  LmdbPeer(const std::filesystem::path& directory, std::vector<authcache::shm::Key> keys, const Value& value)
      : file_(directory / "lmdb") {
    fill(std::move(keys), value);
    open(MDB_NOSUBDIR | MDB_RDONLY, keys_count_);
    must(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn_));
    must(mdb_dbi_open(txn_, nullptr, 0, &dbi_));
    mdb_txn_reset(txn_);
  }
  LmdbPeer(const LmdbPeer&) = delete;
  LmdbPeer& operator=(const LmdbPeer&) = delete;
  ~LmdbPeer() {
    mdb_txn_abort(txn_);
    mdb_env_close(env_);
    std::filesystem::remove(file_);
    std::filesystem::remove(file_.string() + "-lock");
  }

  bool get(const authcache::shm::Key& key, Value& value) {
    if (mdb_txn_renew(txn_) != MDB_SUCCESS) return false;
    MDB_val name{sizeof key, const_cast<std::uint64_t*>(key.data())};
    MDB_val data;
    const bool found = mdb_get(txn_, dbi_, &name, &data) == MDB_SUCCESS && data.mv_size == sizeof value;
    if (found) std::memcpy(&value, data.mv_data, sizeof value);
    mdb_txn_reset(txn_);
    return found;
  }

 private:
  static void must(int code) {
    if (code != MDB_SUCCESS) die(std::string("LMDB: ") + mdb_strerror(code));
  }

  void open(unsigned flags, std::size_t records) {
    must(mdb_env_create(&env_));
    must(mdb_env_set_mapsize(env_, (records + 10'000) * (sizeof(Value) + 24) * 2));
    must(mdb_env_open(env_, file_.c_str(), flags, 0600));
  }

  void fill(std::vector<authcache::shm::Key> keys, const Value& value) {
    keys_count_ = keys.size();
    std::ranges::sort(
        keys, [](const auto& a, const auto& b) { return std::memcmp(a.data(), b.data(), sizeof a) < 0; });
    // These flags only make the filling fast; the reader's environment is opened anew.
    open(MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP, keys.size());
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(env_, nullptr, 0, &txn));
    must(mdb_dbi_open(txn, nullptr, 0, &dbi_));
    for (authcache::shm::Key& key : keys) {
      MDB_val name{sizeof key, key.data()};
      MDB_val data{sizeof value, const_cast<Value*>(&value)};
      must(mdb_put(txn, dbi_, &name, &data, MDB_APPEND));
    }
    must(mdb_txn_commit(txn));
    mdb_env_close(env_);
  }

  std::filesystem::path file_;
  std::size_t keys_count_ = 0;
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace authcache_bench
