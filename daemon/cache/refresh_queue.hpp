// When to look at which record again: slots by a moment (CLOCK_MONOTONIC ns), and until when what a record
// says is proven. The queue of one generation; what a look is for is decided by cache/refresher.hpp. Loop
// thread only.
//
// Invariants
// 1. A slot stands in the queue at most once, and only while its record is live and valid: who places, moves
// and
//    kills records tells (Generation).
// 2. A place in the queue costs O(log n) to give and to take; nothing is allocated after the start and
// nothing throws.
//
// Memory: 24 bytes a slot, zero pages of the kernel until a record stands there.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

namespace authcached {

class RefreshQueue {
 public:
  // A record that is new here: how soon it needs a look is not known yet.
  static constexpr std::uint64_t kNew = 0;

  explicit RefreshQueue(std::uint64_t slots);

  // At that moment, or at another one from now on.
  void put(std::uint64_t slot, std::uint64_t look_ns);
  void remove(std::uint64_t slot);  // if it is there
  void moved(std::uint64_t from, std::uint64_t to);

  struct Due {
    std::uint64_t slot;
    std::uint64_t look_ns;  // what it was put at
  };
  // Takes out the one with the earliest moment if that is not later than now.
  [[nodiscard]] std::optional<Due> pop(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t size() const { return size_; }

  // The deadline that the last proof gave this record; 0: not known (an earlier daemon's record). A deadline
  // beyond it was given while the upstream failed.
  [[nodiscard]] std::uint64_t proven_until(std::uint64_t slot) const { return proven_until_[slot]; }
  void set_proven_until(std::uint64_t slot, std::uint64_t deadline) { proven_until_[slot] = deadline; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  template <class T>
  using Array = std::unique_ptr<T[], Free>;
  template <class T>
  static Array<T> zeros(std::uint64_t count);

  [[nodiscard]] bool earlier(std::uint32_t one, std::uint32_t other) const {
    return look_[one] < look_[other];
  }
  void set(std::uint64_t at, std::uint32_t slot);
  void rise(std::uint64_t at);
  void sink(std::uint64_t at);

  std::uint64_t size_ = 0;
  Array<std::uint32_t> heap_;      // slots; a binary heap from index 1 on
  Array<std::uint32_t> position_;  // by slot: its index in heap_; 0: it is not there
  Array<std::uint64_t> look_;      // by slot
  Array<std::uint64_t> proven_until_;
};

}  // namespace authcached
