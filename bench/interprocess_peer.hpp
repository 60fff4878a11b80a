// boost::unordered_map in a Boost.Interprocess segment under an interprocess_sharable_mutex: what one writes
// who shares a map between processes with what Boost's documentation offers for it. The segment is a mapped
// file beside the table, so its pages are of the same kind; room for all elements is reserved before any is
// put in.
//
// get: any thread of any process that inherited the mapping. change: likewise, it takes the lock exclusively.
#pragma once

#include <sys/mman.h>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_mapped_file.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/interprocess/sync/sharable_lock.hpp>
#include <boost/unordered_map.hpp>
#include <filesystem>
#include <functional>
#include <vector>

#include "bench/peer_value.hpp"

namespace authcache_bench {

namespace ipc = boost::interprocess;

template <class Value>
class InterprocessPeer {
 public:
  InterprocessPeer(const std::filesystem::path& directory, const std::vector<authcache::shm::Key>& keys,
                   const Value& value)
      : file_(directory / "interprocess"),
        segment_(ipc::create_only, file_.c_str(),
                 (keys.size() + 1'000) * (sizeof(typename Map::value_type) + kOverheadBytes)) {
    ::madvise(segment_.get_address(), segment_.get_size(), MADV_HUGEPAGE);
    mutex_ = segment_.template construct<ipc::interprocess_sharable_mutex>("mutex")();
    map_ = segment_.template construct<Map>("map")(keys.size(), KeyHash(), std::equal_to<>(),
                                                   Allocator(segment_.get_segment_manager()));
    for (const auto& key : keys) map_->emplace(key, value);
  }
  InterprocessPeer(const InterprocessPeer&) = delete;
  InterprocessPeer& operator=(const InterprocessPeer&) = delete;
  ~InterprocessPeer() { std::filesystem::remove(file_); }

  bool get(const authcache::shm::Key& key, Value& value) {
    const ipc::sharable_lock lock(*mutex_);
    const auto found = map_->find(key);
    if (found == map_->end()) return false;
    value = found->second;
    return true;
  }

  void change(const authcache::shm::Key& key, const Value& value) {
    const ipc::scoped_lock lock(*mutex_);
    map_->find(key)->second = value;
  }

 private:
  // Bucket, group and allocator headers for each element, generously: the segment does not grow.
  static constexpr std::size_t kOverheadBytes = 64;
  using Segment = ipc::managed_mapped_file;
  using Allocator = ipc::allocator<std::pair<const authcache::shm::Key, Value>, Segment::segment_manager>;
  using Map = boost::unordered_map<authcache::shm::Key, Value, KeyHash, std::equal_to<>, Allocator>;

  std::filesystem::path file_;
  Segment segment_;
  ipc::interprocess_sharable_mutex* mutex_ = nullptr;
  Map* map_ = nullptr;
};

}  // namespace authcache_bench
