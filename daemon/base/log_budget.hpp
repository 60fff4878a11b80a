// How often one event may be logged: a flood of one event must neither fill a disk nor hide another event.
// Not thread-safe; log.cpp holds a lock around it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace authcached {

inline constexpr std::uint32_t kLogEventsPerSecond = 20;  // enough to see a pattern, too few to fill a disk
inline constexpr std::size_t kLogEventNamesMax =
    256;  // names are constants of the code; the rest share one budget

struct SuppressedEvents {
  std::string event;
  std::uint64_t count;
};

class LogBudget {
 public:
  // True if the event may be logged now; else it is counted.
  [[nodiscard]] bool admit(std::string_view event, std::int64_t now_ns);

  // What was suppressed in windows that are over (or in all of them), once.
  [[nodiscard]] std::vector<SuppressedEvents> take_suppressed(std::int64_t now_ns, bool all = false);

 private:
  struct Window {
    std::int64_t start_ns = 0;
    std::uint32_t logged = 0;
    std::uint64_t suppressed = 0;
  };

  std::map<std::string, Window, std::less<>> windows_;
  std::uint64_t suppressed_ = 0;  // over all windows: 0 makes take_suppressed free
};

}  // namespace authcached
