// How a table names an issuer or a signing key: the 32 bytes of a SHA-256 as four words.
#pragma once

#include <cstring>

#include "daemon/base/proof.hpp"
#include "shm/table_writer.hpp"

namespace authcached {

inline authcache::shm::PrincipalId principal_id(const Sha256& hash) {
  authcache::shm::PrincipalId id;
  static_assert(sizeof id == sizeof hash);
  std::memcpy(id.data(), hash.data(), sizeof id);
  return id;
}

inline Sha256 principal_hash(const authcache::shm::PrincipalId& id) {
  Sha256 hash;
  std::memcpy(hash.data(), id.data(), sizeof hash);
  return hash;
}

}  // namespace authcached
