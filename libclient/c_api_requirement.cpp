// The C ABI's requirements: prepared, bound to a request's key, freed.
#include <cstring>
#include <memory>

#include "libclient/c_boundary.hpp"

namespace {

using authcache::client::Requirement;
using authcache::client::usage;
using authcache::client::without_exceptions;
namespace client = authcache::client;
namespace shm = authcache::shm;

Requirement* prepared(authcache_requirement* requirement) noexcept {
  const bool one = requirement != nullptr && requirement->kind == client::kPreparedKind;
  return one ? static_cast<Requirement*>(requirement) : nullptr;
}

int add(authcache_requirement* requirement, shm::DictionaryKind kind, const char* text) noexcept {
  Requirement* const target = prepared(requirement);
  if (target == nullptr) return AUTHCACHE_ERROR_USAGE;
  try {
    if (text != nullptr && target->add(kind, text)) return AUTHCACHE_OK;
  } catch (...) {
    target->poison();
    return AUTHCACHE_ERROR_MEMORY;
  }
  target->poison();
  return AUTHCACHE_ERROR_USAGE;
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_requirement_create(authcache_client* of, const char* profile,
                                               authcache_requirement** requirement) {
  if (of == nullptr || requirement == nullptr) return usage(of, "a requirement needs a client and a place");
  *requirement = nullptr;
  const std::size_t length = profile == nullptr ? 0 : ::strnlen(profile, shm::kProfileNameMax + 1);
  if (length == 0 || length > shm::kProfileNameMax) return usage(of, "a profile's name has 1 to 63 bytes");
  return without_exceptions(of, [&] {
    *requirement = std::make_unique<Requirement>(of, std::string_view(profile, length)).release();
    return AUTHCACHE_OK;
  });
}

AUTHCACHE_API int authcache_requirement_add_audience(authcache_requirement* requirement,
                                                     const char* audience) {
  return add(requirement, shm::DictionaryKind::kAudience, audience);
}

AUTHCACHE_API int authcache_requirement_add_scope(authcache_requirement* requirement, const char* scope) {
  return add(requirement, shm::DictionaryKind::kScope, scope);
}

AUTHCACHE_API int authcache_requirement_add_permission(authcache_requirement* requirement,
                                                       const char* permission) {
  return add(requirement, shm::DictionaryKind::kPermission, permission);
}

AUTHCACHE_API void authcache_requirement_free(authcache_requirement* requirement) {
  if (requirement == nullptr) return;
  if (requirement->kind != client::kPreparedKind && requirement->kind != client::kBrokenKind) return;
  auto* const owned = static_cast<Requirement*>(requirement);
  owned->poison();
  owned->let_go();
}

AUTHCACHE_API int authcache_requirement_bind(const authcache_requirement* base,
                                             const authcache_thumbprint* thumbprint,
                                             authcache_bound_requirement* bound) {
  if (bound == nullptr) return AUTHCACHE_ERROR_USAGE;
  // A caller that ignores a refusal below must not find an older binding in this storage.
  std::memset(bound, 0, sizeof *bound);
  if (base == nullptr || base->kind != client::kPreparedKind) return AUTHCACHE_ERROR_USAGE;
  if (thumbprint == nullptr || thumbprint->size < sizeof *thumbprint) return AUTHCACHE_ERROR_USAGE;
  if (thumbprint->kind != AUTHCACHE_THUMBPRINT_JKT && thumbprint->kind != AUTHCACHE_THUMBPRINT_X5T_S256) {
    return AUTHCACHE_ERROR_USAGE;
  }
  bound->requirement.kind = client::kBoundKind;
  bound->base = base;
  bound->thumbprint = *thumbprint;
  return AUTHCACHE_OK;
}

}  // extern "C"
