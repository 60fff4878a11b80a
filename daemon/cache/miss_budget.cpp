#include "daemon/cache/miss_budget.hpp"

#include <algorithm>

namespace authcached {

void MissBudget::set_limits(std::uint32_t per_second, std::uint32_t burst) {
  per_second_ = per_second;
  burst_ = burst;
}

void MissBudget::refill(Bucket& bucket, std::int64_t now_ns) const {
  const double seconds = static_cast<double>(std::max<std::int64_t>(0, now_ns - bucket.filled_ns)) / 1e9;
  bucket.tokens = std::min(burst_, bucket.tokens + seconds * per_second_);
  bucket.filled_ns = now_ns;
}

bool MissBudget::take(uid_t uid, std::int64_t now_ns) {
  auto found = buckets_.find(uid);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kUidsMax) forget_full(now_ns);
    if (buckets_.size() >= kUidsMax) return false;  // fails closed: a bound that fails open is none
    found = buckets_.emplace(uid, Bucket{burst_, now_ns}).first;
  }
  refill(found->second, now_ns);
  if (found->second.tokens < 1) return false;
  found->second.tokens -= 1;
  return true;
}

void MissBudget::forget_full(std::int64_t now_ns) {
  for (auto entry = buckets_.begin(); entry != buckets_.end();) {
    refill(entry->second, now_ns);
    entry = entry->second.tokens >= burst_ ? buckets_.erase(entry) : std::next(entry);
  }
}

}  // namespace authcached
