// Connections: addresses tried in turn, silence found out, bounds of the queue, and nothing left behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "daemon/io/http/pooled_client.hpp"
#include "tests/support/fault_server.hpp"
#include "tests/support/http2_frames.hpp"
#include "tests/support/http_asker.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace h2 = authcached::testing::http2;
using authcached::ConnectionOwner;
using authcached::Exchange;
using authcached::Failure;
using authcached::FailureKind;
using authcached::HostAddress;
using authcached::HttpConnection;
using authcached::NameResolver;
using authcached::testing::FaultServer;
using authcached::testing::FaultServerOptions;
using authcached::testing::HttpAsker;
using authcached::testing::ServerSide;
using authcached::testing::TestCa;
using namespace std::chrono_literals;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

void serve(ServerSide& side) {
  while (!side.read_until("\r\n\r\n").empty()) side.write(kOk);
}

std::size_t descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                                std::filesystem::directory_iterator()));
}

class HttpConnectionsTest : public ::testing::Test {
 protected:
  [[nodiscard]] authcached::HttpClientOptions options() const {
    authcached::HttpClientOptions options;
    options.ca_file = ca_.file();
    options.allow_loopback_http = true;
    return options;
  }
  // Asks a client for which idp.example has these addresses.
  HttpAsker::Response ask_at(std::vector<HostAddress> addresses, std::uint16_t port,
                             std::chrono::milliseconds patience = 8s) {
    HttpAsker asker(options());  // lends its loop
    authcached::Worker names("names");
    std::shared_ptr<authcached::PooledClient> client;
    std::promise<HttpAsker::Response> answer;
    asker.on_loop([&] {
      client = std::make_shared<authcached::PooledClient>(
          asker.loop(), names, authcached::system_clock(), options(),
          authcached::TlsContext::create(ca_.file(), true).value(),
          [addresses](const std::string&) { return addresses; });
      client->send(HttpAsker::get("https://idp.example:" + std::to_string(port) + "/", patience),
                   [&](HttpAsker::Response response) { answer.set_value(std::move(response)); });
    });
    auto response = answer.get_future().get();
    asker.on_loop([&] {
      client->drop();
      client.reset();
    });
    return response;
  }
  [[nodiscard]] FaultServerOptions tls(const char* address = "127.0.0.1", std::uint16_t port = 0) const {
    return {.leaf = ca_.leaf("idp", "DNS:idp.example,IP:127.0.0.1"), .address = address, .port = port};
  }

  authcached::testing::TemporaryDirectory directory_;
  TestCa ca_{directory_.path()};
};

TEST_F(HttpConnectionsTest, TheNextAddressIsTriedWhereOneRefuses) {
  const FaultServer server(tls(), serve);
  const auto response = ask_at(
      {{.bytes = {127, 0, 0, 9}}, {.bytes = {127, 0, 0, 8}}, {.bytes = {127, 0, 0, 1}}}, server.port());
  EXPECT_TRUE(response) << response.error().message;
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpConnectionsTest, TheNextAddressIsTriedWhereOneIsSilentOrNoTlsServer) {
  const FaultServer server(tls(), serve);
  FaultServerOptions quiet;
  quiet.address = "127.0.0.2";
  quiet.port = server.port();
  quiet.accept = false;
  const FaultServer silent(quiet, [](ServerSide&) {});
  const FaultServer other({.address = "127.0.0.3", .port = server.port()},
                          [](ServerSide& side) { side.write("SSH-2.0-OpenSSH\r\n"); });
  const auto response = ask_at(
      {{.bytes = {127, 0, 0, 3}}, {.bytes = {127, 0, 0, 2}}, {.bytes = {127, 0, 0, 1}}}, server.port());
  EXPECT_TRUE(response) << response.error().message;
}

TEST_F(HttpConnectionsTest, AWrongCertificateIsNotCuredByAnotherAddress) {
  const FaultServer server(tls(), serve);
  FaultServerOptions wrong{
      .leaf = ca_.leaf("wrong", "DNS:other.example"), .address = "127.0.0.2", .port = server.port()};
  const FaultServer impostor(wrong, serve);
  const auto response = ask_at({{.bytes = {127, 0, 0, 2}}, {.bytes = {127, 0, 0, 1}}}, server.port());
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("certificate"), std::string::npos) << response.error().message;
  EXPECT_EQ(server.connections(), 0);
}

// What a connection tells, in the order in which it does.
struct Told final : ConnectionOwner {
  void connection_ready(HttpConnection& connection) override {
    if (exchange && connection.served() == 0) connection.submit(exchange);
  }
  void connection_failed(HttpConnection&, const Failure& failure) override { failed.set_value(failure); }
  void exchange_finished(std::shared_ptr<Exchange> one) override { finished.set_value(one->failure); }
  void connection_over(HttpConnection&, bool) override { over = true; }

  std::shared_ptr<Exchange> exchange;
  std::promise<std::optional<Failure>> finished;
  std::promise<Failure> failed;
  bool over = false;
};

TEST_F(HttpConnectionsTest, AServerThatFallsSilentIsAskedForASignOfLifeAndGivenUp) {
  for (const bool alive : {true, false}) {
    std::promise<void> asked, pinged;
    std::atomic<int> pings = 0;
    FaultServerOptions h2_server = tls();
    h2_server.protocol = "h2";
    const FaultServer server(h2_server, [&](ServerSide& side) {
      side.write(h2::frame(h2::kSettings, 0, 0));
      std::string unread;
      for (std::string more; !(more = side.read_some()).empty();) {
        unread += more;
        for (const auto& frame : h2::take_frames(unread)) {
          if (frame.type == h2::kHeaders) asked.set_value();
          if (frame.type != h2::kPing) continue;
          if (alive)
            side.write(h2::frame(h2::kPing, h2::kAck, 0, frame.payload) + h2::whole_answer(1, "at last"));
          if (pings++ == 0) pinged.set_value();
        }
      }
    });
    HttpAsker asker(options());
    Told told;
    told.exchange = std::make_shared<Exchange>();
    told.exchange->request = HttpAsker::get(server.url());
    told.exchange->url = authcached::parse_http_url(server.url(), false).value();
    std::unique_ptr<authcached::Timers> timers;
    std::unique_ptr<authcached::TlsContext> context =
        authcached::TlsContext::create(ca_.file(), true).value();
    std::shared_ptr<HttpConnection> connection;
    asker.on_loop([&] {
      timers = std::make_unique<authcached::Timers>(asker.loop());
      connection =
          std::make_shared<HttpConnection>(asker.loop(), *timers, *context, told.exchange->url, told);
      connection->start({{.bytes = {127, 0, 0, 1}}});
    });
    asked.get_future().wait();
    asker.on_loop([&] { connection->tick(authcached::exact_monotonic_ns()); });
    EXPECT_EQ(pings, 0) << "not yet silent for long";
    // Time passes faster here than what is still on its way, so a tick may meet the one or the other.
    auto finished = told.finished.get_future();
    std::uint64_t passed = 0;
    while (finished.wait_for(10ms) != std::future_status::ready) {
      passed += std::max(HttpConnection::kPingAfter_ns, HttpConnection::kPingPatience_ns);
      asker.on_loop([&] { connection->tick(authcached::exact_monotonic_ns() + passed); });
      if (passed == HttpConnection::kPingAfter_ns) pinged.get_future().wait();
    }
    const auto failure = finished.get();
    EXPECT_EQ(failure.has_value(), !alive);
    asker.on_loop([&] {
      EXPECT_EQ(told.over, !alive);
      connection->close();
      connection.reset();
      timers.reset();
    });
  }
}

TEST_F(HttpConnectionsTest, TheQueueHasABoundAndManyMayGiveUpAtOnce) {
  const FaultServer server({}, [](ServerSide& side) { side.stay(); });
  auto few = options();
  few.connections_max = 1;
  HttpAsker asker(few);
  constexpr int kAsked = static_cast<int>(authcached::OriginPool::kWaitingMax) + 1 + 10;
  std::atomic<int> busy = 0, late = 0;
  asker.on_loop([&] {
    for (int i = 0; i < kAsked; ++i) {
      asker.client()->send(HttpAsker::get(server.url(), 1s), [&](HttpAsker::Response response) {
        const bool refused = response.error().message.find("too many requests wait") != std::string::npos;
        ++(refused ? busy : late);
      });
    }
  });
  for (int i = 0; i < 1'000 && busy + late < kAsked; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_GE(busy, 10);
  EXPECT_EQ(busy + late, kAsked);
}

TEST_F(HttpConnectionsTest, B14_NoDescriptorIsLeftWhereverAClientIsDropped) {
  // Connected and silent, in the TLS handshake, half an answer, idle; and connections that do not come about,
  // because the queue of that listener is full.
  const FaultServer silent({}, [](ServerSide& side) { side.stay(); });
  FaultServerOptions quiet;
  quiet.accept = false;
  const FaultServer full(quiet, [](ServerSide&) {});
  const FaultServer good(tls(), serve);
  HttpAsker asker(options());
  const std::size_t before = descriptors();
  for (int round = 0; round < 20; ++round) {
    std::shared_ptr<authcached::HttpClient> client;
    authcached::Worker names("names");
    asker.on_loop([&] {
      client =
          authcached::make_http_client(asker.loop(), names, authcached::system_clock(), options()).value();
      for (int i = 0; i < 20; ++i) {
        for (const std::string& url : {silent.url(), "https://127.0.0.1:" + std::to_string(full.port()) + "/",
                                       full.url(), good.url()}) {
          client->send(HttpAsker::get(url), [](HttpAsker::Response) {});
        }
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 2));
    asker.on_loop([&] { client.reset(); });
  }
  for (int i = 0; i < 500 && descriptors() > before; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_LE(descriptors(), before);
}

TEST_F(HttpConnectionsTest, ADeadlineThatMeansNeverIsKept) {
  const FaultServer server({}, serve);
  HttpAsker asker(options());
  auto request = HttpAsker::get(server.url());
  request.deadline_ns = UINT64_MAX;
  EXPECT_TRUE(asker.ask(std::move(request)));
}

}  // namespace
