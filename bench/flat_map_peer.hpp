// boost::unordered_flat_map in this process under a std::shared_mutex: the fastest map of Boost, for one
// process only. Its array is an unnamed file in the table's directory, so that it gets the same pages as the
// table.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <filesystem>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "bench/die.hpp"
#include "bench/peer_value.hpp"
#include "shm/unique_fd.hpp"

namespace authcache_bench {

// Maps each block as a file of its own; for containers that allocate once.
template <class T>
class PageAllocator {
 public:
  using value_type = T;
  explicit PageAllocator(std::filesystem::path directory) : directory_(std::move(directory)) {}
  template <class U>
  PageAllocator(const PageAllocator<U>& other)
      : directory_(other.directory()) {}  // NOLINT: allocators convert

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    const authcache::shm::UniqueFd fd(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd || ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) != 0)
      die("no room for the flat map");
    void* block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (block == MAP_FAILED) die("the flat map's memory was refused");
    ::madvise(block, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t count) { ::munmap(block, count * sizeof(T)); }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  friend bool operator==(const PageAllocator& a, const PageAllocator& b) {
    return a.directory_ == b.directory_;
  }

 private:
  std::filesystem::path directory_;
};

template <class Value>
class FlatMapPeer {
 public:
  FlatMapPeer(const std::filesystem::path& directory, const std::vector<authcache::shm::Key>& keys,
              const Value& value)
      : map_(keys.size(), KeyHash(), std::equal_to<>(), Allocator(directory)) {
    for (const auto& key : keys) map_.emplace(key, value);
  }

  bool get(const authcache::shm::Key& key, Value& value) {
    const std::shared_lock lock(mutex_);
    const auto found = map_.find(key);
    if (found == map_.end()) return false;
    value = found->second;
    return true;
  }

 private:
  using Allocator = PageAllocator<std::pair<const authcache::shm::Key, Value>>;
  std::shared_mutex mutex_;
  boost::unordered_flat_map<authcache::shm::Key, Value, KeyHash, std::equal_to<>, Allocator> map_;
};

}  // namespace authcache_bench
