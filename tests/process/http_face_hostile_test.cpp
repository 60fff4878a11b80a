// The HTTP face against peers that break the protocol, use it up, or wait: each costs a bounded amount, is
// told by its own status or a closed connection, and leaves the others served.
#include <gtest/gtest.h>

#include "tests/process/support/http_scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kHost = "Host: localhost\r\n";

std::string post_with(const std::string& fields, const std::string& body) {
  return "POST /auth?profile=api HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n" + body;
}

// Refused with this status, and nothing behind it is taken for a request.
void expect_refused(const HttpScene& scene, const std::string& request, int status) {
  HttpPeer peer(scene.socket());
  const HttpReply reply = peer.ask(request);
  EXPECT_EQ(reply.status, status) << request.substr(0, 200);
  EXPECT_EQ(reply.field("Connection"), "close") << request.substr(0, 200);
  EXPECT_EQ(peer.receive().status, 0) << request.substr(0, 200);
  EXPECT_TRUE(peer.is_closed());
}

TEST(HttpHostile, ARequestWhoseEndCanBeReadInTwoWaysIsRefused) {
  HttpScene scene;
  const std::string smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  expect_refused(
      scene, post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), 400);
  expect_refused(
      scene, post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + smuggled), 400);
  expect_refused(scene, post_with("Content-Length: 0\r\nContent-Length: 44\r\n", smuggled), 400);
  expect_refused(scene, post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello" + smuggled), 400);
  expect_refused(scene, post_with("Content-Length: 5, 5\r\n", "hello" + smuggled), 400);
  expect_refused(scene, post_with("Content-Length: +5\r\n", "hello" + smuggled), 400);
  expect_refused(scene, post_with("Content-Length: -1\r\n", smuggled), 400);
  expect_refused(scene, post_with("Content-Length : 5\r\n", "hello" + smuggled), 400);
  expect_refused(scene, post_with("Content-Length: 99999999999999999999\r\n", smuggled), 400);
  expect_refused(scene, post_with("Transfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), 411);
  expect_refused(scene, post_with("Transfer-Encoding: xchunked\r\n", smuggled), 411);
  expect_refused(scene, post_with("X: a\r\n Content-Length: 44\r\n", smuggled), 400);
  expect_refused(scene, post_with("X: a\nContent-Length: 44\r\n", smuggled), 400);
  expect_refused(scene, post_with(std::string("X: a\0b\r\n", 8), smuggled), 400);
  expect_refused(scene, post_with("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello" + smuggled), 417);
  EXPECT_EQ(scene.http_stat("malformed_http"), 15);
  EXPECT_EQ(scene.http_stat("requests"), 0);
}

TEST(HttpHostile, WhatIsNoRequestIsRefused) {
  HttpScene scene;
  for (const std::string& request :
       {std::string("\r\n\r\n"), std::string("\x16\x03\x01\x02\0\x01\r\n\r\n", 10),
        std::string("GET /healthz\r\n\r\n"), std::string("GET  /healthz HTTP/1.1\r\n\r\n"),
        std::string("GET /heal thz HTTP/1.1\r\n\r\n"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}) {
    HttpPeer peer(scene.socket());
    const HttpReply reply = peer.ask(request);
    EXPECT_TRUE(reply.status == 400 || reply.status == 505) << request << reply.status;
    EXPECT_TRUE(peer.is_closed());
  }
  const auto status = [&](const std::string& request) { return scene.ask(request).status; };
  EXPECT_EQ(status("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(status("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(status("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
}

// A page in a browser that was led to the loopback by a name of its own sends that name.
TEST(HttpHostile, AnotherHostIsRefused) {
  HttpScene scene;
  const auto status = [&](const std::string& fields, const char* version = "1.1") {
    return scene.ask("GET /healthz HTTP/" + std::string(version) + "\r\n" + fields + "\r\n").status;
  };
  for (const std::string_view host : {"localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]", "[::1]:443"}) {
    EXPECT_EQ(status("Host: " + std::string(host) + "\r\n"), 200) << host;
  }
  for (const std::string_view host :
       {"evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1.evil.example",
        "localhost:80:80", "[::2]", "localhost:x", "::1"}) {
    EXPECT_EQ(status("Host: " + std::string(host) + "\r\n"), 421) << host;
  }
  EXPECT_EQ(status(""), 400);
  EXPECT_EQ(status("Host: localhost\r\nHost: localhost\r\n"), 400);
  EXPECT_EQ(status("", "1.0"), 200);  // as health checks of old ask
  EXPECT_EQ(status("Host: evil.example\r\n", "1.0"), 421);
}

TEST(HttpHostile, HeaderAndBodyAreBounded) {
  HttpScene scene;
  expect_refused(scene,
                 "GET /healthz HTTP/1.1\r\n" + std::string(kHost) + "X: " + std::string(64 * 1024, 'x'), 431);
  std::string many = "GET /healthz HTTP/1.1\r\n" + std::string(kHost);
  for (int i = 0; i < 101; ++i) many += "X: y\r\n";
  expect_refused(scene, many + "\r\n", 431);
  expect_refused(scene, post_with("Content-Length: 1000000\r\n", ""), 413);
  // What is allowed is taken, whole and in small pieces.
  const std::string large =
      "GET /healthz HTTP/1.1\r\n" + std::string(kHost) + "X: " + std::string(40 * 1024, 'x') + "\r\n\r\n";
  EXPECT_EQ(scene.ask(large).status, 200);
  HttpPeer peer(scene.socket());
  for (std::size_t at = 0; at < large.size(); at += 1'000)
    ASSERT_TRUE(peer.send(std::string_view(large).substr(at, 1'000)));
  EXPECT_EQ(peer.receive().status, 200);
  EXPECT_EQ(scene.ask(post_with("Content-Length: 50000\r\n", std::string(50'000, 'b'))).status, 401);
  const std::string longest(16 * 1024, 'a');
  EXPECT_EQ(scene.auth(longest).field("X-Auth-Reason"), "malformed");
  EXPECT_EQ(scene.auth(longest + "a").field("X-Auth-Reason"), "too_long");
}

TEST(HttpHostile, PipelinedRequestsAreAnsweredInTheirOrderAlsoWhereOneHasToWait) {
  HttpScene scene;
  const std::string first = scene.issuer.rs256(), second = scene.issuer.eddsa();  // misses
  const auto ask = [](const std::string& token) { return http_get("/auth?profile=api", {bearer(token)}); };
  constexpr int kRounds = 200;  // more output than is gathered before it is written
  std::string all;
  for (int i = 0; i < kRounds; ++i)
    all += ask(first) + http_get("/healthz") + ask("bad") + ask(second) + http_get("/nothing");
  HttpPeer peer(scene.socket());
  ASSERT_TRUE(peer.send(all));
  for (int i = 0; i < kRounds; ++i) {
    for (const int status : {200, 200, 401, 200, 404}) ASSERT_EQ(peer.receive().status, status) << i;
  }
  // Behind a refused one nothing is answered.
  HttpPeer cut(scene.socket());
  ASSERT_TRUE(cut.send(http_get("/healthz") + "nonsense\r\n\r\n" + http_get("/healthz")));
  EXPECT_EQ(cut.receive().status, 200);
  EXPECT_EQ(cut.receive().status, 400);
  EXPECT_EQ(cut.receive().status, 0);
  // After Connection: close neither.
  HttpPeer last(scene.socket());
  ASSERT_TRUE(last.send(http_get("/healthz", {"Connection: close"}) + http_get("/healthz")));
  EXPECT_EQ(last.receive().status, 200);
  EXPECT_EQ(last.receive().status, 0);
}

TEST(HttpHostile, ASlowRequestAnIdleConnectionAndAPeerThatDoesNotReadAreEnded) {
  HttpScene scene("request_timeout = \"300ms\"\nidle_timeout = \"2s\"");
  HttpPeer idle(scene.socket()), slow(scene.socket()), half(scene.socket()), deaf(scene.socket());
  ASSERT_TRUE(half.send("POST /revoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"));
  const std::string request = http_get("/healthz");
  std::size_t flood = 0;
  while (flood < 64'000 && deaf.send(request + request + request + request)) flood += 4;
  bool ended = false;
  for (int i = 0; i < 100 && !ended; ++i) {  // a byte now and then keeps nothing open
    ended = !slow.send("G") || slow.is_closed(milliseconds(100));
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(half.is_closed());
  EXPECT_TRUE(idle.is_closed());
  EXPECT_EQ(scene.ask(request).status, 200);
  EXPECT_TRUE(eventually([&] { return scene.http_stat("connections") == 0; }));
  EXPECT_GE(scene.http_stat("overdue"), 4);
}

TEST(HttpHostile, AtTheBoundTheIdlestConnectionGivesWayAndABusyOneStays) {
  HttpScene scene("connections = 4");
  HttpPeer busy(scene.socket());
  ASSERT_TRUE(busy.send("GET /healthz HTTP/1.1\r\n"));  // half a request
  std::vector<std::unique_ptr<HttpPeer>> idle;
  for (int i = 0; i < 20; ++i) {
    idle.push_back(std::make_unique<HttpPeer>(scene.socket()));
    ASSERT_EQ(idle.back()->ask(http_get("/healthz")).status, 200) << i;
  }
  EXPECT_LE(scene.http_stat("connections"), 4);
  EXPECT_TRUE(idle.front()->is_closed());
  ASSERT_TRUE(busy.send("Host: localhost\r\n\r\n"));
  EXPECT_EQ(busy.receive().status, 200);
}

TEST(HttpHostile, HalfRequestsOnEveryConnectionDoNotKeepANewOneOut) {
  HttpScene scene("connections = 4\nrequest_timeout = \"1m\"");
  std::vector<std::unique_ptr<HttpPeer>> half;
  for (int i = 0; i < 4; ++i) {
    half.push_back(std::make_unique<HttpPeer>(scene.socket()));
    ASSERT_TRUE(half.back()->send("GET /healthz HTTP/1.1\r\n"));
    ASSERT_TRUE(eventually([&] { return scene.http_stat("connections") == i + 1; }));
  }
  EXPECT_EQ(scene.ask(http_get("/healthz")).status, 200);
  EXPECT_TRUE(half.front()->is_closed());
  EXPECT_EQ(scene.http_stat("turned_away"), 0);
}

TEST(HttpHostile, PeersThatLeaveInTheMiddleCostNothingThatStays) {
  HttpScene scene;
  const std::size_t before = scene.daemon.descriptors();
  for (int i = 0; i < 300; ++i) {
    HttpPeer peer(scene.socket());
    switch (i % 4) {
      case 0: break;
      case 1: (void)peer.send("GET /auth?prof"); break;
      case 2:
        (void)peer.send(http_get("/auth?profile=api", {bearer(scene.issuer.eddsa())}));
        break;  // gone before the answer
      default: (void)peer.send(http_post("/revoke", "token=t" + std::to_string(i), {basic("rs", "s3cret")}));
    }
  }
  EXPECT_TRUE(eventually(
      [&] { return scene.http_stat("connections") == 0 && scene.daemon.descriptors() <= before; }));
  EXPECT_EQ(scene.auth(scene.issuer.es256()).status, 200);
  EXPECT_EQ(scene.daemon.stop(), 0);
}

TEST(HttpHostile, JunkForManyConnectionsLeavesTheDaemonAsItWas) {
  HttpScene scene;
  std::uint64_t state = 88172645463325252;
  for (int i = 0; i < 400; ++i) {
    std::string bytes =
        i % 2 == 0 ? "GET /auth?profile=api HTTP/1.1\r\n" : "POST /introspect HTTP/1.1\r\nContent-Length: ";
    for (int k = 0; k < 300; ++k) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      constexpr std::string_view kMix = "\r\n: ,=%&?/aZ09\0\xff\x80Host";
      bytes += state % 3 == 0 ? static_cast<char>(state >> 32) : kMix[(state >> 32) % kMix.size()];
    }
    HttpPeer peer(scene.socket());
    (void)peer.send(bytes + "\r\n\r\n");
    const HttpReply reply = peer.receive(false, milliseconds(200));
    ASSERT_TRUE(reply.status == 0 || reply.status >= 400) << bytes;
  }
  EXPECT_EQ(scene.auth(scene.issuer.es256()).status, 200);
}

TEST(HttpHostile, B18_NothingOfATokenOrASecretIsEverLogged) {
  HttpScene scene({}, "[http.logout.api]\naudience = [\"web\"]\n", {.log_level = "debug"});
  const std::string good = scene.issuer.es256();
  EXPECT_EQ(scene.auth(good).status, 200);
  EXPECT_EQ(scene.auth("canary").status, 401);
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api", {"Authorization: Bearer canary canary"})).status, 400);
  EXPECT_EQ(scene.ask(http_get("/auth?profile=api&access_token=canary", {bearer(good)})).status, 400);
  EXPECT_EQ(scene.ask(http_get("/canary?canary")).status, 404);
  EXPECT_EQ(scene.ask("GET /healthz HTTP/1.1\r\nHost: canary\r\n\r\n").status, 421);
  EXPECT_EQ(scene.ask(http_post("/revoke", "token=canary", {basic("canary", "canary")})).status, 401);
  EXPECT_EQ(scene.ask(http_post("/introspect?profile=api", "token=canary&client_id=rs&client_secret=canary"))
                .status,
            401);
  for (const char* path : {"/introspect?profile=api", "/revoke"}) {
    EXPECT_EQ(scene.ask(http_post(path, "token=canary", {basic("rs", "s3cret")})).status, 200);
    EXPECT_EQ(scene.ask(http_post(path, "token=" + good, {basic("rs", "s3cret")})).status, 200);
  }
  EXPECT_EQ(scene.ask(http_post("/logout/api", "logout_token=canary.canary.canary")).status, 400);
  EXPECT_EQ(scene.ask("canary\r\n\r\n").status, 400);
  EXPECT_EQ(scene.daemon.stop(), 0);
  const std::string log = scene.daemon.log();
  EXPECT_NE(log.find("token over http by client rs"), std::string::npos);
  for (const std::string& secret :
       {std::string("canary"), std::string("s3cret"), good.substr(good.rfind('.')),
        std::string("cnM6czNjcmV0"), good.substr(0, good.find('.'))}) {
    EXPECT_EQ(log.find(secret), std::string::npos) << secret;
  }
}

}  // namespace
}  // namespace authcache_test
