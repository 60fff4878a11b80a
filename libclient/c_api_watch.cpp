// The C ABI's watches: being told when a record ends.
#include "libclient/c_boundary.hpp"

namespace {

using authcache::client::fail_with;
using authcache::client::usage;
using authcache::client::WatchEvent;
using authcache::client::WatchSet;
using authcache::client::without_exceptions;

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_watch(authcache_client* of, const authcache_identity* identity, uint64_t data,
                                  uint64_t* watch) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (watch == nullptr) return usage(of, "authcache_watch needs a place for the watch");
  *watch = 0;
  if (identity == nullptr || identity->size < sizeof *identity)
    return usage(of, "the identity is NULL or has no size");
  if (identity->verdict != AUTHCACHE_VALID || identity->sequence == 0)
    return usage(of, "only the record of a valid identity can be watched");
  return without_exceptions(of, [&] {
    const auto added = of->watches.make()->add({identity->key[0], identity->key[1], identity->key[2]}, data);
    if (!added) return fail_with(of, added.error());
    *watch = *added;
    return static_cast<int>(AUTHCACHE_OK);
  });
}

AUTHCACHE_API int authcache_unwatch(authcache_client* of, uint64_t watch) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    WatchSet* const set = of->watches.find();
    return static_cast<int>(set != nullptr && set->remove(watch) ? AUTHCACHE_OK : AUTHCACHE_ERROR_NOT_FOUND);
  });
}

AUTHCACHE_API int authcache_watch_fd(authcache_client* of) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    const auto fd = of->watches.make()->fd();
    return fd ? *fd : fail_with(of, fd.error());
  });
}

AUTHCACHE_API int authcache_watch_next(authcache_client* of, authcache_watch_event* event) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (event == nullptr || event->size < sizeof *event)
    return usage(of, "the event is NULL or its size is not set; begin with AUTHCACHE_WATCH_EVENT_INIT");
  return without_exceptions(of, [&] {
    WatchSet* const set = of->watches.find();
    const auto next = set == nullptr ? std::nullopt : set->next();
    if (!next) return static_cast<int>(AUTHCACHE_ERROR_NOT_FOUND);
    event->verdict = static_cast<int>(next->end.verdict);
    event->reason = static_cast<int>(next->end.reason);
    event->data = next->data;
    event->watch = next->watch;
    return static_cast<int>(AUTHCACHE_OK);
  });
}

}  // extern "C"
