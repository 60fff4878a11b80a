#include "daemon/io/redis/redis_channel.hpp"

#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/http/timers.hpp"

namespace authcached {

RedisChannel::RedisChannel(Loop& loop, TlsContext* tls, HttpUrl place, RedisChannelEvents& events)
    : loop_(loop), tls_context_(tls), place_(std::move(place)), events_(&events) {}

RedisChannel::~RedisChannel() { close(); }

void RedisChannel::connect(const std::string& socket) {
  transport_ = Transport::connect(loop_, socket, *this);
}

void RedisChannel::connect(const HostAddress& address, std::uint16_t port) {
  transport_ = Transport::connect(loop_, address, port, *this);
}

void RedisChannel::on_connected() {
  heard_ns_ = exact_monotonic_ns();
  if (tls_context_ == nullptr) return events_->channel_open();
  auto tls = TlsChannel::create(*tls_context_, place_);
  if (!tls) return end({FailureKind::kTls, tls.error().message});
  tls_ = std::move(*tls);
  on_bytes({});  // nothing yet: begins the handshake
}

void RedisChannel::on_bytes(std::string_view bytes) {
  const auto self = shared_from_this();
  heard_ns_ = exact_monotonic_ns();
  if (!tls_) {
    take_plaintext(bytes);
    if (events_ != nullptr) events_->channel_drained();
    return;
  }
  const bool was_open = tls_->established();
  std::string plaintext;
  const auto failure = tls_->receive(bytes, plaintext);
  send_ciphertext();
  if (!failure && !was_open && tls_->established()) events_->channel_open();
  if (events_ != nullptr) take_plaintext(plaintext);
  wipe(plaintext);
  if (events_ == nullptr) return;
  if (failure) return end(*failure);
  if (tls_->ended()) return end({FailureKind::kLost, "the server closed the connection"});
  events_->channel_drained();
}

void RedisChannel::take_plaintext(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!replies_.feed(bytes)) return end({FailureKind::kLost, "no memory is left for what the server sent"});
  while (events_ != nullptr) {
    const auto reply = replies_.next();
    if (!reply) return end({FailureKind::kMalformed, reply.error().message});
    if (!*reply) return;
    events_->channel_reply(**reply);
  }
}

void RedisChannel::write(std::string_view commands) {
  if (events_ == nullptr || commands.empty()) return;
  if (!tls_) return transport_->write_now(commands);
  // What fails here also ends the stream that is read.
  [[maybe_unused]] const auto failure = tls_->send(commands);
  send_ciphertext();
}

void RedisChannel::send_ciphertext() {
  std::string out;
  tls_->take_output(out);
  if (!out.empty() && transport_) transport_->write(std::move(out));
}

void RedisChannel::on_written() {
  const auto self = shared_from_this();
  if (events_ != nullptr && (!tls_ || tls_->established())) events_->channel_drained();
}

void RedisChannel::on_ended(bool clean, const std::string& cause) {
  const auto self = shared_from_this();
  const bool connected = heard_ns_ != 0;
  const std::string words = clean ? "" : " (" + cause + ")";
  if (!connected) return end({FailureKind::kConnect, "no connection came about" + words});
  if (tls_ && !tls_->established())
    return end({FailureKind::kTls, "the connection ended during the TLS handshake" + words});
  end({FailureKind::kLost, clean ? "the server closed the connection" : "the connection was lost" + words});
}

void RedisChannel::end(Failure why) {
  RedisChannelEvents* const events = events_;
  close();
  if (events != nullptr) events->channel_ended(why);
}

void RedisChannel::close() {
  events_ = nullptr;
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
