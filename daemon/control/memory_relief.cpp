#include "daemon/control/memory_relief.hpp"

#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include "daemon/base/log.hpp"

namespace authcached {

namespace {

// Free memory at the top of the heap that stays: as malloc keeps by itself.
constexpr std::size_t kHeapPad = 128 * 1024;

// What is resident of this process and belongs to no file: its heap and stacks. The table is a file.
std::uint64_t own_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0, shared = 0;
  if (!(statm >> size >> resident >> shared) || resident < shared) return 0;
  return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void MemoryRelief::tick() {
  const std::int64_t now = services_.clock.monotonic_ns();
  if (!pressure_.pressed(now) || now < rest_until_ns_) return;
  rest_until_ns_ = now + kRestNs;
  relieve();
}

void MemoryRelief::relieve() {
  ++counters_.reliefs;
  const std::uint64_t own_before = own_bytes(), negatives = services_.tables.newest().writer.negative();
  const std::size_t text_before = services_.texts.bytes();
  services_.texts.shrink_to(text_before / 2);
  const std::size_t text_bytes = text_before - services_.texts.bytes();
  counters_.text_bytes += text_bytes;
  counters_.negatives += negatives;
  services_.revoker.flush_negatives([this, negatives, text_bytes, own_before](std::uint64_t) {
    ::malloc_trim(kHeapPad);
    const std::uint64_t own_after = own_bytes();
    const std::uint64_t returned = own_before > own_after ? own_before - own_after : 0;
    counters_.bytes_returned += returned;
    log_event(LogLevel::kWarning, "memory_pressure",
              {{"stalled_us", pressure_.stalled_us()},
               {"limits_met", pressure_.limits_met()},
               {"negatives", negatives},
               {"text_bytes", text_bytes},
               {"bytes_returned", returned}});
  });
}

boost::json::object MemoryRelief::state() const {
  return {{"pressure_file", pressure_.files().pressure.string()},
          {"events_file", pressure_.files().events.string()},
          {"stalled_us", pressure_.stalled_us()},
          {"limits_met", pressure_.limits_met()},
          {"reliefs", counters_.reliefs},
          {"negatives_dropped", counters_.negatives},
          {"text_bytes_dropped", counters_.text_bytes},
          {"bytes_returned", counters_.bytes_returned},
          {"own_bytes", own_bytes()}};
}

}  // namespace authcached
