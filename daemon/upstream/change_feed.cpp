#include "daemon/upstream/change_feed.hpp"

namespace authcached {

boost::json::object changes_state(const ChangeFeedStatus& status, std::uint64_t now_ns) {
  constexpr std::uint64_t kNsPerMs = 1'000'000;
  boost::json::object state = {{"state", status.lost      ? "lost"
                                         : status.hearing ? "hearing"
                                                          : "connecting"},
                               {"applied", status.applied},
                               {"batches", status.batches},
                               {"resyncs", status.resyncs},
                               {"last_error", status.last_error}};
  if (status.confirmed_ns != 0)
    state["lag_ms"] = now_ns > status.confirmed_ns ? (now_ns - status.confirmed_ns) / kNsPerMs : 0;
  if (!status.warning.empty()) state["warning"] = status.warning;
  return state;
}

std::string changes_complaint(const ChangeFeedStatus& status) {
  if (!status.hearing && !status.last_error.empty()) return "does not hear of changes: " + status.last_error;
  if (status.lost) return "has not heard of changes for longer than changes_max_lag";
  return status.warning.empty() ? std::string() : "hears of changes late: " + status.warning;
}

}  // namespace authcached
