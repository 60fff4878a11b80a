#include "daemon/io/http_server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcached {

namespace asio = boost::asio;
namespace shm = authcache::shm;
using asio::generic::stream_protocol;
using std::chrono::steady_clock;

namespace {

// A connection begins with room for a usual request and gets what the largest takes only when one comes.
constexpr std::size_t kFirstInputBytes = 8 * 1024;
constexpr std::size_t kInputBytesMax = kHttpHeaderBytesMax + kHttpBodyBytesMax;
// Answers to pipelined requests gather up to here; then they are written before the next request is looked
// at.
constexpr std::size_t kOutputPause = 64 * 1024;
// Proxies keep connections for good; a new one now and then spreads them again after a burst.
constexpr std::uint64_t kRequestsPerConnectionMax = 1'000'000;
// A peer that takes not one byte of its answers for this long is gone, or means to be in the way.
constexpr std::chrono::seconds kWriteTimeout{5};
// Nor is a peer waited for that takes them by drops: this long is enough for what one write can hold.
constexpr std::chrono::seconds kWriteTotalTimeout{30};
// After the last answer: until the peer has read it. Closing at once would take it from the peer's buffer
// (RST).
constexpr std::chrono::seconds kLingerTimeout{2};
constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::chrono::milliseconds kAcceptBackoff{
    100};  // out of descriptors: closing some takes the peers a moment
constexpr int kBacklog = 1'024;

}  // namespace

class InboundConnection;

struct HttpServer::Impl {
  Impl(Loop& loop, HttpServerOptions opts, Handler fn)
      : options(std::move(opts)),
        handler(std::move(fn)),
        acceptor(loop.context()),
        sweep(loop.context()),
        backoff(loop.context()) {}

  HttpServerOptions options;
  Handler handler;
  HttpServerCounters counters;
  asio::basic_socket_acceptor<stream_protocol> acceptor;
  asio::steady_timer sweep;
  asio::steady_timer backoff;
  std::unordered_set<std::shared_ptr<InboundConnection>> open;
  InboundRequest request;  // one is looked at at a time
  bool closed = false;
};

// One request's answer. A second answer is nobody's: it must never become that of the connection's next
// request.
class Ticket final : public HttpExchange {
 public:
  Ticket(std::weak_ptr<InboundConnection> connection, const HttpPeer& peer)
      : connection_(std::move(connection)), peer_(peer) {}
  void answer(const HttpAnswer& answer) override;
  [[nodiscard]] const HttpPeer& peer() const override { return peer_; }
  void reopen() { open_ = true; }

 private:
  std::weak_ptr<InboundConnection> connection_;
  HttpPeer peer_;
  bool open_ = false;
};

// Never more than one operation is under way on the socket, and it is closed only when there is none: see
// FrameConnection::abort for what Asio's io_uring backend makes of anything else.
class InboundConnection final : public std::enable_shared_from_this<InboundConnection> {
 public:
  InboundConnection(stream_protocol::socket socket, HttpPeer peer,
                 const std::shared_ptr<HttpServer::Impl>& server)
      : socket_(std::move(socket)), peer_(peer), server_(server), input_(kFirstInputBytes, '\0') {}

  ~InboundConnection() { OPENSSL_cleanse(input_.data(), input_.size()); }  // tokens stood in it

  // Of the request under way.
  void answer(const HttpAnswer& answer) {
    if (!std::exchange(pending_, false)) return;
    ending_ = ending_ || !form_.keep_alive;
    append_answer(waiting_, answer, form_);
    if (!serving_) go_on();
  }

  // Whatever is to be done next. Called at the end of everything that happened.
  void go_on() {
    if (busy_ || gone_) return;
    if (aborted_) return leave();
    serve();
    if (!waiting_.empty()) return write();
    if (pending_) return;
    if (ending_) linger();
    read();
  }

  void abort() {
    if (std::exchange(aborted_, true)) return;
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
    if (!busy_ && !serving_) leave();
  }

  [[nodiscard]] bool overdue(steady_clock::time_point now, const HttpServerOptions& options) const {
    if (aborted_) return false;
    if (writing_) return now - progress_ > kWriteTimeout || now - write_began_ > kWriteTotalTimeout;
    if (pending_) return false;  // whoever answers has a deadline
    if (lingering_) return now - progress_ > kLingerTimeout;
    return mid_request_ ? now - began_ > options.request_timeout : now - progress_ > options.idle_timeout;
  }
  // Who would give way to a new connection, and since when: the longest of either comes first.
  enum class Use { kIdle, kUnfinishedRequest, kBusy };
  [[nodiscard]] Use use() const {
    if (pending_ || writing_ || aborted_) return Use::kBusy;
    return mid_request_ ? Use::kUnfinishedRequest : Use::kIdle;
  }
  [[nodiscard]] steady_clock::time_point used_since() const { return mid_request_ ? began_ : progress_; }

 private:
  // Handles every whole request of the buffer, until one has to wait for its answer.
  void serve() {
    const auto server = server_.lock();
    if (!server || ending_) return;
    serving_ = true;
    std::size_t at = 0;
    while (!pending_ && !ending_ && !aborted_ && at < used_ && waiting_.size() < kOutputPause) {
      if (used_ - at < needed_) break;
      const InboundRead read =
          read_request({input_.data() + at, used_ - at}, at == 0 ? searched_ : 0, server->request);
      if (read.state == InboundRead::State::kIncomplete) {
        needed_ = read.bytes;
        searched_ = needed_ == 0 ? used_ - at : 0;
        break;
      }
      needed_ = 0;
      searched_ = 0;
      if (read.state == InboundRead::State::kRefused) {
        refuse(*server, read);
        break;
      }
      at += read.bytes;
      handle(*server);
    }
    forget(at);
    serving_ = false;
  }

  void handle(HttpServer::Impl& server) {
    ++server.counters.requests;
    const InboundRequest& request = server.request;
    form_ = {request.is_http11, request.keep_alive && ++requests_ < kRequestsPerConnectionMax,
             request.method == "HEAD"};
    pending_ = true;
    try {
      // Whoever still holds the last one keeps it; else there is nothing to allocate.
      if (!ticket_ || ticket_.use_count() > 1) ticket_ = std::make_shared<Ticket>(weak_from_this(), peer_);
      ticket_->reopen();
      server.handler(ticket_, request);
    } catch (const std::exception&) {  // no memory is left, in the main: it ends its own connection and
                                       // nothing else
      form_.keep_alive = false;
      HttpAnswer failed;
      failed.status = 503;
      answer(failed);
    }
  }

  void refuse(HttpServer::Impl& server, const InboundRead& read) {
    ++server.counters.malformed;
    HttpAnswer refused;
    refused.status = read.status;
    refused.content_type = "text/plain";
    refused.body = std::string(read.sentence) + "\n";
    append_answer(waiting_, refused, {.is_http11 = true, .keep_alive = false, .without_body = false});
    ending_ = true;
  }

  // Moves what is left of the buffer to its front, wipes what is past, and notes whether a request has begun.
  void forget(std::size_t past) {
    if (past > 0) {
      OPENSSL_cleanse(input_.data(), past);
      std::memmove(input_.data(), input_.data() + past, used_ - past);
      OPENSSL_cleanse(input_.data() + used_ - past, past);
      used_ -= past;
    }
    if (pending_) return;
    if (used_ > 0 && (!mid_request_ || past > 0)) began_ = progress_;
    mid_request_ = used_ > 0;
  }

  void read() {
    if (used_ == input_.size() && !grow()) return abort_now();
    busy_ = true;
    socket_.async_read_some(asio::buffer(input_.data() + used_, input_.size() - used_),
                            [self = shared_from_this()](const boost::system::error_code& error,
                                                        std::size_t got) { self->read_some(error, got); });
  }

  void read_some(const boost::system::error_code& error, std::size_t got) {
    busy_ = false;
    if (error || aborted_) return leave();
    if (lingering_) {
      OPENSSL_cleanse(input_.data(), input_.size());
      return read();
    }
    progress_ = steady_clock::now();
    used_ += got;
    go_on();
  }

  // By hand, so that the smaller buffer's bytes do not stay in freed memory.
  bool grow() {
    if (input_.size() >= kInputBytesMax) return false;
    std::string larger(kInputBytesMax, '\0');
    std::memcpy(larger.data(), input_.data(), used_);
    OPENSSL_cleanse(input_.data(), input_.size());
    input_.swap(larger);
    return true;
  }

  void write() {
    out_.clear();
    out_.swap(waiting_);
    write_began_ = progress_ = steady_clock::now();
    writing_ = true;
    write_from(0);
  }

  // A piece at a time: each shows that the peer still reads.
  void write_from(std::size_t at) {
    busy_ = true;
    socket_.async_write_some(
        asio::buffer(out_.data() + at, out_.size() - at),
        [self = shared_from_this(), at](const boost::system::error_code& error, std::size_t wrote) {
          self->wrote_to(error, at + wrote);
        });
  }

  void wrote_to(const boost::system::error_code& error, std::size_t at) {
    busy_ = false;
    if (error || aborted_) return leave();
    progress_ = steady_clock::now();
    if (at < out_.size()) return write_from(at);
    writing_ = false;
    if (used_ > 0) began_ = progress_;  // what waited behind these answers has its own time
    go_on();
  }

  void linger() {
    if (std::exchange(lingering_, true)) return;
    ::shutdown(socket_.native_handle(), SHUT_WR);
    progress_ = steady_clock::now();
    used_ = 0;
  }

  void abort_now() {
    aborted_ = true;
    leave();
  }

  void leave() {
    if (std::exchange(gone_, true)) return;
    pending_ = false;
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (const auto server = server_.lock()) server->open.erase(shared_from_this());
  }

  stream_protocol::socket socket_;
  HttpPeer peer_;
  std::weak_ptr<HttpServer::Impl> server_;
  std::string input_;
  std::size_t used_ = 0;
  std::size_t searched_ = 0;  // of input_, without finding the end of a header
  std::size_t needed_ = 0;    // until the request at hand is whole, as far as is known
  std::string waiting_;       // to be written after out_
  std::string out_;           // being written: must not move
  std::shared_ptr<Ticket> ticket_;
  AnswerForm form_;  // of the request under way
  std::uint64_t requests_ = 0;
  bool busy_ = false;  // an operation of the socket is under way
  bool writing_ = false;
  bool serving_ = false;
  bool pending_ = false;  // a request waits for its answer
  bool mid_request_ = false;
  bool ending_ = false;  // no further request is taken
  bool lingering_ = false;
  bool aborted_ = false;
  bool gone_ = false;
  steady_clock::time_point progress_ = steady_clock::now();
  steady_clock::time_point began_{};
  steady_clock::time_point write_began_{};
};

void Ticket::answer(const HttpAnswer& answer) {
  if (!std::exchange(open_, false)) return;
  if (const auto connection = connection_.lock()) connection->answer(answer);
}

namespace {

bool take_charge_of(const stream_protocol::socket& socket, const HttpServerOptions& options, HttpPeer& peer) {
  const int fd = const_cast<stream_protocol::socket&>(socket).native_handle();
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return false;  // Asio accepts without the flag
  if (options.path.empty()) {
    const int on = 1;  // answers are whole: nothing is gained by waiting for more
    return ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  }
  peer.local = peer_of(fd);
  if (!peer.local) return false;
  peer.is_admin = peer.local->uid == 0 || (options.admins && peer_is_in(fd, *peer.local, *options.admins));
  return true;
}

// With no room left, the connection that has been idle for longest goes, and if none is idle the one whose
// request has been unfinished for longest: half requests cannot keep everybody else out.
bool make_room(const HttpServer::Impl& server) {
  using Use = InboundConnection::Use;
  std::shared_ptr<InboundConnection> found;
  for (const auto& connection : server.open) {
    const Use use = connection->use();
    if (use == Use::kBusy || (found && use > found->use())) continue;
    if (!found || use < found->use() || connection->used_since() < found->used_since()) found = connection;
  }
  if (found) found->abort();
  return found != nullptr;
}

// Over the bound, or not to be told apart, or no memory for it: the socket closes as it leaves this scope.
void welcome(const std::shared_ptr<HttpServer::Impl>& server, stream_protocol::socket socket) {
  try {
    HttpPeer peer;
    const bool room = server->open.size() < server->options.connections_max || make_room(*server);
    if (!room || !take_charge_of(socket, server->options, peer)) {
      ++server->counters.turned_away;
      return;
    }
    const auto connection = std::make_shared<InboundConnection>(std::move(socket), peer, server);
    server->open.insert(connection);
    ++server->counters.accepted;
    connection->go_on();
  } catch (const std::exception&) {
    return;
  }
}

void accept_next(const std::shared_ptr<HttpServer::Impl>& server) {
  server->acceptor.async_accept(
      [server](const boost::system::error_code& error, stream_protocol::socket socket) {
        if (server->closed || error == asio::error::operation_aborted) return;
        if (!error) {
          welcome(server, std::move(socket));
          return accept_next(server);
        }
        server->backoff.expires_after(kAcceptBackoff);
        server->backoff.async_wait([server](const boost::system::error_code& stopped) {
          if (!stopped && !server->closed) accept_next(server);
        });
      });
}

void sweep_next(const std::shared_ptr<HttpServer::Impl>& server) {
  server->sweep.expires_after(kSweepInterval);
  server->sweep.async_wait([server](const boost::system::error_code& stopped) {
    if (stopped || server->closed) return;
    const auto now = steady_clock::now();
    std::vector<std::shared_ptr<InboundConnection>> late;  // abort may take them out of `open`
    for (const auto& connection : server->open) {
      if (connection->overdue(now, server->options)) late.push_back(connection);
    }
    server->counters.overdue += late.size();
    for (const auto& connection : late) connection->abort();
    sweep_next(server);
  });
}

shm::Result<shm::UniqueFd> unix_listener(const HttpServerOptions& options) {
  shm::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return shm::system_error("cannot create a unix socket", errno);
  if (auto bound = listen_on_path(fd.get(), options.path, options.group); !bound)
    return std::unexpected(bound.error());
  return fd;
}

shm::Result<shm::UniqueFd> loopback_listener(const HttpServerOptions& options) {
  shm::UniqueFd fd(
      ::socket(options.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return shm::system_error("cannot create a TCP socket for http.listen", errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in four{};
  sockaddr_in6 six{};
  four.sin_family = AF_INET;
  four.sin_port = htons(options.port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(options.port);
  six.sin6_addr = in6addr_loopback;
  const auto* address =
      options.ipv6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  const socklen_t size = options.ipv6 ? sizeof six : sizeof four;
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return shm::system_error(
        "cannot listen on loopback port " + std::to_string(options.port) + " (http.listen)", errno);
  }
  return fd;
}

}  // namespace

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->closed = true;
  // Cancelled, not closed: see ~FrameServer.
  boost::system::error_code ignored;
  impl_->acceptor.cancel(ignored);
  impl_->sweep.cancel();
  impl_->backoff.cancel();
  const auto open = std::exchange(impl_->open, {});
  for (const auto& connection : open) connection->abort();
  if (!impl_->options.path.empty()) ::unlink(impl_->options.path.c_str());
}

void HttpServer::set_timeouts(std::chrono::milliseconds idle, std::chrono::milliseconds request) {
  impl_->options.idle_timeout = idle;
  impl_->options.request_timeout = request;
}

std::size_t HttpServer::connections() const { return impl_->open.size(); }
const HttpServerCounters& HttpServer::counters() const { return impl_->counters; }

std::uint16_t HttpServer::port() const {
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  if (!impl_->options.path.empty()) return 0;
  if (::getsockname(impl_->acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  return ntohs(address.sin6_port);  // both families have it at this place
}

shm::Result<std::unique_ptr<HttpServer>> HttpServer::listen(Loop& loop, HttpServerOptions options,
                                                            Handler handler) {
  auto fd = options.path.empty() ? loopback_listener(options) : unix_listener(options);
  if (!fd) return std::unexpected(fd.error());
  const int family = !options.path.empty() ? AF_UNIX : options.ipv6 ? AF_INET6 : AF_INET;
  auto impl = std::make_shared<Impl>(loop, std::move(options), std::move(handler));
  impl->acceptor.assign(stream_protocol(family, 0), fd->release());
  accept_next(impl);
  sweep_next(impl);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace authcached
