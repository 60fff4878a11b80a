#include "daemon/base/log_budget.hpp"

namespace authcached {
namespace {

constexpr std::int64_t kWindowNs = 1'000'000'000;

}  // namespace

bool LogBudget::admit(std::string_view event, std::int64_t now_ns) {
  auto found = windows_.find(event);
  if (found == windows_.end()) {
    const bool room = windows_.size() < kLogEventNamesMax;
    found = windows_.try_emplace(std::string(room ? event : "other"), Window{now_ns, 0, 0}).first;
  }
  Window& window = found->second;
  if (now_ns - window.start_ns >= kWindowNs) {
    window.start_ns = now_ns;
    window.logged = 0;
  }
  if (window.logged < kLogEventsPerSecond) {
    ++window.logged;
    return true;
  }
  ++window.suppressed;
  ++suppressed_;
  return false;
}

std::vector<SuppressedEvents> LogBudget::take_suppressed(std::int64_t now_ns, bool all) {
  std::vector<SuppressedEvents> taken;
  if (suppressed_ == 0) return taken;
  for (auto& [event, window] : windows_) {
    if (window.suppressed == 0 || (!all && now_ns - window.start_ns < kWindowNs)) continue;
    taken.push_back({event, window.suppressed});
    suppressed_ -= window.suppressed;
    window.suppressed = 0;
  }
  return taken;
}

}  // namespace authcached
