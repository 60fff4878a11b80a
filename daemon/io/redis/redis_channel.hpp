// One connection to a Redis server: bytes and TLS on one side, whole replies on the other.
//
// Loop thread only. Nothing is told from within connect, write or close, and nothing after close or after
// channel_ended. Held by shared_ptr, so that its owner may let go of it within an event.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/io/http/exchange.hpp"
#include "daemon/io/http/host_address.hpp"
#include "daemon/io/http/tls_channel.hpp"
#include "daemon/io/http/transport.hpp"
#include "daemon/io/redis/redis_reply.hpp"

namespace authcached {

class RedisChannelEvents {
 public:
  virtual void channel_open() = 0;  // TLS included: commands may be written
  virtual void channel_reply(const RedisReply& reply) = 0;
  // All that came was told; or all that was written is with the kernel. Time to write more.
  virtual void channel_drained() = 0;
  virtual void channel_ended(const Failure& why) = 0;  // the last event

 protected:
  ~RedisChannelEvents() = default;
};

// A session is a few KB; twice the most that is read of a value, so that a reply holds one and what stands
// around it.
inline constexpr RedisReplyLimits kRedisReplyLimits{512 * 1024, 1'024};

class RedisChannel final : public std::enable_shared_from_this<RedisChannel>, private TransportEvents {
 public:
  // tls: null without TLS; place then says nothing.
  RedisChannel(Loop& loop, TlsContext* tls, HttpUrl place, RedisChannelEvents& events);
  ~RedisChannel();

  void connect(const std::string& socket);
  void connect(const HostAddress& address, std::uint16_t port);
  void write(std::string_view commands);  // once open
  void close();

  [[nodiscard]] std::size_t waiting() const { return transport_ ? transport_->waiting() : 0; }
  [[nodiscard]] std::uint64_t heard_ns() const { return heard_ns_; }  // when bytes last came; exact

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_written() override;
  void on_ended(bool clean, const std::string& cause) override;

  void take_plaintext(std::string_view bytes);
  void send_ciphertext();
  void end(Failure why);

  Loop& loop_;
  TlsContext* tls_context_;
  HttpUrl place_;
  RedisChannelEvents* events_;  // nothing once it is over
  std::shared_ptr<Transport> transport_;
  std::unique_ptr<TlsChannel> tls_;
  RedisReplyReader replies_{kRedisReplyLimits};
  std::uint64_t heard_ns_ = 0;
};

}  // namespace authcached
