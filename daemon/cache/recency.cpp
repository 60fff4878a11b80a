#include "daemon/cache/recency.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace authcached {

namespace shm = authcache::shm;

shm::Result<Recency> Recency::create(std::uint64_t slots) {
  const std::uint64_t bytes = shm::round_up(slots, shm::kPageBytes);
  Recency recency;
  recency.fd_ = shm::UniqueFd(::memfd_create("authcache-recency", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!recency.fd_) return shm::system_error("cannot create the recency hints", errno);
  if (const int error = ::posix_fallocate(recency.fd_.get(), 0, static_cast<off_t>(bytes)); error != 0) {
    return shm::system_error("cannot reserve the recency hints", error);
  }
  if (::fchmod(recency.fd_.get(), 0600) != 0) return shm::system_error("cannot set the mode of the recency hints", errno);
  if (::fcntl(recency.fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return shm::system_error("cannot seal the recency hints", errno);
  }
  auto mapping = shm::Mapping::map(recency.fd_.get(), bytes, true);
  if (!mapping) return std::unexpected(mapping.error());
  recency.mapping_ = std::move(*mapping);
  return recency;
}

}  // namespace authcached
