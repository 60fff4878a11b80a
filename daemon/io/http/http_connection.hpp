// One connection to a server, from its addresses to its end: tries them in turn, shakes hands, lets ALPN
// choose the protocol, moves bytes between transport, TLS and session, and tells its owner what came of it.
//
// Loop thread only. Nothing is told from within start, submit, cancel or close.
#pragma once

#include <memory>
#include <vector>

#include "daemon/io/http/exchange.hpp"
#include "daemon/io/http/host_address.hpp"
#include "daemon/io/http/session.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/io/http/tls_channel.hpp"
#include "daemon/io/http/transport.hpp"

namespace authcached {

class HttpConnection;

class ConnectionOwner {
 public:
  virtual void connection_ready(
      HttpConnection& connection) = 0;  // open, and takes exchanges; also after it was full
  virtual void connection_failed(HttpConnection& connection,
                                 const Failure& failure) = 0;  // before it was open; the last event
  virtual void exchange_finished(std::shared_ptr<Exchange> exchange) = 0;
  // The last event. lost: it ended under exchanges that were open.
  virtual void connection_over(HttpConnection& connection, bool lost) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class HttpConnection final : public std::enable_shared_from_this<HttpConnection>, private TransportEvents {
 public:
  // For each address in turn: a server that is there answers a SYN, sent once more after a second, within
  // this.
  static constexpr std::uint64_t kConnectPatience_ns = 1'500'000'000;
  // Two round trips and a signature; a server that needs longer is not one to ask.
  static constexpr std::uint64_t kHandshakePatience_ns = 3'000'000'000;
  // With answers outstanding and nothing heard for this long, the server is asked for a sign of life (HTTP/2)
  // ...
  static constexpr std::uint64_t kPingAfter_ns = 5'000'000'000;
  // ... and given up if for this long after it nothing came.
  static constexpr std::uint64_t kPingPatience_ns = 5'000'000'000;

  HttpConnection(Loop& loop, Timers& timers, TlsContext& tls, HttpUrl url, ConnectionOwner& owner);
  ~HttpConnection();

  void start(std::vector<HostAddress> addresses);
  void submit(std::shared_ptr<Exchange> exchange);  // capacity() > 0
  void cancel(const Exchange& exchange, bool timed_out);
  // Answers nothing of what is open, and tells nobody.
  void close();
  // Takes no new exchange.
  void retire();
  // Called about every second.
  void tick(std::uint64_t now_ns);

  [[nodiscard]] bool opened() const { return session_ != nullptr; }
  [[nodiscard]] bool retired() const { return session_ && session_->retired(); }
  [[nodiscard]] std::size_t capacity() const { return session_ ? session_->capacity() : 0; }
  [[nodiscard]] std::size_t open() const { return session_ ? session_->open() : 0; }
  [[nodiscard]] bool http2() const { return http2_; }
  [[nodiscard]] bool resumed() const { return resumed_; }
  [[nodiscard]] std::uint64_t served() const { return submitted_; }  // exchanges that it was given
  [[nodiscard]] std::uint64_t used_ns() const { return used_ns_; }   // when it last had an exchange
  [[nodiscard]] const HostAddress& address() const { return address_; }

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_written() override;
  void on_ended(bool clean, const std::string& cause) override;

  void try_next();
  void attempt_failed(Failure failure);
  void fail(const Failure& failure);
  void open_session();
  void move_bytes();
  void flush();
  void flush_soon();
  void report();
  void input_ended(bool clean, const Failure& why);
  void set_patience(std::uint64_t ns, const char* what);
  void stop();

  Loop& loop_;
  Timers& timers_;
  TlsContext& tls_context_;
  HttpUrl url_;
  ConnectionOwner* owner_;              // nothing once the last event was told
  std::vector<HostAddress> addresses_;  // not tried yet, the next one last
  HostAddress address_;
  std::shared_ptr<Transport> transport_;
  std::unique_ptr<TlsChannel> tls_;
  std::unique_ptr<Session> session_;
  Timers::Id patience_{};
  std::optional<Failure> attempt_failure_;
  std::uint64_t heard_ns_ = 0;
  std::uint64_t pinged_ns_ = 0;  // 0: none since something was heard
  std::uint64_t used_ns_ = 0;
  std::uint64_t submitted_ = 0;
  bool flushing_soon_ = false;
  bool http2_ = false;
  bool resumed_ = false;
  bool lost_ = false;
};

}  // namespace authcached
