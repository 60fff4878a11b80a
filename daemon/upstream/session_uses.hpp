// What a store is told of sessions that end when they are not used: hits touch no database, so the cache
// tells it from time to time who was used, and is told in turn what is true of them by now.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "daemon/base/proof.hpp"
#include "shm/result.hpp"
#include "shm/slot.hpp"

namespace authcached {

struct SessionUse {
  authcache::shm::Key token;  // what a record knows of the SHA-256 of the token's bytes: its beginning
  std::int64_t seen_wall_ns;  // not later than the use
};

class SlidingSessions {
 public:
  using Written = std::move_only_function<void(authcache::shm::Result<std::vector<Proof>>)>;

  // See SessionStore::write_uses. written is called once, on the loop, never from within.
  virtual void write_uses(std::vector<SessionUse> uses, Written written) = 0;

 protected:
  ~SlidingSessions() = default;
};

}  // namespace authcached
