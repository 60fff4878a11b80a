// What the daemon gives back while memory is short: negative records, which cost their askers one question
// each to have again; the older half of the texts that lie in its own memory; and free heap. The table itself
// keeps its pages: they were reserved at its start so that no admission can fail for want of one. Loop thread
// only.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>

#include "daemon/base/memory_pressure.hpp"
#include "daemon/control/services.hpp"

namespace authcached {

struct MemoryReliefCounters {
  std::uint64_t reliefs = 0;
  std::uint64_t negatives = 0;       // records dropped
  std::uint64_t text_bytes = 0;      // dropped
  std::uint64_t bytes_returned = 0;  // that the process got smaller by, the table apart
};

class MemoryRelief {
 public:
  static constexpr std::int64_t kLookNs = 1'000'000'000;
  // What was dropped comes back by being asked for: dropping it at every look would add questions to the
  // shortage.
  static constexpr std::int64_t kRestNs = 10'000'000'000;

  MemoryRelief(Services& services, MemoryPressureFiles files)
      : services_(services), pressure_(std::move(files)) {}

  // To be called every kLookNs.
  void tick();
  [[nodiscard]] boost::json::object state() const;

 private:
  void relieve();

  Services& services_;
  MemoryPressure pressure_;
  MemoryReliefCounters counters_;
  std::int64_t rest_until_ns_ = 0;
};

}  // namespace authcached
