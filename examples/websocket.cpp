// A WebSocket server whose connections end when their token does. The token of the handshake is validated
// once; each message checks a pin, which costs nanoseconds; and a watch closes the connections that are
// silent.
//
//   c++ -std=c++20 websocket.cpp $(pkg-config --cflags --libs authcache) -o websocket     (needs Boost 1.81)
//   ./websocket PORT PROFILE          answers each text by the subject and that text, on 127.0.0.1
//
// One thread serves everything. authcache_validate waits for the daemon where shared memory has no answer: a
// server with much to do calls it from a thread of its own. No TLS, so this is for behind something that has
// it.
#include <pwd.h>

#include <authcache/authcache.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::use_awaitable;
using asio::ip::tcp;
using authcache::Verdict;

namespace {

constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kMessageMax = 64 * 1024;

// One connection: whom it belongs to, for as long as the pin holds and the watch is silent.
struct Session {
  explicit Session(tcp::socket socket) : stream(std::move(socket)) { stream.read_message_max(kMessageMax); }

  websocket::stream<beast::tcp_stream> stream;
  std::string token;  // to validate it again; in this process's memory only
  std::string subject;
  authcache::Pin pin;
  std::optional<std::uint64_t> watch;
};

class Server {
 public:
  Server(authcache::Client client, const char* profile)
      : client_(std::move(client)), requirement_(client_.requirement(profile)) {}

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    for (;;)
      asio::co_spawn(acceptor.get_executor(), serve(co_await acceptor.async_accept(use_awaitable)),
                     asio::detached);
  }

  // Readable means: some watch has ended, or the library has something else to do.
  asio::awaitable<void> follow_watches() {
    asio::posix::stream_descriptor watches(co_await asio::this_coro::executor, client_.watch_fd());
    struct Release {  // the descriptor is the library's
      asio::posix::stream_descriptor& of;
      ~Release() { of.release(); }
    } const release{watches};
    for (;;) {
      co_await watches.async_wait(asio::posix::stream_descriptor::wait_read, use_awaitable);
      while (const auto event = client_.next_event()) {
        const auto found = sessions_.find(event->data);
        if (found == sessions_.end()) continue;
        const std::shared_ptr<Session> session = found->second;
        session->watch.reset();
        // Revoked is final. Whatever else ended the record, the token may be good still.
        const Verdict verdict =
            event->verdict == Verdict::kInvalid ? Verdict::kInvalid : admit(event->data, *session);
        if (verdict != Verdict::kValid)
          asio::co_spawn(watches.get_executor(), close(session, verdict), asio::detached);
      }
    }
  }

 private:
  // Validates, pins and watches. Nothing of it is left if the answer is not kValid.
  Verdict admit(std::uint64_t number, Session& session) {
    authcache::Identity identity;
    Verdict verdict = client_.validate(session.token, requirement_, kPatience, &identity);
    if (verdict != Verdict::kValid) return verdict;
    const auto pin = client_.pin(identity, requirement_, &verdict);
    if (!pin) return verdict;
    const auto subject = client_.text(identity, AUTHCACHE_FIELD_SUBJECT);
    if (!subject) return Verdict::kMiss;
    if (session.watch) client_.unwatch(*session.watch);
    session.watch = client_.watch(identity, number);
    if (!session.watch) return Verdict::kUnavailable;
    session.pin = *pin;
    session.subject = *subject;
    return Verdict::kValid;
  }

  static asio::awaitable<void> close(std::shared_ptr<Session> session, Verdict verdict) {
    const bool bad = verdict == Verdict::kInvalid || verdict == Verdict::kForbidden;
    const websocket::close_reason reason(bad ? websocket::close_code::policy_error
                                             : websocket::close_code::try_again_later);
    beast::error_code ignored;  // it may be gone already
    co_await session->stream.async_close(reason, asio::redirect_error(use_awaitable, ignored));
  }

  // What a request without a good token gets in place of the handshake (RFC 6750 section 3).
  static asio::awaitable<void> refuse(Session& session, const http::request<http::empty_body>& request,
                                      Verdict verdict) {
    const bool bad = verdict == Verdict::kInvalid, lacking = verdict == Verdict::kForbidden;
    http::response<http::empty_body> response(bad       ? http::status::unauthorized
                                              : lacking ? http::status::forbidden
                                                        : http::status::service_unavailable,
                                              request.version());
    if (bad) response.set(http::field::www_authenticate, "Bearer");
    response.prepare_payload();
    co_await http::async_write(session.stream.next_layer(), response, use_awaitable);
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    const auto session = std::make_shared<Session>(std::move(socket));
    const std::uint64_t number = ++last_number_;
    try {
      beast::flat_buffer buffer;
      http::request<http::empty_body> request;
      session->stream.next_layer().expires_after(kPatience);
      co_await http::async_read(session->stream.next_layer(), buffer, request, use_awaitable);
      session->stream.next_layer().expires_never();
      const auto header = request[http::field::authorization];
      const auto bearer = authcache::bearer({header.data(), header.size()});
      session->token = bearer.token;
      const Verdict verdict = bearer.result == AUTHCACHE_OK ? admit(number, *session) : Verdict::kInvalid;
      if (verdict != Verdict::kValid) {
        co_await refuse(*session, request, verdict);
      } else {
        sessions_[number] = session;
        session->stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
        co_await session->stream.async_accept(request, use_awaitable);
        co_await converse(number, session);
      }
    } catch (const std::exception&) {  // the peer is gone, or spoke something else
    }
    if (session->watch) client_.unwatch(*session->watch);
    sessions_.erase(number);
  }

  asio::awaitable<void> converse(std::uint64_t number, const std::shared_ptr<Session>& session) {
    for (beast::flat_buffer message;; message.clear()) {
      co_await session->stream.async_read(message, use_awaitable);
      Verdict verdict = session->pin.check();
      if (verdict == Verdict::kMiss)
        verdict = admit(number, *session);  // refreshed, moved, evicted: not dead
      if (verdict != Verdict::kValid) co_return co_await close(session, verdict);
      const std::string answer = session->subject + ": " + beast::buffers_to_string(message.data());
      session->stream.text(true);
      co_await session->stream.async_write(asio::buffer(answer), use_awaitable);
    }
  }

  authcache::Client client_;
  const authcache::Requirement requirement_;
  std::map<std::uint64_t, std::shared_ptr<Session>> sessions_;  // by what is given to their watches
  std::uint64_t last_number_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: websocket PORT PROFILE\n";
    return 2;
  }
  // Whose table to trust: the user that the installed unit runs the daemon as, where there is one.
  authcache::Options options;
  if (const passwd* daemon = ::getpwnam("authcache")) options.daemon_uid = daemon->pw_uid;
  std::string error;
  auto client = authcache::Client::open(options, &error);
  if (!client) {
    std::cerr << "websocket: " << error << '\n';
    return 3;
  }
  asio::io_context loop;
  Server server(std::move(*client), argv[2]);
  tcp::acceptor acceptor(
      loop, {asio::ip::make_address("127.0.0.1"), static_cast<asio::ip::port_type>(std::stoi(argv[1]))});
  std::cout << "listening on " << acceptor.local_endpoint().port() << std::endl;
  asio::co_spawn(loop, server.accept(acceptor),
                 [](const std::exception_ptr& failed) { std::rethrow_exception(failed); });
  asio::co_spawn(loop, server.follow_watches(),
                 [](const std::exception_ptr& failed) { std::rethrow_exception(failed); });
  loop.run();
} catch (const std::exception& failed) {
  std::cerr << "websocket: " << failed.what() << '\n';
  return 1;
}
