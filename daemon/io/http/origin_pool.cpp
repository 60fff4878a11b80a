#include "daemon/io/http/origin_pool.hpp"

#include <algorithm>

namespace authcached {

OriginPool::OriginPool(Parts parts, HttpUrl url, PoolOwner& owner)
    : parts_(parts), url_(std::move(url)), owner_(owner) {
  // Without TLS there is no ALPN.
  protocol_known_ = !url_.tls || !parts_.options.prefer_http2;
}

OriginPool::~OriginPool() {
  *alive_ = false;
  for (const auto& connection : connections_) connection->close();
}

void OriginPool::add(std::shared_ptr<Exchange> exchange) {
  const Exchange* const key = exchange.get();
  waiting_at_[key] = waiting_.insert(waiting_.end(), std::move(exchange));
  dispatch();
}

std::string_view OriginPool::cancel(const Exchange& exchange, bool timed_out) {
  const auto waiting = waiting_at_.find(&exchange);
  if (waiting != waiting_at_.end()) {
    waiting_.erase(waiting->second);
    waiting_at_.erase(waiting);
    if (resolving_ > 0) return "its name was not resolved in time";
    return connecting() > 0 ? "no connection came about in time" : "all connections were busy";
  }
  // A connection that does not have it does nothing.
  for (const auto& connection : connections_) connection->cancel(exchange, timed_out);
  return exchange.answer_began ? "the answer was not whole in time" : "no answer came in time";
}

std::size_t OriginPool::connecting() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections_, [](const auto& connection) { return !connection->opened(); }));
}

OriginPool::Counts OriginPool::counts() const {
  Counts counts;
  counts.connecting = connecting() + resolving_;
  counts.open = connections_.size() - connecting();
  counts.idle = static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& connection) { return connection->opened() && connection->open() == 0; }));
  counts.waiting = waiting_.size();
  for (const auto& connection : connections_) {
    if (connection->opened()) counts.protocol = connection->http2() ? "h2" : "http/1.1";
  }
  return counts;
}

bool OriginPool::unused() const { return waiting_.empty() && connections_.empty() && resolving_ == 0; }

// The most recently used first: the others grow idle and are closed.
HttpConnection* OriginPool::free_connection() {
  HttpConnection* best = nullptr;
  for (const auto& connection : connections_) {
    if (connection->capacity() > 0 && (best == nullptr || connection->used_ns() > best->used_ns()))
      best = connection.get();
  }
  return best;
}

bool OriginPool::wants_connection() const {
  const std::size_t coming = connecting() + resolving_;
  if (connections_.size() + resolving_ >= parts_.options.connections_max) return false;
  // One HTTP/2 connection may carry all; so which protocol it is, is learned before a second one is made.
  if (http2_ || !protocol_known_) return coming == 0;
  return coming < waiting_.size();
}

void OriginPool::dispatch() {
  while (!waiting_.empty()) {
    HttpConnection* const connection = free_connection();
    if (connection == nullptr) break;
    auto exchange = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_at_.erase(exchange.get());
    ++parts_.counters.exchanges;
    if (connection->served() > 0) ++parts_.counters.reused;
    connection->submit(std::move(exchange));
  }
  while (!waiting_.empty() && wants_connection()) {
    const std::size_t before = connections_.size() + resolving_;
    open_connection();
    if (connections_.size() + resolving_ <= before) break;
  }
}

void OriginPool::open_connection() {
  ++resolving_;
  parts_.names.resolve(url_.host, [this, alive = alive_](const auto& found) {
    if (*alive) addresses_found(found);
  });
}

void OriginPool::addresses_found(const authcache::shm::Result<NameResolver::Addresses>& found) {
  --resolving_;
  NameResolver::Addresses addresses = found ? *found : NameResolver::Addresses{};
  // A name in a plain URL means this host, whatever a name service says.
  if (!url_.tls) std::erase_if(addresses, [](const HostAddress& address) { return !address.loopback(); });
  if (addresses.empty()) {
    if (!has_prospects()) {
      owner_.origin_failed();
      fail_waiting({FailureKind::kName, found ? "its name has no loopback address" : found.error().message});
    }
    return;
  }
  auto connection = std::make_shared<HttpConnection>(parts_.loop, parts_.timers, parts_.tls, url_,
                                                     static_cast<ConnectionOwner&>(*this));
  connections_.push_back(connection);
  connection->start(std::move(addresses));
  tick_later();
}

void OriginPool::connection_ready(HttpConnection& connection) {
  if (connection.served() == 0) {
    protocol_known_ = true;
    http2_ = connection.http2();
    if (url_.tls) ++parts_.counters.handshakes;
    if (connection.resumed()) ++parts_.counters.handshakes_resumed;
    parts_.names.prefer(url_.host, connection.address());
  }
  dispatch();
}

void OriginPool::connection_failed(HttpConnection& connection, const Failure& failure) {
  const auto gone = remove(connection);
  if (has_prospects()) return;
  owner_.origin_failed();
  fail_waiting(failure);
}

// A connection that is open or on its way, for which those who wait may wait.
bool OriginPool::has_prospects() const {
  return resolving_ > 0 || std::ranges::any_of(connections_, [](const auto& connection) { return !connection->retired(); });
}

void OriginPool::fail_waiting(const Failure& failure) {
  waiting_at_.clear();
  for (auto& exchange : std::exchange(waiting_, {})) {
    exchange->failure = failure;
    owner_.exchange_finished(std::move(exchange));
  }
}

void OriginPool::exchange_finished(std::shared_ptr<Exchange> exchange) {
  owner_.exchange_finished(std::move(exchange));
}

void OriginPool::connection_over(HttpConnection& connection, bool lost) {
  const auto gone = remove(connection);
  if (lost) owner_.origin_failed();
  dispatch();
}

std::shared_ptr<HttpConnection> OriginPool::remove(const HttpConnection& connection) {
  const auto at =
      std::ranges::find_if(connections_, [&](const auto& one) { return one.get() == &connection; });
  auto gone = std::move(*at);
  connections_.erase(at);
  return gone;
}

void OriginPool::tick_later() {
  if (std::exchange(ticking_, true)) return;
  parts_.timers.after(kTick_ns, [this, alive = alive_] {
    if (!*alive) return;
    ticking_ = false;
    tick();
  });
}

void OriginPool::tick() {
  const std::uint64_t now = exact_monotonic_ns();
  // A copy: what a tick finds may remove a connection.
  for (const auto& connection : std::vector(connections_)) {
    connection->tick(now);
    if (connection->opened() && connection->open() == 0 &&
        now >= connection->used_ns() + parts_.options.idle_ns)
      connection->retire();
  }
  if (!connections_.empty()) tick_later();
}

}  // namespace authcached
