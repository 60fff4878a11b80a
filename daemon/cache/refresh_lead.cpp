#include "daemon/cache/refresh_lead.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace authcached {

void RefreshLead::measured(std::int64_t took_ns) {
  samples_[measured_++ % kSamples] = took_ns;
  found_ = false;
}

std::int64_t RefreshLead::slow_ns() const {
  if (std::exchange(found_, true)) return slow_ns_;
  const std::size_t count = std::min(measured_, kSamples);
  std::array<std::int64_t, kSamples> sorted = samples_;
  const auto nth =
      sorted.begin() + static_cast<std::ptrdiff_t>(std::ceil(kQuantile * static_cast<double>(count))) - 1;
  std::nth_element(sorted.begin(), nth, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  slow_ns_ = *nth;
  return slow_ns_;
}

std::int64_t RefreshLead::lead_ns(std::int64_t life_ns) const {
  return std::min(std::max(kFactor * slow_ns(), kLeastNs), life_ns / kGreatestShare);
}

std::uint64_t RefreshLead::look_ns(std::uint64_t now_ns, std::uint64_t deadline_ns,
                                   std::uint64_t random) const {
  if (deadline_ns <= now_ns) return deadline_ns;
  const auto life = static_cast<std::int64_t>(deadline_ns - now_ns);
  const std::uint64_t jitter = random % static_cast<std::uint64_t>(life / kJitterShare + 1);
  return deadline_ns - static_cast<std::uint64_t>(lead_ns(life)) - jitter;
}

}  // namespace authcached
