// How long a proof may be kept: the least of the token's end, what proved it, the profile's ttl_max and, for negative answers, the
// moment at which the answer may change. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"

namespace authcached {

// Nanoseconds that a record of this proof may live from now; 0 or less: not at all.
[[nodiscard]] inline std::int64_t record_life_ns(const Proof& proof, const ProfileConfig& profile, std::int64_t wall_now_ns) {
  using std::chrono::nanoseconds;
  const bool valid = proof.verdict == authcache::shm::Verdict::kValid;
  std::int64_t life = nanoseconds(valid ? profile.ttl_max : profile.negative_ttl).count();
  const auto bound = [&](const std::optional<std::int64_t>& limit) {
    // Saturating: an end in the far past must not wrap to the far future.
    std::int64_t left = 0;
    if (limit && __builtin_sub_overflow(*limit, wall_now_ns, &left)) left = *limit < 0 ? INT64_MIN : INT64_MAX;
    if (limit) life = std::min(life, left);
  };
  bound(valid ? proof.expires_wall_ns : proof.retry_wall_ns);
  if (valid) bound(proof.keep_until_wall_ns);
  return life;
}

}  // namespace authcached
