#include "daemon/io/http/http_connection.hpp"

#include <algorithm>

#include "daemon/io/http/secret_text.hpp"

namespace authcached {

namespace {

// What may wait in the transport before a session is asked for more: enough for a turn of a fast network.
constexpr std::size_t kOutputWaiting = 256 * 1024;

}  // namespace

HttpConnection::HttpConnection(Loop& loop, Timers& timers, TlsContext& tls, HttpUrl url,
                               ConnectionOwner& owner)
    : loop_(loop), timers_(timers), tls_context_(tls), url_(std::move(url)), owner_(&owner) {}

HttpConnection::~HttpConnection() { stop(); }

void HttpConnection::start(std::vector<HostAddress> addresses) {
  addresses_ = std::move(addresses);
  std::ranges::reverse(addresses_);
  attempt_failure_ = Failure{FailureKind::kConnect, "there is no address to connect to"};
  try_next();
}

void HttpConnection::try_next() {
  transport_.reset();
  tls_.reset();
  if (addresses_.empty()) {
    // Told in a turn of its own: start may be on the stack.
    timers_.after(0, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->fail(*self->attempt_failure_);
    });
    return;
  }
  address_ = addresses_.back();
  addresses_.pop_back();
  transport_ = Transport::connect(loop_, address_, url_.port, *this);
  set_patience(kConnectPatience_ns, "no connection came about in time");
}

void HttpConnection::set_patience(std::uint64_t ns, const char* what) {
  timers_.cancel(patience_);
  patience_ = timers_.after(ns, [weak = weak_from_this(), what] {
    const auto self = weak.lock();
    if (!self || self->session_ || self->owner_ == nullptr) return;
    self->transport_->close({});
    self->attempt_failed({self->tls_ ? FailureKind::kTls : FailureKind::kConnect, what});
  });
}

void HttpConnection::attempt_failed(Failure failure) {
  timers_.cancel(patience_);
  // Who is there but is not the one asked for is not found at another address either.
  if (failure.kind == FailureKind::kCertificate) addresses_.clear();
  attempt_failure_ = std::move(failure);
  try_next();
}

void HttpConnection::fail(const Failure& failure) {
  ConnectionOwner* const owner = owner_;
  stop();
  if (owner != nullptr) owner->connection_failed(*this, failure);
}

void HttpConnection::on_connected() {
  if (!url_.tls) return open_session();
  set_patience(kHandshakePatience_ns, "the TLS handshake did not end in time");
  auto channel = TlsChannel::create(tls_context_, url_);
  if (!channel) {
    transport_->close({});
    return attempt_failed({FailureKind::kTls, channel.error().message});
  }
  tls_ = std::move(*channel);
  on_bytes({});
}

void HttpConnection::on_bytes(std::string_view bytes) {
  const auto self = shared_from_this();
  heard_ns_ = exact_monotonic_ns();
  pinged_ns_ = 0;
  if (!tls_) {
    session_->receive(bytes);
    return move_bytes();
  }
  std::string plaintext;
  const auto failure = tls_->receive(bytes, plaintext);
  if (failure && !session_) {
    std::string alert;
    tls_->take_output(alert);
    transport_->close(alert);
    return attempt_failed(*failure);
  }
  if (!session_ && tls_->established()) open_session();
  if (session_ && owner_ != nullptr) {
    if (!plaintext.empty()) session_->receive(plaintext);
    wipe(plaintext);
    if (failure) return input_ended(false, *failure);
    if (tls_->ended())
      return input_ended(
          true, {FailureKind::kLost, "the server closed the connection before the answer was whole"});
  } else if (tls_->ended()) {
    transport_->close({});
    return attempt_failed({FailureKind::kTls, "the server ended TLS during the handshake"});
  }
  move_bytes();
}

void HttpConnection::open_session() {
  timers_.cancel(patience_);
  addresses_.clear();
  http2_ = tls_ && tls_->http2();
  resumed_ = tls_ && tls_->resumed();
  session_ = http2_ ? make_http2_session() : make_http1_session();
  heard_ns_ = used_ns_ = exact_monotonic_ns();
  owner_->connection_ready(*this);
  flush();
}

void HttpConnection::submit(std::shared_ptr<Exchange> exchange) {
  ++submitted_;
  used_ns_ = exact_monotonic_ns();
  // Silence is counted from the question on: before it there was nothing to hear.
  if (session_->open() == 0) heard_ns_ = used_ns_;
  exchange->submitted_ns = used_ns_;
  session_->start(std::move(exchange));
  flush_soon();
}

void HttpConnection::cancel(const Exchange& exchange, bool timed_out) {
  if (!session_) return;
  session_->cancel(exchange);
  // An answer that did not come, on a connection on which nothing came since it was asked for: nobody may be
  // there any more.
  if (timed_out && heard_ns_ <= exchange.submitted_ns) session_->retire();
  flush_soon();
}

void HttpConnection::retire() {
  if (!session_) return;
  session_->retire();
  flush_soon();
}

void HttpConnection::flush_soon() {
  if (std::exchange(flushing_soon_, true)) return;
  // Whatever else is asked in this turn of the loop goes out in the same write.
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->flushing_soon_ = false;
    if (self->owner_ != nullptr) self->move_bytes();
  });
}

void HttpConnection::move_bytes() {
  const auto self = shared_from_this();
  flush();
  report();
}

void HttpConnection::flush() {
  if (!transport_ || owner_ == nullptr) return;
  std::string out;
  if (session_ && transport_->waiting() < kOutputWaiting) session_->take_output(out, kOutputWaiting);
  if (tls_) {
    if (!out.empty()) {
      const auto failure = tls_->send(out);
      wipe(out);
      if (failure) session_->end(false, *failure);
    }
    tls_->take_output(out);
  }
  transport_->write(std::move(out));
}

void HttpConnection::report() {
  if (!session_) return;
  auto finished = session_->take_finished();
  if (!finished.empty()) used_ns_ = exact_monotonic_ns();
  for (auto& exchange : finished) {
    if (owner_ == nullptr) return;
    const bool lost = exchange->failure && exchange->failure->kind == FailureKind::kLost;
    lost_ = lost_ || lost;
    owner_->exchange_finished(std::move(exchange));
  }
  if (owner_ == nullptr) return;
  if (session_->over()) {
    ConnectionOwner* const owner = owner_;
    stop();
    owner->connection_over(*this, lost_);
  } else if (!finished.empty() && session_->capacity() > 0) {
    owner_->connection_ready(*this);
  }
}

void HttpConnection::input_ended(bool clean, const Failure& why) {
  const auto self = shared_from_this();
  session_->end(clean, why);
  move_bytes();
}

void HttpConnection::on_written() { move_bytes(); }

void HttpConnection::on_ended(bool clean, const std::string& cause) {
  const auto self = shared_from_this();
  if (!session_) {
    if (tls_)
      return attempt_failed({FailureKind::kTls, "the connection ended during the TLS handshake" +
                                                    (clean ? std::string() : " (" + cause + ")")});
    return attempt_failed({FailureKind::kConnect, "no connection came about (" + cause + ")"});
  }
  if (tls_ && clean)
    return input_ended(false, {FailureKind::kLost, "the stream was cut off: TLS did not say that it ends"});
  const std::string sentence = clean ? "the server closed the connection before the answer was whole"
                                     : "the connection was lost (" + cause + ")";
  input_ended(clean, {FailureKind::kLost, sentence});
}

void HttpConnection::tick(std::uint64_t now_ns) {
  if (!session_ || session_->open() == 0) return;
  if (pinged_ns_ != 0) {
    if (now_ns >= pinged_ns_ + kPingPatience_ns)
      input_ended(false, {FailureKind::kLost, "the server gives no sign of life"});
    return;
  }
  if (now_ns < heard_ns_ + kPingAfter_ns || !session_->ping()) return;
  pinged_ns_ = now_ns;
  flush_soon();
}

void HttpConnection::close() { stop(); }

void HttpConnection::stop() {
  owner_ = nullptr;
  timers_.cancel(patience_);
  if (!transport_) return;
  std::string farewell;
  if (tls_) {
    tls_->say_goodbye();
    tls_->take_output(farewell);
  }
  transport_->close(farewell);
  transport_.reset();
}

}  // namespace authcached
