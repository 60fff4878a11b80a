#include "libclient/recency.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace authcache::client {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Recency::~Recency() {
  if (auto* bytes = bytes_.load()) ::munmap(bytes, slots_);
}

shm::Result<void> Recency::adopt(const shm::UniqueFd& file, const shm::wire::HelloReply& hello) {
  if (mapped()) return {};
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return shm::fail(shm::ErrorCode::kRefused, "authcached handed over recency bytes that are not sealed");
  }
  struct stat inode;
  if (::fstat(file.get(), &inode) != 0) return shm::system_error("cannot stat the recency bytes", errno);
  const auto bytes = static_cast<std::uint64_t>(inode.st_size);
  if (bytes != hello.recency_bytes || bytes < slots_) {
    return shm::fail(shm::ErrorCode::kRefused,
                     "authcached handed over recency bytes of another size than it said");
  }
  void* data = ::mmap(nullptr, slots_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) return shm::system_error("cannot map the recency bytes", errno);
  ::madvise(data, slots_, MADV_DONTDUMP);
  std::atomic<std::uint8_t>* expected = nullptr;
  if (!bytes_.compare_exchange_strong(expected, static_cast<std::atomic<std::uint8_t>*>(data),
                                      std::memory_order_acq_rel)) {
    ::munmap(data, slots_);
  }
  return {};
}

void Recency::give_up() noexcept {
  auto* bytes = bytes_.load(std::memory_order_acquire);
  if (bytes == nullptr) return;
  ::mmap(bytes, slots_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
         0);
}

}  // namespace authcache::client
