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
  if (adopting_.exchange(true, std::memory_order_acquire)) return {};
  auto adopted = map(file, hello);
  adopting_.store(false, std::memory_order_release);
  return adopted;
}

shm::Result<void> Recency::map(const shm::UniqueFd& file, const shm::wire::HelloReply& hello) {
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return shm::fail(shm::ErrorCode::kRefused, "authcached handed over recency bytes that are not sealed");
  }
  struct stat inode;
  if (::fstat(file.get(), &inode) != 0) return shm::system_error("cannot stat the recency bytes", errno);
  if (mapped() && inode.st_dev == device_ && inode.st_ino == inode_) return {};
  const auto bytes = static_cast<std::uint64_t>(inode.st_size);
  if (bytes != hello.recency_bytes || bytes < slots_) {
    return shm::fail(shm::ErrorCode::kRefused,
                     "authcached handed over recency bytes of another size than it said");
  }
  // In the same place, since marks may be under way there.
  auto* const before = bytes_.load(std::memory_order_relaxed);
  void* data = ::mmap(before, slots_, PROT_READ | PROT_WRITE, MAP_SHARED | (before == nullptr ? 0 : MAP_FIXED),
                      file.get(), 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    give_up();  // the old pages may be gone
    return shm::system_error("cannot map the recency bytes", error);
  }
  ::madvise(data, slots_, MADV_DONTDUMP);
  device_ = inode.st_dev;
  inode_ = inode.st_ino;
  bytes_.store(static_cast<std::atomic<std::uint8_t>*>(data), std::memory_order_release);
  return {};
}

void Recency::give_up() noexcept {
  auto* bytes = bytes_.load(std::memory_order_acquire);
  if (bytes == nullptr) return;
  ::mmap(bytes, slots_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
         0);
}

}  // namespace authcache::client
