// Tells a forked child from its parent without a system call: one page that the kernel hands to a child as
// zeros (MADV_WIPEONFORK), holding a random number that names the process. What was made under another
// owner's name (a connection, a held lock) is the parent's. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "shm/result.hpp"

namespace authcache::client {

class ForkGuard {
 public:
  [[nodiscard]] static shm::Result<std::unique_ptr<ForkGuard>> create();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard();

  // Never 0. The first call in a child draws the child's own number (a system call, once).
  [[nodiscard]] std::uint64_t owner() noexcept;

 private:
  explicit ForkGuard(std::atomic<std::uint64_t>* page) : page_(page) {}
  std::atomic<std::uint64_t>* page_;
};

}  // namespace authcache::client
