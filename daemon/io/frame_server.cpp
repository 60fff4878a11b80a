#include "daemon/io/frame_server.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcached {

namespace asio = boost::asio;
namespace wire = authcache::shm::wire;
using authcache::shm::ErrorCode;
using Socket = asio::local::stream_protocol::socket;
using std::chrono::steady_clock;

namespace {

// A connection begins with room for one question; a peer that fills it pipelines, and gets what takes some hundred
// misses, or a part of the largest control frame, in one read.
constexpr std::size_t kFirstReadBytes = 4 * 1024;
constexpr std::size_t kReadBytes = 64 * 1024;
// A peer that lets this much output wait does not read: serving it further would only grow the daemon.
constexpr std::size_t kOutputMax = 8 << 20;
// Of all connections of a server together: a thousand that do not read must not take a thousand times the bound above.
constexpr std::size_t kOutputTotalMax = 64 << 20;
// A frame once begun must arrive whole within this time; idle connections between frames live longer, because the
// library keeps them for its next miss.
constexpr std::chrono::seconds kFrameTimeout{5};
// A peer that takes not one byte of its answers for this long is gone, or means to be in the way.
constexpr std::chrono::seconds kWriteTimeout{5};
constexpr std::chrono::seconds kIdleTimeout{300};
constexpr std::chrono::milliseconds kAcceptBackoff{100};  // out of descriptors: closing some takes the peers a moment

}  // namespace

class FrameConnection;

struct FrameServer::Impl {
  Impl(Loop& loop, FrameServerOptions opts, Handler fn)
      : options(std::move(opts)), handler(std::move(fn)), acceptor(loop.context()), sweep(loop.context()) {}

  FrameServerOptions options;
  Handler handler;
  asio::local::stream_protocol::acceptor acceptor;
  asio::steady_timer sweep;
  std::unordered_set<std::shared_ptr<FrameConnection>> open;
  std::unordered_map<uid_t, std::size_t> of_uid;  // how many of them each user has
  std::size_t output = 0;                         // bytes that wait to be written, of all
  bool closed = false;
};

class FrameConnection final : public Connection, public std::enable_shared_from_this<FrameConnection> {
 public:
  FrameConnection(Socket socket, Peer peer, const std::shared_ptr<FrameServer::Impl>& server)
      : socket_(std::move(socket)), peer_(peer), server_(server) {}

  void send(std::string_view frames) override {
    if (aborted_) return;
    const auto server = server_.lock();
    if (!server || waiting_.size() + frames.size() > kOutputMax) return abort();
    // One whose earlier answers are all taken is owed this one, whatever others leave lying.
    if (output_ > 0 && server->output + frames.size() > kOutputTotalMax) return abort();
    waiting_.append(frames);
    output_ += frames.size();
    server->output += frames.size();
    if (!handling_) flush();
  }

  bool send_with_descriptor(std::string_view frames, int fd) override {
    if (aborted_ || writing_ || !waiting_.empty()) return false;
    iovec bytes{const_cast<char*>(frames.data()), frames.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0) return false;
    if (static_cast<std::size_t>(sent) < frames.size()) send(frames.substr(static_cast<std::size_t>(sent)));
    return true;
  }

  void end() override { ending_ = true; }

  [[nodiscard]] const Peer& peer() const override { return peer_; }

  asio::awaitable<void> serve(std::shared_ptr<FrameServer::Impl> server) {
    const auto self = shared_from_this();
    std::string input;
    std::size_t used = 0;
    input.resize(kFirstReadBytes);
    for (;;) {
      boost::system::error_code error;
      const std::size_t got = co_await socket_.async_read_some(asio::buffer(input.data() + used, input.size() - used),
                                                               asio::redirect_error(asio::use_awaitable, error));
      if (error || server->closed) break;
      used += got;
      last_read_ = steady_clock::now();
      handling_ = true;
      const bool good = handle_frames(*server, input, used);
      handling_ = false;
      flush();
      if (!good) break;
      if (got > input.size() / 2 && input.size() < kReadBytes) grow(input, used, kReadBytes);
    }
    OPENSSL_cleanse(input.data(), input.size());  // tokens stood in it
    leave_after_output();
  }

  // Ends what is under way and closes nothing yet. Asio's io_uring backend (Boost 1.81) hands the bookkeeping of a
  // closed socket to the next one while an operation of the first is still in the ring, and the two then take each
  // other's results: questions are swallowed, and no more connections accepted. So leave() closes, when none is left.
  void abort() {
    if (std::exchange(aborted_, true)) return;
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
  }

  // Closes once what waits is written. Until then the connection counts, and a peer that does not read is overdue.
  void leave_after_output() {
    leaving_ = true;
    mid_frame_ = true;
    frame_began_ = steady_clock::now();
    if (!writing_) leave();
  }

  [[nodiscard]] bool overdue(steady_clock::time_point now) const {
    if (writing_ && now - last_written_ > kWriteTimeout) return true;
    return mid_frame_ ? now - frame_began_ > kFrameTimeout : now - last_read_ > kIdleTimeout;
  }

  [[nodiscard]] steady_clock::time_point last_read() const { return last_read_; }
  // Not one whose answer is being written: that one ends by itself.
  [[nodiscard]] bool may_give_way() const { return !writing_ && !leaving_ && !aborted_; }
  void give_way() { abort(); }

 private:
  // Handles every whole frame in input[0, used) and moves the rest to the front. False ends the connection.
  bool handle_frames(FrameServer::Impl& server, std::string& input, std::size_t& used) {
    std::size_t at = 0;
    while (used - at >= wire::kHeadBytes && !aborted_) {
      char bytes[wire::kHeadBytes];
      std::memcpy(bytes, input.data() + at, sizeof bytes);
      const wire::Head head = wire::decode_head(bytes);
      if (head.version != wire::kVersion || head.size > server.options.payload_max) {
        refuse(head, head.version != wire::kVersion ? "unknown frame version: install matching daemon and library"
                                                    : "the frame is larger than this socket takes");
        return false;
      }
      const std::size_t frame_bytes = wire::kHeadBytes + head.size;
      if (used - at < frame_bytes) {
        if (input.size() < frame_bytes) grow(input, used, std::max(frame_bytes, kReadBytes));
        break;
      }
      if (!handle(server, head, std::string_view(input.data() + at + wire::kHeadBytes, head.size))) return false;
      at += frame_bytes;
      if (ending_) return false;
    }
    std::memmove(input.data(), input.data() + at, used - at);
    OPENSSL_cleanse(input.data() + used - at, at);
    used -= at;
    // Counted from the frame's first byte: a byte now and then keeps nothing open.
    if (used > 0 && (!mid_frame_ || at > 0)) frame_began_ = last_read_;
    mid_frame_ = used > 0;
    return !aborted_;
  }

  // Whatever goes wrong with one frame (no memory is left, in the main) ends its own connection and nothing else.
  bool handle(FrameServer::Impl& server, const wire::Head& head, std::string_view payload) {
    try {
      server.handler(shared_from_this(), head, payload);
      return true;
    } catch (const std::exception&) {
      refuse(head, "the daemon could not handle this request; ask again, and look at its memory if this stays so");
      return false;
    }
  }

  // By hand, so that the smaller buffer's bytes do not stay in freed memory.
  static void grow(std::string& input, std::size_t used, std::size_t bytes) {
    std::string larger(bytes, '\0');
    std::memcpy(larger.data(), input.data(), used);
    OPENSSL_cleanse(input.data(), input.size());
    input.swap(larger);
  }

  // Nothing is read or written any more.
  void leave() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    const auto server = server_.lock();
    if (!server || server->open.erase(shared_from_this()) == 0) return;
    server->output -= std::exchange(output_, 0);
    const auto count = server->of_uid.find(peer_.uid);
    if (--count->second == 0) server->of_uid.erase(count);
  }

  void forget_output(std::size_t written) {
    output_ -= written;
    if (const auto server = server_.lock()) server->output -= written;
  }

  void refuse(const wire::Head& head, std::string_view sentence) {
    std::string frame;
    wire::append_frame(frame, wire::Type::kError, head.request_id, sentence);
    send(frame);
  }

  void flush() {
    if (writing_ || waiting_.empty() || aborted_) return;
    writing_ = true;
    last_written_ = steady_clock::now();
    out_.clear();
    out_.swap(waiting_);
    write_from(0);
  }

  // A piece at a time: each shows that the peer still reads.
  void write_from(std::size_t at) {
    socket_.async_write_some(asio::buffer(out_.data() + at, out_.size() - at),
                             [self = shared_from_this(), at](const boost::system::error_code& error, std::size_t wrote) {
                               self->wrote_to(error, at + wrote);
                             });
  }

  void wrote_to(const boost::system::error_code& error, std::size_t at) {
    if (!error && at < out_.size()) {
      last_written_ = steady_clock::now();
      return write_from(at);
    }
    writing_ = false;
    forget_output(out_.size());
    if (error) {
      abort();
    } else {
      flush();
    }
    if (leaving_ && !writing_) leave();
  }

  Socket socket_;
  Peer peer_;
  std::string waiting_;  // to be written after out_
  std::string out_;      // being written: must not move
  std::size_t output_ = 0;  // bytes of both, as the server counts them
  bool writing_ = false;
  bool handling_ = false;  // frames of one read are being handled: answers gather
  bool mid_frame_ = false;
  bool ending_ = false;  // asked for by a handler
  bool aborted_ = false;  // shut down: what is under way ends at once
  bool leaving_ = false;  // nothing more is read; gone once the output is
  std::weak_ptr<FrameServer::Impl> server_;
  steady_clock::time_point last_read_ = steady_clock::now();
  steady_clock::time_point last_written_{};  // of the write under way: when the peer last took something
  steady_clock::time_point frame_began_{};  // of the frame that is not whole yet
};

namespace {

bool take_charge_of(Socket& socket, Peer& peer) {
  // Asio accepts without the flag.
  if (::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC) != 0) return false;
  const auto found = peer_of(socket.native_handle());
  if (found) peer = *found;
  return found.has_value();
}

// With no room left, the user who holds the most connections gives one up for a user who would still hold fewer: the
// one that has been silent longest. False if nobody holds more than his share.
bool make_room_for(const FrameServer::Impl& server, uid_t uid) {
  const auto own = server.of_uid.find(uid);
  const std::size_t share = (own == server.of_uid.end() ? 0 : own->second) + 1;
  const auto greedy = std::ranges::max_element(server.of_uid, {}, [](const auto& entry) { return entry.second; });
  if (greedy == server.of_uid.end() || greedy->second <= share) return false;
  std::shared_ptr<FrameConnection> idlest;
  for (const auto& connection : server.open) {
    if (connection->peer().uid != greedy->first || !connection->may_give_way()) continue;
    if (!idlest || connection->last_read() < idlest->last_read()) idlest = connection;
  }
  if (!idlest) return false;
  idlest->give_way();
  return true;
}

// Over the bound, or not to be told apart, or no memory for it: the socket closes as it leaves this scope.
void welcome(const std::shared_ptr<FrameServer::Impl>& server, Socket socket) {
  try {
    Peer peer;
    if (!take_charge_of(socket, peer)) return;
    if (server->open.size() >= server->options.connections_max && !make_room_for(*server, peer.uid)) return;
    auto connection = std::make_shared<FrameConnection>(std::move(socket), peer, server);
    std::size_t& of_peer = server->of_uid[peer.uid];
    server->open.insert(connection);
    ++of_peer;
    asio::co_spawn(server->acceptor.get_executor(), connection->serve(server),
                   [connection](const std::exception_ptr& thrown) {
                     if (thrown) connection->leave_after_output();
                   });
  } catch (const std::exception&) {
    return;
  }
}

asio::awaitable<void> accept_loop(std::shared_ptr<FrameServer::Impl> server);
asio::awaitable<void> sweep_loop(std::shared_ptr<FrameServer::Impl> server);

}  // namespace

FrameServer::FrameServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

FrameServer::~FrameServer() {
  impl_->closed = true;
  // Cancelled, not closed: whatever waits ends and closes what it holds. Asio 1.26 forgets an operation that is under way
  // on a closed object, and ends it only after the services that it needs, if the loop goes before it comes round.
  boost::system::error_code ignored;
  impl_->acceptor.cancel(ignored);
  impl_->sweep.cancel();
  for (const auto& connection : impl_->open) connection->abort();
  impl_->open.clear();
  ::unlink(impl_->options.path.c_str());
}

std::size_t FrameServer::connections() const { return impl_->open.size(); }

authcache::shm::Result<std::unique_ptr<FrameServer>> FrameServer::listen(Loop& loop, FrameServerOptions options, Handler handler) {
  authcache::shm::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return authcache::shm::system_error("cannot create a unix socket", errno);
  if (auto bound = listen_on_path(fd.get(), options.path, options.group); !bound) return std::unexpected(bound.error());
  auto impl = std::make_shared<Impl>(loop, std::move(options), std::move(handler));
  impl->acceptor.assign(asio::local::stream_protocol(), fd.release());
  asio::co_spawn(loop.context(), accept_loop(impl), asio::detached);
  asio::co_spawn(loop.context(), sweep_loop(impl), asio::detached);
  return std::unique_ptr<FrameServer>(new FrameServer(std::move(impl)));
}

namespace {

asio::awaitable<void> accept_loop(std::shared_ptr<FrameServer::Impl> server) {
  asio::steady_timer backoff(server->acceptor.get_executor());
  while (!server->closed) {
    boost::system::error_code error;
    Socket socket = co_await server->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (server->closed || error == asio::error::operation_aborted) co_return;
    if (error) {
      backoff.expires_after(kAcceptBackoff);
      co_await backoff.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    welcome(server, std::move(socket));
  }
}

asio::awaitable<void> sweep_loop(std::shared_ptr<FrameServer::Impl> server) {
  while (!server->closed) {
    boost::system::error_code error;
    server->sweep.expires_after(kFrameTimeout / 5);
    co_await server->sweep.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto now = steady_clock::now();
    for (const auto& connection : server->open) {
      if (connection->overdue(now)) connection->abort();  // it erases itself when its operations have ended
    }
  }
}

}  // namespace

}  // namespace authcached
