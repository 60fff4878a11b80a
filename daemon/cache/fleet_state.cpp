// What a host says of itself and of its fleet, for people.
#include <boost/json/parse.hpp>

#include "daemon/cache/fleet.hpp"

namespace authcached {

namespace json = boost::json;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

json::value age_ms(std::int64_t since_ns, std::int64_t now_ns) {
  if (since_ns == INT64_MIN) return nullptr;
  return (now_ns - since_ns) / kNsPerMs;
}

}  // namespace

std::string Fleet::complaint() const {
  std::string why = copy_trouble_;
  if (why.empty() && !adopt_trouble_.empty())
    why = "a revocation of another host is not durable here: " + adopt_trouble_;
  if (why.empty()) why = transport_->trouble();
  if (!current()) {
    const std::string so = parts_.tables.held() ? "every profile answers \"unavailable\""
                                                : "tokens that other hosts revoked may be accepted";
    return "this host does not know whether it has heard every revocation of its fleet, so " + so +
           (why.empty() ? "" : ": " + why);
  }
  if (!outbox_.trouble().empty())
    return "revocations of this host wait to be told to its fleet: " + outbox_.trouble();
  if (own_foreign_ > 0) {
    return "another host goes by this one's identity, so its state directory was copied: stop one of them "
           "and remove its state.db, which makes it a new host";
  }
  if (refused_ > 0 || missing_ > 0) {
    return "somebody else writes into the fleet's stream or deletes from it: " + std::to_string(refused_) +
           " entries were refused and " + std::to_string(missing_) +
           " were missing; what was missed was read from the copy";
  }
  return {};
}

json::object Fleet::state() const {
  const FleetHosts hosts = transport_->hosts();
  const std::int64_t now = parts_.clock.boot_ns();
  const bool is_current = current();
  return {{"host", host_id_text(self_)},
          {"state", is_current      ? "current"
                    : lost_         ? "reading_copy"
                    : ever_current_ ? "stale"
                                    : "catching_up"},
          {"serving", !parts_.tables.held()},
          {"heard_ms_ago", age_ms(heard_until_ns_, now)},
          {"staleness_ms", config_.staleness.count()},
          {"stale", config_.serve_stale ? "serve" : "unavailable"},
          {"hosts", hosts.hosts},
          {"hosts_stale", hosts.stale},
          {"worst_lag_ms", hosts.worst_lag_ms},
          {"outbox", outbox_.waiting()},
          {"published", outbox_.published()},
          {"adopted", adopted_},
          {"known", known_},
          {"refused", refused_},
          {"missing", missing_},
          {"copies_read", copies_},
          {"engine_changes", moves_},
          {"last_gap", last_gap_},
          {"last_refusal", refusal_},
          {"transport", json::parse(transport_->state_json())}};
}

json::object Fleet::acknowledgement() const {
  const FleetHosts hosts = transport_->hosts();
  return {{"acknowledged_for", "this host"},
          {"waiting_to_be_told", outbox_.waiting()},
          {"hosts", hosts.hosts},
          {"worst_lag_ms", hosts.worst_lag_ms},
          {"staleness_ms", config_.staleness.count()},
          {"stale", config_.serve_stale ? "serve" : "unavailable"}};
}

}  // namespace authcached
