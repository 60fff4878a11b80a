// The hint that a record was used: one byte a slot in a sealed memory file that the daemon hands over on the
// miss socket. Untrusted by the daemon and never needed: without it every hit works the same. Any thread.
//
// The seals are checked before the size: a file that can no longer shrink is one whose mapping cannot fault.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

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

  // Maps the file, in place of one that an earlier life of the daemon handed over: that one nobody reads any more,
  // though the table is the same.
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
  shm::Result<void> map(const shm::UniqueFd& file, const shm::wire::HelloReply& hello);

  const std::uint64_t
      slots_;  // of the table, as many bytes are mapped: no number from outside sizes the mapping
  std::atomic<std::atomic<std::uint8_t>*> bytes_{nullptr};
  // Who is at it has the members below. No mutex: a child of fork() may find it taken for ever, and then only keeps
  // what it has.
  std::atomic<bool> adopting_{false};
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

static_assert(sizeof(std::atomic<std::uint8_t>) == 1 && std::atomic<std::uint8_t>::is_always_lock_free);

}  // namespace authcache::client
