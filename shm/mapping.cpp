#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "shm/table_file.hpp"

namespace authcache::shm {

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Mapping> Mapping::map(int fd, std::size_t bytes, bool writable) {
  void* data = ::mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return system_error("cannot map the table of " + std::to_string(bytes) + " bytes", errno);
  // Identities must not reach a core dump. Huge pages are a wish: a mount without them gives 4 KiB pages.
  ::madvise(data, bytes, MADV_DONTDUMP);
  ::madvise(data, bytes, MADV_HUGEPAGE);
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = bytes;
  return mapping;
}

void Mapping::give_up() {
  if (data_ == nullptr) return;
  ::mmap(data_, size_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

}  // namespace authcache::shm
