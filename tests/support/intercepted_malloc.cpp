#include "tests/support/intercepted_malloc.hpp"

#include <cerrno>
#include <cstddef>

using authcache_test::before_allocation;
using authcache_test::before_release;

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) {
  before_allocation();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  before_allocation();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) {
  before_allocation();
  return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  before_allocation();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  before_allocation();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  before_allocation();
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) {
  before_release();
  __libc_free(block);
}
}
