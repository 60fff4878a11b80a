// The version of this build, set by the build system.
#pragma once

#include <string_view>

namespace authcached {

#ifdef AUTHCACHE_VERSION
inline constexpr std::string_view kVersion = AUTHCACHE_VERSION;
#else
inline constexpr std::string_view kVersion = "unversioned";
#endif

}  // namespace authcached
