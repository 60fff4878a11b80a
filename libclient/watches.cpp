#include "libclient/watches.hpp"

namespace authcache::client {

Watches::~Watches() {
  WatchSet* const set = set_.load();
  if (set == nullptr) return;
  if (set->owner() == guard_.owner()) {
    delete set;
  } else {
    set->close_copies();
  }
}

WatchSet* Watches::find() {
  WatchSet* const set = set_.load(std::memory_order_acquire);  // pairs with make(): the set as it was built
  return set != nullptr && set->owner() == guard_.owner() ? set : nullptr;
}

WatchSet* Watches::make() {
  const std::uint64_t owner = guard_.owner();
  WatchSet* before = set_.load(std::memory_order_acquire);
  if (before != nullptr && before->owner() == owner) return before;
  auto made = std::make_unique<WatchSet>(owner, attacher_, last_error_, may_reattach_);
  if (!set_.compare_exchange_strong(before, made.get(), std::memory_order_acq_rel))
    return before;  // another thread's
  if (before != nullptr) before->close_copies();
  return made.release();
}

}  // namespace authcache::client
