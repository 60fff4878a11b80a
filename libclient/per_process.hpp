// Something of a client's that must not be shared across fork: each process has one of its own, made when it
// first needs it. Any thread.
//
// A child begins without. It closes its copies of its parent's descriptors and leaves everything else of the
// parent's object alone, its memory included: a thread that does not exist in the child may have held the
// object's mutex at the fork.
#pragma once

#include <atomic>
#include <memory>

#include "libclient/attachment.hpp"
#include "libclient/fork_guard.hpp"
#include "libclient/last_error.hpp"

namespace authcache::client {

// Object(owner, attacher, last_error, may_reattach), with owner() and close_copies().
template <class Object>
class PerProcess {
 public:
  PerProcess(Attacher& attacher, ForkGuard& guard, LastError& last_error, bool may_reattach)
      : attacher_(attacher), guard_(guard), last_error_(last_error), may_reattach_(may_reattach) {}
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() {
    Object* const object = object_.load();
    if (object == nullptr) return;
    if (object->owner() == guard_.owner()) {
      delete object;
    } else {
      object->close_copies();
    }
  }

  // This process's. Null: none was made yet.
  [[nodiscard]] Object* find() {
    Object* const object = object_.load(std::memory_order_acquire);  // pairs with make(): as it was built
    return object != nullptr && object->owner() == guard_.owner() ? object : nullptr;
  }

  // Never null; may throw bad_alloc.
  [[nodiscard]] Object* make() {
    const std::uint64_t owner = guard_.owner();
    Object* before = object_.load(std::memory_order_acquire);
    if (before != nullptr && before->owner() == owner) return before;
    auto made = std::make_unique<Object>(owner, attacher_, last_error_, may_reattach_);
    if (!object_.compare_exchange_strong(before, made.get(), std::memory_order_acq_rel))
      return before;  // another thread's
    if (before != nullptr) before->close_copies();
    return made.release();
  }

 private:
  Attacher& attacher_;
  ForkGuard& guard_;
  LastError& last_error_;
  const bool may_reattach_;
  std::atomic<Object*> object_{nullptr};
};

}  // namespace authcache::client
