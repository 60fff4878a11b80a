#include "daemon/control/complaints.hpp"

namespace authcached {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::string seconds(std::int64_t ns) { return std::to_string((ns + kNsPerSecond - 1) / kNsPerSecond) + " s"; }

}  // namespace

std::vector<std::string> complaints_of(const Services& services) {
  std::vector<std::string> complaints = services.since_start;
  if (const std::int64_t held_ns = services.revoker.held_for_ns(); held_ns > 0) {
    complaints.push_back("acknowledgements of revocations are held for " + seconds(held_ns) +
                         " more, because a table of an earlier daemon may still be believed");
  }
  if (services.revoker.lengthening()) {
    complaints.push_back("rules are being kept for longer, as the profiles now need, and not all of that is durable yet");
  }
  if (services.replacement != nullptr && !services.replacement->last_error().empty()) {
    complaints.push_back("the table cannot be replaced by one that fits the configuration: " + services.replacement->last_error());
  }
  if (services.fleet != nullptr) {
    if (std::string complaint = services.fleet->complaint(); !complaint.empty()) complaints.push_back(std::move(complaint));
  }
  return complaints;
}

std::vector<std::string> upstream_complaints_of(const Services& services) {
  std::vector<std::string> complaints;
  for (const auto& profile : services.profiles) {
    const std::string complaint = profile->upstream->complaint();
    if (!complaint.empty()) complaints.push_back("profile " + profile->config.name + " " + complaint);
  }
  return complaints;
}

}  // namespace authcached
