#include "bench/counting_allocator.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace authcache_bench {
namespace {

std::atomic<std::uint64_t> counted{0};

void count() noexcept { counted.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

std::uint64_t allocations() { return counted.load(std::memory_order_relaxed); }

}  // namespace authcache_bench

// What stands here takes the place of glibc's functions in every object of this program; operator new comes
// through it.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) {
  authcache_bench::count();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  authcache_bench::count();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) {
  authcache_bench::count();
  return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  authcache_bench::count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  authcache_bench::count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  authcache_bench::count();
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) { __libc_free(block); }
}
