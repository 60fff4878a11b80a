// The memory that the processes of a run share: what each wrote down, and the little that they tell each
// other. It goes with the object that made it; children inherit it by fork.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <span>
#include <stdexcept>
#include <type_traits>

#include "tests/history/history.hpp"
#include "tests/history/plan.hpp"

namespace authcache_test {

inline void* shared_memory(std::size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("cannot map shared memory");
  return memory;
}

// Grows by one writer; read by others up to size().
template <class Item>
class SharedLog {
 public:
  static_assert(std::is_trivially_copyable_v<Item>);

  explicit SharedLog(std::size_t capacity)
      : capacity_(capacity),
        size_(new (shared_memory(64)) std::atomic<std::size_t>(0)),
        items_(static_cast<Item*>(shared_memory(capacity * sizeof(Item)))) {}
  SharedLog(const SharedLog&) = delete;
  SharedLog& operator=(const SharedLog&) = delete;
  ~SharedLog() {
    ::munmap(size_, 64);
    ::munmap(items_, capacity_ * sizeof(Item));
  }

  void append(const Item& item) {
    const std::size_t at = size_->load(std::memory_order_relaxed);
    // A history with a hole could acquit what is wrong.
    if (at == capacity_) throw std::runtime_error("a log of the run is full");
    items_[at] = item;
    size_->store(at + 1, std::memory_order_release);
  }
  [[nodiscard]] std::span<const Item> items() const {
    return {items_, size_->load(std::memory_order_acquire)};
  }

 private:
  std::size_t capacity_;
  std::atomic<std::size_t>* size_;
  Item* items_;
};

// One session of the plan, once it is created.
struct SessionSlot {
  std::atomic<bool> ready;
  std::int64_t created_from_wall_ns, created_until_wall_ns;
  std::array<char, 64> token, sid;
};

enum class Phase : std::uint32_t { kBusy, kQuiet };

struct Board {
  static constexpr std::size_t kFocus = 6;
  static constexpr std::uint32_t kLatestSessions = 30;  // in use at one time

  std::atomic<Phase> phase;
  std::atomic<bool> operators_end, clients_end;
  std::atomic<std::uint32_t> clients_done;
  std::atomic<std::uint32_t> sessions_taken;  // slots of the plan that somebody has tried to create
  std::atomic<std::uint32_t> focus_next;
  std::array<std::atomic<std::uint32_t>, kFocus> focus;  // credentials that are being revoked about now
  std::atomic<std::int64_t> start_ns;
  // Since when nothing is flushed, voided or restarted, so that records live to their deadlines; 0: it is not so.
  std::atomic<std::int64_t> calm_since_ns;
  std::atomic<bool> calm_owed;  // the clients go on until it was
  std::array<SessionSlot, Plan::kSessions> sessions;

  [[nodiscard]] std::uint32_t sessions_made() const {
    return std::min(sessions_taken.load(), static_cast<std::uint32_t>(Plan::kSessions));
  }
  // Of those in use; while no daemon answers, slots are taken in vain.
  [[nodiscard]] std::uint32_t latest_ready() const {
    std::uint32_t ready = 0;
    const std::uint32_t made = sessions_made();
    for (std::uint32_t back = 1; back <= std::min(made, kLatestSessions); ++back)
      ready += sessions[made - back].ready.load(std::memory_order_acquire) ? 1 : 0;
    return ready;
  }
};

}  // namespace authcache_test
