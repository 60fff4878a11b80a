// A few words that threads of one process share: read whole or not at all, written by whoever comes first.
// No reader and no writer ever waits, so a signal handler that interrupts a writer, and a child forked in the
// middle of a write, only find the cell unreadable; callers must have an answer of their own for that.
//
// Invariants
// 1. An odd sequence means that the words are being written. Only the thread that made it odd writes them.
// 2. A load that finds the same even sequence before and after its word loads read one stored value, whole:
// the
//    orders are those of shm/slot.hpp.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace authcache::client {

template <std::size_t kWords>
class SeqCell {
 public:
  using Words = std::array<std::uint64_t, kWords>;

  // False if nothing was stored yet or a store is under way.
  bool load(Words& out) const noexcept {
    const std::uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before == 0 || before % 2 != 0) return false;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kWords; ++i) out[i] = words_[i].load(std::memory_order_acquire);
    return sequence_.load(std::memory_order_relaxed) == before;
  }

  // False if another store is under way: nothing was changed then.
  bool try_store(const Words& words) noexcept {
    std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    if (sequence % 2 != 0) return false;
    // Acquire pairs with the last store's release, so that its words never come after these.
    if (!sequence_.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return false;
    }
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool ever_stored() const noexcept { return sequence_.load(std::memory_order_acquire) != 0; }

 private:
  std::atomic<std::uint64_t> sequence_{0};
  std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

}  // namespace authcache::client
