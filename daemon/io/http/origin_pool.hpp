// The connections to one origin and who waits for one. Opens connections as they are needed, up to the limit;
// closes those that are idle too long; tells its owner what became of each exchange.
//
// Loop thread only. An exchange may be told finished from within add, if there is nowhere to go; never from
// within cancel.
#pragma once

#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/io/http/http_client_options.hpp"
#include "daemon/io/http/http_connection.hpp"
#include "daemon/io/http/name_resolver.hpp"

namespace authcached {

class PoolOwner {
 public:
  virtual void exchange_finished(std::shared_ptr<Exchange> exchange) = 0;
  // No connection came about, or one was lost with answers outstanding: one event, whatever number waited.
  virtual void origin_failed() = 0;

 protected:
  ~PoolOwner() = default;
};

// Counted since the client began; all origins of a client count into one.
struct PoolCounters {
  std::uint64_t handshakes = 0;
  std::uint64_t handshakes_resumed = 0;
  std::uint64_t exchanges = 0;
  std::uint64_t reused = 0;  // exchanges on a connection that had one before
};

class OriginPool final : private ConnectionOwner {
 public:
  // As many as a daemon has flights, and some: beyond it something is wrong, and waiting would only fill
  // memory.
  static constexpr std::size_t kWaitingMax = 16 * 1024;
  // How often idle connections and silent ones are looked at.
  static constexpr std::uint64_t kTick_ns = 1'000'000'000;

  struct Parts {
    Loop& loop;
    Timers& timers;
    TlsContext& tls;
    NameResolver& names;
    const HttpClientOptions& options;
    PoolCounters& counters;
  };

  OriginPool(Parts parts, HttpUrl url, PoolOwner& owner);
  ~OriginPool();
  OriginPool(const OriginPool&) = delete;
  OriginPool& operator=(const OriginPool&) = delete;

  [[nodiscard]] bool full() const { return waiting_.size() >= kWaitingMax; }
  void add(std::shared_ptr<Exchange> exchange);  // not full
  // Where it stood, for the sentence of who gave up.
  std::string_view cancel(const Exchange& exchange, bool timed_out);

  struct Counts {
    std::size_t open = 0;
    std::size_t idle = 0;
    std::size_t connecting = 0;
    std::size_t waiting = 0;
    std::string_view protocol;  // of the newest open connection
  };
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] bool unused() const;  // nobody waits, and nothing is open or on its way

 private:
  void connection_ready(HttpConnection& connection) override;
  void connection_failed(HttpConnection& connection, const Failure& failure) override;
  void exchange_finished(std::shared_ptr<Exchange> exchange) override;
  void connection_over(HttpConnection& connection, bool lost) override;

  void dispatch();
  HttpConnection* free_connection();
  [[nodiscard]] bool wants_connection() const;
  [[nodiscard]] bool has_prospects() const;
  void open_connection();
  void addresses_found(const authcache::shm::Result<NameResolver::Addresses>& found);
  void fail_waiting(const Failure& failure);
  std::shared_ptr<HttpConnection> remove(const HttpConnection& connection);
  void tick_later();
  void tick();
  [[nodiscard]] std::size_t connecting() const;

  Parts parts_;
  HttpUrl url_;
  PoolOwner& owner_;
  std::vector<std::shared_ptr<HttpConnection>> connections_;  // in the order in which they were made
  // The oldest first; found by exchange, because thousands may give up in one turn.
  std::list<std::shared_ptr<Exchange>> waiting_;
  std::unordered_map<const Exchange*, std::list<std::shared_ptr<Exchange>>::iterator> waiting_at_;
  std::size_t resolving_ = 0;  // connections that wait for an address
  bool http2_ = false;         // what the server chose last
  bool protocol_known_ = false;
  bool ticking_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for look-ups that end after this
};

}  // namespace authcached
