#include "bench/counting_allocator.hpp"

#include <atomic>

#include "tests/support/intercepted_malloc.hpp"

namespace {

std::atomic<std::uint64_t> counted{0};

}  // namespace

void authcache_test::before_allocation() noexcept { counted.fetch_add(1, std::memory_order_relaxed); }
void authcache_test::before_release() noexcept {}

std::uint64_t authcache_bench::allocations() { return counted.load(std::memory_order_relaxed); }
