// The one piece of memory that clients write: one byte a slot, "used since the hand last came by". A sealed memfd
// (SHRINK, GROW, SEAL: nobody can take pages from under the daemon), handed over the miss socket. Untrusted: it steers
// which record is evicted and whether a session with an idle timeout was used, never whether one that ended is valid.
#pragma once

#include <cstdint>

#include "shm/result.hpp"
#include "shm/table_file.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

class Recency {
 public:
  static authcache::shm::Result<Recency> create(std::uint64_t slots);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint64_t size() const { return mapping_.size(); }
  [[nodiscard]] std::uint8_t* bytes() const { return reinterpret_cast<std::uint8_t*>(mapping_.data()); }

 private:
  authcache::shm::UniqueFd fd_;
  authcache::shm::Mapping mapping_;
};

}  // namespace authcached
