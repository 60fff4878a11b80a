// A listening socket that speaks HTTP/1.x: accepts, cuts the stream into requests, writes answers in their
// order. A unix socket or a loopback address, nothing that another host could reach. Loop thread only.
//
// One request of a connection is under way at a time; those behind it wait in its buffer, which bounds them.
// What a peer can take of the daemon is bounded, whatever it sends, leaves unsent or leaves unread: header,
// body, connections, time for a request, time without reading, requests of one connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/io/http_answer.hpp"
#include "daemon/io/http_inbound.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/io/unix_socket.hpp"
#include "shm/result.hpp"

namespace authcached {

struct HttpPeer {
  std::optional<Peer> local;  // of a unix socket; a loopback address shows nobody
  bool is_admin = false;      // of a unix socket: has the admin group, or is root
};

// One request that waits for its answer. Hold it to answer later; it outlives its connection harmlessly.
// Whoever answered lets go of it.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // Once. A second time, or after the end of the connection, it does nothing.
  virtual void answer(const HttpAnswer& answer) = 0;
  [[nodiscard]] virtual const HttpPeer& peer() const = 0;
};

struct HttpServerOptions {
  std::filesystem::path path;  // a unix socket; empty: the address below
  gid_t group = static_cast<gid_t>(-1);
  std::optional<gid_t> admins;  // whose members are told as such
  bool ipv6 = false;            // ::1 instead of 127.0.0.1
  std::uint16_t port = 0;       // 0: any that is free, which the tests read back
  std::size_t connections_max = 1'024;
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds request_timeout{5'000};  // from a request's first byte to its last
};

struct HttpServerCounters {
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;  // no room, or nobody could be told apart
  std::uint64_t requests = 0;     // whole ones
  std::uint64_t malformed = 0;    // refused by their form
  std::uint64_t overdue = 0;      // ended for being late
};

class HttpServer {
 public:
  // The request's views live until the handler returns.
  using Handler = std::function<void(const std::shared_ptr<HttpExchange>&, const InboundRequest&)>;

  static authcache::shm::Result<std::unique_ptr<HttpServer>> listen(Loop& loop, HttpServerOptions options,
                                                                    Handler handler);
  ~HttpServer();  // ends all connections and unlinks the path

  void set_timeouts(std::chrono::milliseconds idle, std::chrono::milliseconds request);
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] const HttpServerCounters& counters() const;
  [[nodiscard]] std::uint16_t port() const;  // of a loopback address

  struct Impl;

 private:
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace authcached
