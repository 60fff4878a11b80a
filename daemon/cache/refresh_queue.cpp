#include "daemon/cache/refresh_queue.hpp"

#include <new>

#include "shm/layout.hpp"

namespace authcached {

namespace shm = authcache::shm;

static_assert(shm::kCapacityMax * 100 / shm::kLoadPercent < UINT32_MAX,
              "a slot number and a position fit 32 bits");

template <class T>
RefreshQueue::Array<T> RefreshQueue::zeros(std::uint64_t count) {
  auto* memory = static_cast<T*>(std::calloc(count, sizeof(T)));
  if (memory == nullptr) throw std::bad_alloc();
  return Array<T>(memory);
}

RefreshQueue::RefreshQueue(std::uint64_t slots)
    : heap_(zeros<std::uint32_t>(slots + 1)),
      position_(zeros<std::uint32_t>(slots)),
      look_(zeros<std::uint64_t>(slots)),
      proven_until_(zeros<std::uint64_t>(slots)) {}

void RefreshQueue::set(std::uint64_t at, std::uint32_t slot) {
  heap_[at] = slot;
  position_[slot] = static_cast<std::uint32_t>(at);
}

void RefreshQueue::rise(std::uint64_t at) {
  const std::uint32_t slot = heap_[at];
  for (; at > 1 && earlier(slot, heap_[at / 2]); at /= 2) set(at, heap_[at / 2]);
  set(at, slot);
}

void RefreshQueue::sink(std::uint64_t at) {
  const std::uint32_t slot = heap_[at];
  for (std::uint64_t child = 2 * at; child <= size_; child = 2 * at) {
    if (child < size_ && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], slot)) break;
    set(at, heap_[child]);
    at = child;
  }
  set(at, slot);
}

void RefreshQueue::put(std::uint64_t slot, std::uint64_t look_ns) {
  look_[slot] = look_ns;
  if (position_[slot] == 0) set(++size_, static_cast<std::uint32_t>(slot));
  rise(position_[slot]);
  sink(position_[slot]);
}

void RefreshQueue::remove(std::uint64_t slot) {
  const std::uint32_t at = position_[slot];
  if (at == 0) return;
  position_[slot] = 0;
  const std::uint32_t last = heap_[size_--];
  if (last == slot) return;
  set(at, last);
  rise(at);
  sink(position_[last]);
}

void RefreshQueue::moved(std::uint64_t from, std::uint64_t to) {
  proven_until_[to] = proven_until_[from];
  if (position_[from] == 0) return remove(to);
  const std::uint64_t look_ns = look_[from];
  remove(from);
  put(to, look_ns);
}

std::optional<RefreshQueue::Due> RefreshQueue::pop(std::uint64_t now_ns) {
  if (size_ == 0 || look_[heap_[1]] > now_ns) return std::nullopt;
  const Due due{heap_[1], look_[heap_[1]]};
  remove(due.slot);
  return due;
}

}  // namespace authcached
