// A client's watches across fork: each process has a set of its own, made when it first needs one. Any
// thread.
//
// A child begins without watches. It closes its copies of its parent's descriptors and leaves everything else
// of the parent's set alone, its memory included: a thread that does not exist in the child may have held the
// set's mutex at the fork.
#pragma once

#include <atomic>

#include "libclient/fork_guard.hpp"
#include "libclient/watch_set.hpp"

namespace authcache::client {

class Watches {
 public:
  Watches(Attacher& attacher, ForkGuard& guard, LastError& last_error, bool may_reattach)
      : attacher_(attacher), guard_(guard), last_error_(last_error), may_reattach_(may_reattach) {}
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;
  ~Watches();

  // This process's set. Null: none was made yet.
  [[nodiscard]] WatchSet* find();
  // Never null; may throw bad_alloc.
  [[nodiscard]] WatchSet* make();

 private:
  Attacher& attacher_;
  ForkGuard& guard_;
  LastError& last_error_;
  const bool may_reattach_;
  std::atomic<WatchSet*> set_{nullptr};
};

}  // namespace authcache::client
