#include "tools/authctl/validate_exit.hpp"

#include <algorithm>
#include <array>

#include "libclient/include/authcache/authcache.h"

namespace authctl {

Exit exit_of_verdict(int verdict, int reason) {
  switch (verdict) {
    case AUTHCACHE_VALID: return Exit::kYes;
    case AUTHCACHE_INVALID:
    case AUTHCACHE_FORBIDDEN: return Exit::kNo;
    case AUTHCACHE_UNAVAILABLE: break;
    case AUTHCACHE_ERROR_USAGE: return Exit::kUsage;
    default: return verdict < 0 ? Exit::kFailed : Exit::kCannotTell;
  }
  const bool unreachable =
      reason == AUTHCACHE_REASON_DAEMON_UNREACHABLE || reason == AUTHCACHE_REASON_NO_TABLE;
  return unreachable ? Exit::kUnreachable : Exit::kCannotTell;
}

Exit exit_of_all(std::span<const Exit> exits) {
  constexpr std::array<Exit, 5> kOrder{Exit::kNo, Exit::kUsage, Exit::kFailed, Exit::kUnreachable,
                                       Exit::kCannotTell};
  for (const Exit exit : kOrder) {
    if (std::ranges::find(exits, exit) != exits.end()) return exit;
  }
  // Of nothing, nothing can be told.
  return exits.empty() ? Exit::kCannotTell : Exit::kYes;
}

}  // namespace authctl
