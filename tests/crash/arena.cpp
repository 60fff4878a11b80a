#include "tests/crash/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace crash {

void Arena::report(std::string_view who, std::string_view what) {
  if (faulty.exchange(true)) return;  // the first fault is the one to look at
  const std::string text = std::string(who) + ": " + std::string(what);
  std::memcpy(fault, text.data(), std::min(text.size(), sizeof fault - 1));
}

SharedArena::SharedArena() {
  void* const page =
      ::mmap(nullptr, sizeof(Arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::runtime_error("cannot map the shared page");
  arena_ = new (page) Arena{};
  arena_->next_version = 1;
}

SharedArena::~SharedArena() { ::munmap(arena_, sizeof(Arena)); }

}  // namespace crash
