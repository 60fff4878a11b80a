// The client's state as JSON, for `authctl upstreams`.
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/io/http/pooled_client.hpp"

namespace authcached {

namespace json = boost::json;

std::string PooledClient::state_json() const {
  OriginPool::Counts sum;
  for (const auto& [origin, pool] : pools_) {
    const OriginPool::Counts counts = pool->counts();
    sum.open += counts.open;
    sum.idle += counts.idle;
    sum.connecting += counts.connecting;
    sum.waiting += counts.waiting;
    if (!counts.protocol.empty()) sum.protocol = counts.protocol;
  }
  const std::uint64_t now = now_ns();
  json::object state = {
      {"breaker",
       {{"state", name_of(breaker_.state())},
        {"failures", breaker_.failures()},
        {"opened", breaker_.opened()},
        {"wait_ms", breaker_.wait_ns(now) / 1'000'000}}},
      {"connections", {{"open", sum.open}, {"idle", sum.idle}, {"connecting", sum.connecting}}},
      {"protocol", sum.protocol.empty() ? json::value(nullptr) : json::value(json::string(sum.protocol))},
      {"handshakes", pool_counters_.handshakes},
      {"handshakes_resumed", pool_counters_.handshakes_resumed},
      {"requests", counters_.requests},
      {"responses", counters_.responses},
      {"failures", counters_.failures},
      {"retries", counters_.retries},
      {"refused_by_breaker", counters_.refused_by_breaker},
      {"in_flight", jobs_.size()},
      {"waiting", sum.waiting},
      {"exchanges", pool_counters_.exchanges},
      {"reused", pool_counters_.reused},
      {"latency_us", {{"p50", latency_.percentile_us(0.5)}, {"p99", latency_.percentile_us(0.99)}}},
      {"last_error", last_error_},
      {"last_error_age_ms",
       last_error_.empty() ? json::value(nullptr) : json::value((now - last_error_ns_) / 1'000'000)}};
  return json::serialize(state);
}

}  // namespace authcached
