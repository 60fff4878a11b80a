// The hint that a record was used: one byte a slot in a sealed memory file that the daemon hands over on the
// miss socket. Untrusted by the daemon and never needed: without it every hit works the same. Any thread.
//
// The seals are checked before the size: a file that can no longer shrink is one whose mapping cannot fault.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>

#include "shm/result.hpp"
#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

class Recency {
 public:
  explicit Recency(std::uint64_t slots) : slots_(slots) {}
  Recency(const Recency&) = delete;
  Recency& operator=(const Recency&) = delete;
  ~Recency();

  // Maps the file; the first one offered stays.
  shm::Result<void> adopt(const shm::UniqueFd& file, const shm::wire::HelloReply& hello);

  // On a valid hit. Written only if it changes: a store to a line that every core reads costs them all a
  // miss.
  void mark(std::uint64_t slot) const noexcept {
    std::atomic<std::uint8_t>* bytes = bytes_.load(std::memory_order_acquire);
    if (bytes == nullptr) return;
    if (bytes[slot].load(std::memory_order_relaxed) == 0) bytes[slot].store(1, std::memory_order_relaxed);
  }

  // Replaces the pages by private zeros: marks still in flight land there and the daemon's file is let go.
  void give_up() noexcept;
  [[nodiscard]] bool mapped() const noexcept { return bytes_.load(std::memory_order_acquire) != nullptr; }

 private:
  const std::uint64_t
      slots_;  // of the table, as many bytes are mapped: no number from outside sizes the mapping
  std::atomic<std::atomic<std::uint8_t>*> bytes_{nullptr};
};

static_assert(sizeof(std::atomic<std::uint8_t>) == 1 && std::atomic<std::uint8_t>::is_always_lock_free);

}  // namespace authcache::client
