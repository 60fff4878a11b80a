// How long to wait before asking again. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace authcached {

// Three in all: the second heals a lost connection, the third a restart; more would only keep the caller
// waiting.
inline constexpr unsigned kAttemptsMax = 3;
// Longer than a connection takes to be refused, shorter than anybody notices.
inline constexpr std::uint64_t kBackoffFirst_ns = 50'000'000;
// Callers wait a few seconds in all: a longer pause would never end in time.
inline constexpr std::uint64_t kBackoffMax_ns = 1'000'000'000;

// Before attempt number `failed + 1`. Doubles each time; random in [0, 1) spreads it over its upper half, so
// that those who failed together do not come back together.
constexpr std::uint64_t backoff_ns(unsigned failed, double random) {
  const std::uint64_t whole =
      std::min(kBackoffFirst_ns << std::min(failed > 0 ? failed - 1 : 0, 16U), kBackoffMax_ns);
  return whole / 2 + static_cast<std::uint64_t>(static_cast<double>(whole / 2) * random);
}

}  // namespace authcached
