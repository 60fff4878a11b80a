#include "tests/crash/failing_memory.hpp"

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace crash {
namespace {

std::atomic<bool> armed = false;
std::atomic<bool> failed = false;
std::atomic<std::uint64_t> left = 0;
sqlite3_mem_methods real{};

bool fails_now() {
  if (!armed || left-- != 0) return false;
  armed = false;
  failed = true;
  return true;
}

void* sqlite_malloc(int bytes) { return fails_now() ? nullptr : real.xMalloc(bytes); }
void* sqlite_realloc(void* old, int bytes) { return fails_now() ? nullptr : real.xRealloc(old, bytes); }

}  // namespace

void put_failing_memory_under_sqlite() {
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
    throw std::runtime_error("SQLite is in use already");
  sqlite3_mem_methods methods = real;
  methods.xMalloc = sqlite_malloc;
  methods.xRealloc = sqlite_realloc;
  // Its cache of small pieces would hide failures from a statement that runs for the second time.
  if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
      sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK) {
    throw std::runtime_error("SQLite is in use already");
  }
}

void fail_allocation(std::uint64_t after) {
  left = after;
  failed = false;
  armed = true;
}

bool disarm_allocations() {
  armed = false;
  return failed;
}

}  // namespace crash

void* operator new(std::size_t bytes) {
  if (crash::fails_now()) throw std::bad_alloc();
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
