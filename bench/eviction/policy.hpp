// Reference policies, each as its paper says it, in plain code: what is measured is their hit ratio, not
// their speed. All keep `capacity` records of equal size and take one in on every miss.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/eviction/trace.hpp"

namespace authcache_eviction {

class Policy {
 public:
  virtual ~Policy() = default;
  // True for a hit. After a miss the record is in.
  virtual bool request(KeyNumber key) = 0;
};

struct Size {
  std::uint64_t capacity;
  KeyNumber distinct;  // keys are below
};

// Least recently used goes.
[[nodiscard]] std::unique_ptr<Policy> make_lru(const Size& size);
// A hand goes round in the order of admission and passes over whom a hit has marked, taking the mark.
[[nodiscard]] std::unique_ptr<Policy> make_clock(const Size& size);
// NSDI 2024: the same, but survivors stay where they are while new ones queue up at the head, so that the
// hand meets a new one soon after.
[[nodiscard]] std::unique_ptr<Policy> make_sieve(const Size& size);
// SOSP 2023: a tenth is a trial queue; out of it go to the main queue whoever was asked for again, the others
// leave and are remembered; who is remembered skips the trial.
[[nodiscard]] std::unique_ptr<Policy> make_s3_fifo(const Size& size);

[[nodiscard]] std::uint64_t count_hits(Policy& policy, const Trace& trace);

// Belady: whoever is asked for latest, or never again, goes. Knows the future.
[[nodiscard]] std::uint64_t count_optimal_hits(const Trace& trace);

}  // namespace authcache_eviction
