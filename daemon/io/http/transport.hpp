// One connection on the daemon's loop, by TCP or to a unix socket: bytes in, bytes out. The only file of the
// clients (HTTP, Redis) that knows Asio's sockets.
//
// Loop thread only, and gone before the loop. Events are never called from within connect, write or close,
// and never after close.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "daemon/io/http/host_address.hpp"
#include "daemon/io/loop.hpp"

namespace authcached {

class TransportEvents {
 public:
  virtual void on_connected() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;
  virtual void on_written() = 0;  // nothing waits any more
  // The last event. clean: the other side closed it; else cause says what happened.
  virtual void on_ended(bool clean, const std::string& cause) = 0;

 protected:
  ~TransportEvents() = default;
};

class Transport {
 public:
  static std::shared_ptr<Transport> connect(Loop& loop, const HostAddress& address, std::uint16_t port,
                                            TransportEvents& events);
  // To a unix socket; a path that no such socket can have ends as a connection that does not come about.
  static std::shared_ptr<Transport> connect(Loop& loop, const std::string& path, TransportEvents& events);
  virtual ~Transport() = default;

  // Takes the bytes over; they are wiped once the kernel has them.
  virtual void write(std::string bytes) = 0;
  // Hands to the kernel at once what it takes, in place of at the end of the loop's turn: for many small writes
  // whose answers should come back while more are being made. Copies the rest.
  virtual void write_now(std::string_view bytes) = 0;
  [[nodiscard]] virtual std::size_t waiting() const = 0;  // bytes that the kernel has not taken
  // farewell goes out if it can at once. Whatever else waits is dropped.
  virtual void close(std::string_view farewell) = 0;
};

}  // namespace authcached
