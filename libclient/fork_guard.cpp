#include "libclient/fork_guard.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "libclient/random_bytes.hpp"

namespace authcache::client {
namespace {

constexpr std::size_t kPageBytes = 4096;

}  // namespace

shm::Result<std::unique_ptr<ForkGuard>> ForkGuard::create() {
  void* page = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return shm::system_error("cannot map the page that notices a fork", errno);
  if (::madvise(page, kPageBytes, MADV_WIPEONFORK) != 0) {
    const int error = errno;
    ::munmap(page, kPageBytes);
    return shm::system_error("cannot mark the page that notices a fork; Linux 4.14 or later is needed",
                             error);
  }
  std::unique_ptr<ForkGuard> guard(new ForkGuard(new (page) std::atomic<std::uint64_t>(0)));
  if (guard->owner() == 0) return shm::system_error("getrandom", errno);
  return guard;
}

ForkGuard::~ForkGuard() { ::munmap(page_, kPageBytes); }

std::uint64_t ForkGuard::owner() noexcept {
  const std::uint64_t seen = page_->load(std::memory_order_acquire);
  if (seen != 0) return seen;
  std::uint64_t expected = 0;
  const std::uint64_t mine = random_word();
  return page_->compare_exchange_strong(expected, mine, std::memory_order_acq_rel) ? mine : expected;
}

}  // namespace authcache::client
