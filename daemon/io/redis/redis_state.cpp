// The connection's state as JSON, for `authctl upstreams`.
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/io/redis/redis_client.hpp"

namespace authcached {

namespace json = boost::json;

std::string RedisClient::state_json() const {
  constexpr std::array<std::string_view, 4> kStates{"connecting", "greeting", "open", "waiting to connect"};
  constexpr std::uint64_t kNsPerMs = 1'000'000;
  const std::uint64_t now = exact_monotonic_ns();
  json::object state{
      {"state", kStates[static_cast<std::size_t>(state_)]},
      {"tls", config_.tls},
      {"server_version", version_},
      {"server_role", role_},
      {"failed_attempts", failed_},
      {"connections", counters_.connections},
      {"losses", counters_.losses},
      {"questions", counters_.questions},
      {"answers", counters_.answers},
      {"errors", counters_.errors},
      {"repeated", counters_.repeated},
      {"refused", counters_.refused},
      {"on_the_wire", flights_.size()},
      {"waiting", waiting_.size()},
      {"latency_us", {{"p50", latency_.percentile_us(0.5)}, {"p99", latency_.percentile_us(0.99)}}},
      {"last_error", last_error_}};
  if (state_ == State::kPausing) state["retry_ms"] = retry_ns_ > now ? (retry_ns_ - now) / kNsPerMs : 0;
  if (!last_error_.empty()) state["last_error_age_ms"] = (now - last_error_ns_) / kNsPerMs;
  return json::serialize(state);
}

}  // namespace authcached
