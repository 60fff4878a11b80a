// The same server as epoll.c over Boost.Asio, where a question is one co_await: Authority turns the library's
// descriptor into an asynchronous operation. Each line that a connection sends is a token; the answer to it
// is a line.
//
//   c++ -std=c++20 asio.cpp $(pkg-config --cflags --libs authcache) -o asio     (needs Boost 1.81)
//   ./asio PORT PROFILE               on 127.0.0.1; says on which port, 0 lets the system choose
//
// One thread serves everything, and never waits for authcached. No TLS, so this is for behind something that
// has it.
#include <pwd.h>

#include <array>
#include <authcache/authcache.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <iostream>
#include <optional>
#include <string>

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;
using authcache::Verdict;

namespace {

constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kLineMax = 17 * 1024;  // the longest token is 16 KiB
constexpr std::size_t kAnswers = 64;         // in one round; what is left makes the descriptor readable again

// Asks for tokens without blocking the loop that it lives on.
class Authority {
 public:
  // The client must outlive the loop, whose end may destroy callers that wait.
  Authority(asio::io_context& loop, authcache::Client& client)
      : client_(client), readable_(loop, client.fd()) {}
  ~Authority() { readable_.release(); }  // the descriptor is the library's
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // A caller that is destroyed while it waits, or is cancelled, takes its question with it.
  template <class R>
  asio::awaitable<Verdict> validate(std::string_view token, const R& requirement,
                                    authcache::Identity& identity) {
    Waiter waiter(client_, co_await asio::this_coro::executor);
    const auto submitted =
        client_.submit(token, requirement, kPatience,
                       static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&waiter)), &identity);
    if (!submitted.pending()) co_return submitted.verdict;
    waiter.question = submitted.question;
    boost::system::error_code woken;
    co_await waiter.bell.async_wait(asio::redirect_error(use_awaitable, woken));
    if (!waiter.answer) co_return Verdict::kUnavailable;
    identity = waiter.answer->identity();
    co_return waiter.answer->verdict();
  }

  // For as long as anybody asks.
  asio::awaitable<void> follow_answers() {
    for (;;) {
      co_await readable_.async_wait(asio::posix::stream_descriptor::wait_read, use_awaitable);
      std::array<authcache::Collected, kAnswers> answers;
      const int count = client_.collect(answers.data(), answers.size());
      for (int i = 0; i < count; ++i) {
        const authcache::Collected& each = answers[static_cast<std::size_t>(i)];
        Waiter& waiter = *reinterpret_cast<Waiter*>(static_cast<std::uintptr_t>(each.data()));
        waiter.answer = each;
        waiter.bell.cancel();  // wakes the coroutine later, not in here: no waiter goes while this loop runs
      }
    }
  }

  authcache::Client& client() { return client_; }

 private:
  struct Waiter {
    Waiter(authcache::Client& asked, const asio::any_io_executor& executor)
        : client(asked), bell(executor, asio::steady_timer::time_point::max()) {}
    ~Waiter() {
      if (question != 0 && !answer) client.cancel(question);
    }
    authcache::Client& client;
    asio::steady_timer bell;  // never due: rung by cancelling it
    std::uint64_t question = 0;
    std::optional<authcache::Collected> answer;
  };

  authcache::Client& client_;
  asio::posix::stream_descriptor readable_;
};

class Server {
 public:
  Server(Authority& authority, const char* profile)
      : authority_(authority), requirement_(authority.client().requirement(profile)) {}

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    for (;;)
      asio::co_spawn(acceptor.get_executor(), serve(co_await acceptor.async_accept(use_awaitable)),
                     asio::detached);
  }

 private:
  asio::awaitable<void> serve(tcp::socket socket) {
    try {
      for (std::string input;;) {
        const std::size_t length = co_await asio::async_read_until(
            socket, asio::dynamic_buffer(input, kLineMax), '\n', use_awaitable);
        authcache::Identity identity;
        const Verdict verdict = co_await authority_.validate(std::string_view(input).substr(0, length - 1),
                                                             requirement_, identity);
        input.erase(0, length);
        co_await asio::async_write(socket, asio::buffer(line_for(verdict, identity)), use_awaitable);
      }
    } catch (const std::exception&) {  // the peer is gone, or sent what is no token
    }
  }

  std::string line_for(Verdict verdict, const authcache::Identity& identity) {
    if (verdict == Verdict::kValid) {
      if (const auto subject = authority_.client().text(identity, AUTHCACHE_FIELD_SUBJECT))
        return "valid " + *subject + "\n";
      verdict = Verdict::kUnavailable;  // gone since: evicted, or revoked just now
    }
    if (static_cast<int>(verdict) < 0) return "error " + authority_.client().last_error() + "\n";
    return std::string(authcache::verdict_name(verdict)) + " " + identity.reason_name() + "\n";
  }

  Authority& authority_;
  const authcache::Requirement requirement_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: asio PORT PROFILE\n";
    return 2;
  }
  // Whose table to trust: the user that the installed unit runs the daemon as, where there is one.
  authcache::Options options;
  if (const passwd* daemon = ::getpwnam("authcache")) options.daemon_uid = daemon->pw_uid;
  std::string error;
  auto client = authcache::Client::open(options, &error);
  if (!client) {
    std::cerr << "asio: " << error << '\n';
    return 3;
  }
  asio::io_context loop;
  Authority authority(loop, *client);
  Server server(authority, argv[2]);
  tcp::acceptor acceptor(
      loop, {asio::ip::make_address("127.0.0.1"), static_cast<asio::ip::port_type>(std::stoi(argv[1]))});
  std::cout << "listening on " << acceptor.local_endpoint().port() << std::endl;
  asio::co_spawn(loop, server.accept(acceptor),
                 [](const std::exception_ptr& failed) { std::rethrow_exception(failed); });
  asio::co_spawn(loop, authority.follow_answers(),
                 [](const std::exception_ptr& failed) { std::rethrow_exception(failed); });
  loop.run();
} catch (const std::exception& failed) {
  std::cerr << "asio: " << failed.what() << '\n';
  return 1;
}
