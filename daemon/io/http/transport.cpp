#include "daemon/io/http/transport.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/io/http/secret_text.hpp"

namespace authcached {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;  // as much as one TLS record holds

tcp::endpoint endpoint_of(const HostAddress& address, std::uint16_t port) {
  if (address.v6) return {asio::ip::address_v6(address.bytes, address.scope), port};
  asio::ip::address_v4::bytes_type four{};
  std::copy_n(address.bytes.begin(), four.size(), four.begin());
  return {asio::ip::address_v4(four), port};
}

// Asio's io_uring backend (Boost 1.81) hands the bookkeeping of a closed socket to the next one while an
// operation of the first is still in the ring. So close() only cancels and shuts down, and the descriptor is
// closed with the last operation: each holds this object.
class SocketTransport final : public Transport, public std::enable_shared_from_this<SocketTransport> {
 public:
  SocketTransport(Loop& loop, TransportEvents& events) : socket_(loop.context()), events_(&events) {}
  ~SocketTransport() override {
    wipe(out_);
    wipe(next_);
    OPENSSL_cleanse(in_.data(), in_.size());
  }

  void connect(const asio::generic::stream_protocol::endpoint& to) {
    boost::system::error_code error;
    socket_.open(to.protocol(), error);
    if (error) return fail_later(error);
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);  // Asio opens without the flag
    if (to.protocol().family() != AF_UNIX) {
      const int on = 1;
      ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    socket_.async_connect(to, [self = shared_from_this()](const boost::system::error_code& failed) {
      if (self->events_ == nullptr) return;
      if (failed) return self->end(false, failed.message());
      self->read();
      self->events_->on_connected();
    });
  }

  void fail_later(const boost::system::error_code& error) {
    asio::post(socket_.get_executor(),
               [self = shared_from_this(), error] { self->end(false, error.message()); });
  }

  void write(std::string bytes) override {
    if (events_ == nullptr || bytes.empty()) return;
    waiting_ += bytes.size();
    if (next_.empty()) {
      next_ = std::move(bytes);
    } else {
      append_secret(next_, bytes);
      wipe(bytes);
    }
    if (out_.empty()) write_next();
  }

  void write_now(std::string_view bytes) override {
    if (events_ == nullptr) return;
    if (waiting_ == 0) {
      const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      // What went wrong is told by the read under way.
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (!bytes.empty()) write(std::string(bytes));
  }

  std::size_t waiting() const override { return waiting_; }

  void close(std::string_view farewell) override {
    if (std::exchange(events_, nullptr) == nullptr) return;
    if (!socket_.is_open()) return;
    if (waiting_ == 0 && !farewell.empty()) {
      [[maybe_unused]] const ssize_t sent =
          ::send(socket_.native_handle(), farewell.data(), farewell.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
  }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(in_), [self = shared_from_this()](
                                                   const boost::system::error_code& error, std::size_t got) {
      if (self->events_ == nullptr) return;
      if (error) return self->end(error == asio::error::eof, error.message());
      self->events_->on_bytes({self->in_.data(), got});
      if (self->events_ != nullptr) self->read();
    });
  }

  void write_next() {
    out_.swap(next_);
    written_ = 0;
    write_rest();
  }

  void write_rest() {
    socket_.async_send(asio::buffer(out_.data() + written_, out_.size() - written_), MSG_NOSIGNAL,
                       [self = shared_from_this()](const boost::system::error_code& error,
                                                   std::size_t wrote) { self->wrote(error, wrote); });
  }

  void wrote(const boost::system::error_code& error, std::size_t wrote) {
    if (events_ == nullptr) return;
    // The read under way tells how it ended, after what the server may still have said.
    if (error) return;
    written_ += wrote;
    waiting_ -= wrote;
    if (written_ < out_.size()) return write_rest();
    wipe(out_);
    if (!next_.empty()) return write_next();
    events_->on_written();
  }

  void end(bool clean, const std::string& cause) {
    if (TransportEvents* const events = std::exchange(events_, nullptr)) events->on_ended(clean, cause);
  }

  asio::generic::stream_protocol::socket socket_;
  TransportEvents* events_;
  std::array<char, kReadBytes> in_{};
  std::string out_;   // being written: must not move
  std::string next_;  // to be written after it
  std::size_t written_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace

std::shared_ptr<Transport> Transport::connect(Loop& loop, const HostAddress& address, std::uint16_t port,
                                              TransportEvents& events) {
  auto transport = std::make_shared<SocketTransport>(loop, events);
  transport->connect(endpoint_of(address, port));
  return transport;
}

std::shared_ptr<Transport> Transport::connect(Loop& loop, const std::string& path, TransportEvents& events) {
  auto transport = std::make_shared<SocketTransport>(loop, events);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    transport->fail_later(boost::system::errc::make_error_code(boost::system::errc::filename_too_long));
  } else {
    transport->connect(asio::local::stream_protocol::endpoint(path));
  }
  return transport;
}

}  // namespace authcached
