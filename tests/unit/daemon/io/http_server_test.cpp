// The server's sockets with a handler that answers at once, later, with much, or not at all: what peers do to
// their connections must cost the daemon nothing but those.
#include "daemon/io/http_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <stdexcept>
#include <thread>

#include "shm/unique_fd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace authcached {
namespace {

using authcache::shm::UniqueFd;
using std::chrono::milliseconds;

constexpr std::size_t kMuch = 40'000;

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

struct HttpServerTest : ::testing::Test {
  void SetUp() override { start({}); }
  void TearDown() override { stop(); }

  void start(HttpServerOptions options) {
    stop();
    options.path = over_port ? std::filesystem::path() : directory / "sock";
    loop = Loop::create().value();
    server = HttpServer::listen(*loop, options, [this](const auto& exchange, const auto& request) {
               handle(exchange, request);
             }).value();
    port = server->port();
    thread = std::thread([this] { loop->run(); });
  }
  void stop() {
    if (!thread.joinable()) return;
    loop->post([this] {
      server.reset();
      answer_kept();  // after the server's end: to nobody
      loop->stop();
    });
    thread.join();
    EXPECT_FALSE(std::filesystem::exists(directory / "sock"));
    loop.reset();
  }

  void handle(const std::shared_ptr<HttpExchange>& exchange, const InboundRequest& request) {
    ++handled;
    HttpAnswer answer;
    answer.body = std::string(request.target);
    if (request.target == "/throw") throw std::runtime_error("no memory");
    if (request.target == "/kept") {
      kept.push_back(exchange);
      if (answered_twice) std::exchange(answered_twice, {})->answer(answer);
      return;
    }
    if (request.target == "/much") answer.body.assign(kMuch, 'm');
    if (request.target == "/later") {
      return loop->after(milliseconds(1 + handled % 5), [exchange, answer] { exchange->answer(answer); });
    }
    if (request.target == "/twice") {  // at once, and again while the next request waits
      kept.push_back(exchange);
      answered_twice = exchange;
    }
    exchange->answer(answer);
    exchange->answer(answer);  // the second is nobody's
  }
  void answer_kept() {
    HttpAnswer answer;
    answer.body = "kept";
    for (const auto& exchange : std::exchange(kept, {})) exchange->answer(answer);
  }

  template <class Fn>
  auto on_loop(Fn fn) {
    std::atomic<bool> done = false;
    decltype(fn()) result{};
    loop->post([&] {
      result = fn();
      done = true;
    });
    while (!done) std::this_thread::yield();
    return result;
  }
  bool connections_become(std::size_t wanted) {
    for (int i = 0; i < 2'000; ++i) {
      const std::size_t now = on_loop([this] {
        answer_kept();  // also what was accepted only now
        return server->connections();
      });
      if (now == wanted) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  UniqueFd connect() {
    UniqueFd fd(::socket(over_port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(local.sun_path, (directory / "sock").c_str());
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_port = htons(port);
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* address =
        over_port ? reinterpret_cast<sockaddr*>(&inet) : reinterpret_cast<sockaddr*>(&local);
    EXPECT_EQ(::connect(fd.get(), address, over_port ? sizeof inet : sizeof local), 0)
        << std::strerror(errno);
    const timeval patience{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }
  static bool write(const UniqueFd& fd, std::string_view bytes) {
    return ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // Everything until the server closes, or until so many bytes.
  static std::string read(const UniqueFd& fd, std::size_t bytes = SIZE_MAX) {
    std::string all;
    char buffer[8'192];
    while (all.size() < bytes) {
      const ssize_t got = ::recv(fd.get(), buffer, std::min(sizeof buffer, bytes - all.size()), 0);
      if (got < 0 && errno == EINTR) continue;  // the ring interrupts who submitted to it
      if (got <= 0) break;
      all.append(buffer, static_cast<std::size_t>(got));
    }
    return all;
  }
  std::string ask(const std::string& target) {
    const UniqueFd fd = connect();
    EXPECT_TRUE(write(fd, get(target)));
    ::shutdown(fd.get(), SHUT_WR);
    return read(fd);
  }

  bool over_port = false;
  testing::TemporaryDirectory directory;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<HttpServer> server;
  std::deque<std::shared_ptr<HttpExchange>> kept;  // loop thread
  std::shared_ptr<HttpExchange> answered_twice;    // loop thread
  std::atomic<int> handled = 0;
  std::uint16_t port = 0;
  std::thread thread;
};

TEST_F(HttpServerTest, AnswersComeInTheOrderOfTheRequestsWhoeverIsReadyFirst) {
  const UniqueFd fd = connect();
  std::string all;
  for (int i = 0; i < 50; ++i) all += get("/a") + get("/later") + get("/b") + get("/much");
  std::thread writer([&] { EXPECT_TRUE(write(fd, all)); });
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    for (const std::string& body :
         {std::string("/a"), std::string("/later"), std::string("/b"), std::string(kMuch, 'm')}) {
      expected +=
          "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\n\r\n" + body;
    }
  }
  EXPECT_TRUE(read(fd, expected.size()) == expected);
  writer.join();
}

TEST_F(HttpServerTest, AHandlerThatThrowsCostsItsPeerTheConnectionAndNobodyElse) {
  const UniqueFd other = connect();
  const std::string failed = ask("/throw");
  EXPECT_TRUE(failed.starts_with("HTTP/1.1 503 ")) << failed;
  EXPECT_NE(failed.find("Connection: close"), std::string::npos);
  ASSERT_TRUE(write(other, get("/a")));
  EXPECT_EQ(read(other, 15), "HTTP/1.1 200 OK");
}

TEST_F(HttpServerTest, ASecondAnswerIsNeverThatOfTheNextRequest) {
  const UniqueFd fd = connect();
  ASSERT_TRUE(write(fd, get("/twice") + get("/kept")));
  while (handled < 2) std::this_thread::yield();
  on_loop([this] {
    answer_kept();
    return true;
  });
  ::shutdown(fd.get(), SHUT_WR);
  const std::string all = read(fd);
  EXPECT_NE(all.find("\r\n\r\n/twice"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\nkept")) << all;
}

TEST_F(HttpServerTest, B19_TheSocketIsNotForOthersAndItsPeerIsWhoTheKernelSays) {
  struct stat inode;
  ASSERT_EQ(::stat((directory / "sock").c_str(), &inode), 0);
  EXPECT_EQ(inode.st_mode & 0777, 0660u);
  const UniqueFd fd = connect();
  ASSERT_TRUE(write(fd, get("/kept")));
  while (handled == 0) std::this_thread::yield();
  const HttpPeer peer = on_loop([this] { return kept.front()->peer(); });
  ASSERT_TRUE(peer.local.has_value());
  EXPECT_EQ(peer.local->pid, ::getpid());
  EXPECT_EQ(peer.local->uid, ::geteuid());
  EXPECT_EQ(peer.is_admin, ::geteuid() == 0) << "no admin group is configured";
}

TEST_F(HttpServerTest, B14_APeerThatLeavesBeforeItsAnswerLeavesNothingBehind) {
  for (int i = 0; i < 20; ++i) {
    const UniqueFd fd = connect();
    ASSERT_TRUE(write(fd, get("/kept")));
  }
  while (handled < 20) std::this_thread::yield();
  EXPECT_TRUE(connections_become(0));
}

TEST_F(HttpServerTest, B14_TheServerMayEndBeforeItsAnswers) {
  const UniqueFd fd = connect();
  ASSERT_TRUE(write(fd, get("/kept") + get("/a")));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(write(fd, get("/later")));
  while (handled == 0) std::this_thread::yield();
  stop();
  EXPECT_EQ(read(fd), "");
}

// One connection's random life. False: the peer is to be left as it is, without a word.
void live(HttpServerTest& test, std::mt19937& random) {
  const UniqueFd fd = test.connect();
  const auto chance = [&](unsigned of) { return random() % of == 0; };
  constexpr const char* kTargets[] = {"/a", "/later", "/later", "/much", "/kept", "/throw"};
  std::string bytes;
  for (auto i = random() % 6; i > 0; --i) bytes += get(kTargets[random() % std::size(kTargets)]);
  if (chance(4)) bytes += "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1234";
  if (chance(6)) bytes += "nonsense\r\n\r\n";
  if (chance(3)) bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), random() % 40));
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t piece = chance(3) ? 1 + random() % 30 : bytes.size() - at;
    if (!test.write(fd, std::string_view(bytes).substr(at, piece))) return;
    at += piece;
  }
  if (chance(3)) ::shutdown(fd.get(), chance(2) ? SHUT_WR : SHUT_RD);
  if (chance(3)) {
    char some[2'000];
    (void)::recv(fd.get(), some, 1 + random() % sizeof some, MSG_DONTWAIT);
  }
  if (chance(3)) {  // a reset instead of an end
    const linger at_once{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
}

void live_many(HttpServerTest& test) {
  const char* given = std::getenv("AUTHCACHE_SEED");
  const auto seed =
      given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  constexpr int kLives = 1'500;
  std::printf("seed %u, %d connections\n", seed, kLives);
  std::mt19937 random(seed);
  HttpServerOptions options;
  options.connections_max = 32;
  options.request_timeout = milliseconds(200);
  test.start(options);
  for (int i = 0; i < kLives; ++i) {
    live(test, random);
    if (random() % 50 == 0) {
      test.on_loop([&] {
        test.answer_kept();
        return true;
      });
    }
  }
  EXPECT_TRUE(test.connections_become(0)) << "seed " << seed;
  EXPECT_TRUE(test.ask("/a").ends_with("\r\n\r\n/a")) << "seed " << seed;
}

TEST_F(HttpServerTest, B14_RandomDisconnectsOfAUnixSocketCostNothingThatStays) { live_many(*this); }

TEST_F(HttpServerTest, B14_RandomDisconnectsAndResetsOfAPortCostNothingThatStays) {
  over_port = true;
  live_many(*this);
}

}  // namespace
}  // namespace authcached
