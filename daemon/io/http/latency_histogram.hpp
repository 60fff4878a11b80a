// Latencies by log-linear buckets: four to each doubling, from 1 us to more than a minute, so that a
// percentile is told within a quarter. Old ones fade: at kFadeAt all counts are halved, and what is told is
// the recent past. Loop thread only.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace authcached {

class LatencyHistogram {
 public:
  static constexpr std::uint64_t kFadeAt = 4096;  // enough for a p99 of forty values

  void add(std::uint64_t ns) {
    ++counts_[bucket_of(ns / 1000)];
    if (++total_ < kFadeAt) return;
    total_ = 0;
    for (std::uint32_t& count : counts_) total_ += count /= 2;
  }

  // The upper edge of the bucket that holds this share (0 to 1) of what was added; 0 if nothing was.
  [[nodiscard]] std::uint64_t percentile_us(double share) const {
    if (total_ == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_ - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted) return upper_edge_us(i);
    }
    return upper_edge_us(kBuckets - 1);
  }

 private:
  static constexpr std::size_t kBuckets = 4 * 27;  // the last one begins above 100 s

  static constexpr std::size_t bucket_of(std::uint64_t us) {
    if (us < 4) return static_cast<std::size_t>(us);
    const auto octave = static_cast<std::size_t>(std::bit_width(us)) - 1;
    const std::size_t index = (octave - 1) * 4 + static_cast<std::size_t>((us >> (octave - 2)) & 3);
    return index < kBuckets ? index : kBuckets - 1;
  }
  static constexpr std::uint64_t upper_edge_us(std::size_t index) {
    if (index < 4) return index;
    return ((std::uint64_t{4} + index % 4 + 1) << (index / 4 - 1)) - 1;
  }

  std::array<std::uint32_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace authcached
