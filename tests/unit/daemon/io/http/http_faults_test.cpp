// Servers that fail in ways that no real one can be told to: each costs a bounded time, is named in a
// sentence, and is never taken for an answer. HTTP/1.1; http2_faults_test.cpp has those of HTTP/2.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <thread>

#include "tests/support/fault_server.hpp"
#include "tests/support/http_asker.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using authcache::shm::ErrorCode;
using authcached::HttpClientOptions;
using authcached::HttpRequest;
using authcached::testing::FaultServer;
using authcached::testing::FaultServerOptions;
using authcached::testing::HttpAsker;
using authcached::testing::Leaf;
using authcached::testing::ServerSide;
using authcached::testing::TestCa;
using namespace std::chrono_literals;

constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

bool says(const HttpAsker::Response& response, std::string_view what) {
  if (response || response.error().message.find(what) == std::string::npos) {
    ADD_FAILURE() << "wanted: " << what << "; got: "
                  << (response ? "status " + std::to_string(response->status) : response.error().message);
    return false;
  }
  return true;
}

class HttpFaultsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<authcached::testing::TemporaryDirectory>();
    ca_ = std::make_unique<TestCa>(directory_->path());
    leaf_ = ca_->leaf("good", "DNS:localhost,IP:127.0.0.1");
  }
  static void TearDownTestSuite() {
    ca_.reset();
    directory_.reset();
  }
  static HttpClientOptions options() {
    HttpClientOptions options;
    options.ca_file = ca_->file();
    options.allow_loopback_http = true;
    return options;
  }
  static std::unique_ptr<FaultServer> plain(FaultServer::Script script) {
    return std::make_unique<FaultServer>(FaultServerOptions{}, std::move(script));
  }
  static std::unique_ptr<FaultServer> tls(FaultServer::Script script, Leaf leaf = leaf_, int version = 0) {
    return std::make_unique<FaultServer>(
        FaultServerOptions{.leaf = std::move(leaf), .tls_version_max = version}, std::move(script));
  }
  static HttpRequest once(HttpRequest request) {
    request.repeatable = false;
    return request;
  }

  static inline std::unique_ptr<authcached::testing::TemporaryDirectory> directory_;
  static inline std::unique_ptr<TestCa> ca_;
  static inline Leaf leaf_;
  HttpAsker asker_{options()};
};

// Answers every question on the connection, until it ends.
void serve(ServerSide& side, std::string_view body = "fine") {
  while (!side.read_until(kHeadEnd).empty()) {
    if (!side.write(ok(body))) return;
  }
}

TEST_F(HttpFaultsTest, AnAnswerComesOverTlsAndWithout) {
  for (const auto& server :
       {plain([](ServerSide& side) { serve(side); }), tls([](ServerSide& side) { serve(side); })}) {
    const auto response = asker_.ask(HttpAsker::get(server->url()));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 200U);
    EXPECT_EQ(response->body, "fine");
  }
}

TEST_F(HttpFaultsTest, NamesAreResolvedOffTheLoopAndGoIntoTheCertificateCheck) {
  const auto server = tls([](ServerSide& side) { serve(side); });
  const auto response =
      asker_.ask(HttpAsker::get("https://localhost:" + std::to_string(server->port()) + "/"));
  EXPECT_TRUE(response) << response.error().message;
  says(asker_.ask(HttpAsker::get("https://no-such-host.invalid/", 2s)),
       "no-such-host.invalid:443: its name cannot be resolved");
}

TEST_F(HttpFaultsTest, TheRightServerOnly) {
  const auto refused = [&](Leaf leaf, std::string_view why) {
    const auto server = tls([](ServerSide& side) { serve(side); }, std::move(leaf));
    const auto response = asker_.ask(HttpAsker::get(server->url()));
    ASSERT_TRUE(says(response, why));
    EXPECT_EQ(response.error().code, ErrorCode::kRefused);
    EXPECT_EQ(server->connections(), 1) << "a wrong certificate does not become right by asking again";
  };
  refused(ca_->leaf("other", "DNS:other.example,IP:127.0.0.2"), "mismatch");
  refused(ca_->leaf("name", "DNS:127.0.0.1"), "mismatch");
  refused(ca_->leaf("expired", "IP:127.0.0.1", -7200, -3600), "certificate has expired");
  refused(ca_->leaf("future", "IP:127.0.0.1", 3600, 7200), "certificate is not yet valid");
  refused(ca_->self_signed("self", "IP:127.0.0.1"), "self-signed certificate");
}

TEST_F(HttpFaultsTest, AnotherAuthorityIsNotTrusted) {
  const authcached::testing::TemporaryDirectory elsewhere;
  const TestCa other(elsewhere.path());
  const auto server = tls([](ServerSide& side) { serve(side); }, other.leaf("good", "IP:127.0.0.1"));
  says(asker_.ask(HttpAsker::get(server->url())), "its certificate is refused");
}

TEST_F(HttpFaultsTest, OldTlsIsRefusedAndTls12IsNot) {
  const auto old = tls([](ServerSide& side) { serve(side); }, leaf_, TLS1_1_VERSION);
  says(asker_.ask(once(HttpAsker::get(old->url(), 3s))), "TLS handshake failed");
  const auto enough = tls([](ServerSide& side) { serve(side); }, leaf_, TLS1_2_VERSION);
  EXPECT_TRUE(asker_.ask(HttpAsker::get(enough->url())));
}

TEST_F(HttpFaultsTest, ATlsSessionIsResumedOnTheNextConnection) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    HttpAsker asker(options());
    const auto server = tls(
        [](ServerSide& side) {
          side.read_until(kHeadEnd);
          side.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
          side.goodbye();
          side.stay();
        },
        leaf_, version);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(asker.ask(HttpAsker::get(server->url())));
    EXPECT_NE(asker.state().find(R"("handshakes":5,"handshakes_resumed":4)"), std::string::npos)
        << asker.state();
  }
}

TEST_F(HttpFaultsTest, ATruncatedTlsStreamIsAnErrorAndNotAnEnd) {
  // Where only the end of the stream says that the body is whole, anybody on the way could shorten it.
  const auto cut = tls([](ServerSide& side) {
    side.read_until(kHeadEnd);
    side.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"keys\":[");
    side.end();
  });
  says(asker_.ask(once(HttpAsker::get(cut->url()))), "cut off");
  const auto whole = tls([](ServerSide& side) {
    side.read_until(kHeadEnd);
    side.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}");
    side.goodbye();
    side.end();
  });
  const auto response = asker_.ask(HttpAsker::get(whole->url()));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "{}");
}

TEST_F(HttpFaultsTest, LiesAboutTheBodyAreNoAnswers) {
  const std::pair<const char*, const char*> lies[] = {
      {"Content-Length: 100\r\n\r\nshort", "before the answer was whole"},
      {"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\nx", "larger than asked for"},
      {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"},
      {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "before the answer was whole"},
      {"Content-Length: 1000000000000\r\n\r\n", "larger than asked for"},
      {"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "Content-Encoding"},
  };
  for (const auto& [lie, why] : lies) {
    const auto server = plain([lie = std::string(lie)](ServerSide& side) {
      side.read_until(kHeadEnd);
      side.write("HTTP/1.1 200 OK\r\n" + lie);
      side.end();
      side.stay();
    });
    HttpAsker asker(options());
    says(asker.ask(once(HttpAsker::get(server->url()))), why);
  }
}

TEST_F(HttpFaultsTest, HugeHeadersAndEndlessBodiesCostABoundedAmount) {
  std::atomic<std::size_t> taken = 0;
  const auto pour = [&taken](std::string head) {
    return [&taken, head](ServerSide& side) {
      side.read_until(kHeadEnd);
      side.write(head);
      const std::string piece(16 * 1024, 'x');
      for (taken = 0; taken < (1 << 28) && side.write(piece); taken += piece.size()) {
      }
    };
  };
  for (const char* head : {"HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 200 OK\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n"}) {
    const auto server = plain(pour(head));
    HttpAsker asker(options());
    const auto response = asker.ask(HttpAsker::get(server->url()));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::kRefused) << response.error().message;
    EXPECT_LT(taken, std::size_t{16} << 20) << "what socket buffers hold, and not more";
  }
}

TEST_F(HttpFaultsTest, AServerThatStallsOrDripsCostsTheDeadlineAndNoMore) {
  const std::pair<FaultServer::Script, const char*> scripts[] = {
      {[](ServerSide& side) { side.stay(); }, "no answer came in time"},
      {[](ServerSide& side) {
         side.read_until(kHeadEnd);
         side.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
         while (side.write("x")) std::this_thread::sleep_for(20ms);
       },
       "not whole in time"},
      {[](ServerSide& side) {
         side.read_until(kHeadEnd);
         while (side.write("A")) std::this_thread::sleep_for(20ms);
       },
       "not whole in time"},
  };
  for (const auto& [script, why] : scripts) {
    const auto server = plain(script);
    HttpAsker asker(options());
    says(asker.ask(HttpAsker::get(server->url(), 300ms)), why);
  }
}

TEST_F(HttpFaultsTest, AServerThatAcceptsAndSaysNothingOfTlsCostsTheDeadline) {
  FaultServerOptions silent;
  silent.accept = false;
  const FaultServer server(silent, [](ServerSide&) {});
  says(asker_.ask(HttpAsker::get("https://127.0.0.1:" + std::to_string(server.port()) + "/", 300ms)),
       "no connection came about in time");
}

TEST_F(HttpFaultsTest, ADeadlineThatHasPassedIsAnsweredAtOnceAndAsksNobody) {
  const auto server = plain([](ServerSide& side) { serve(side); });
  auto late = HttpAsker::get(server->url());
  late.deadline_ns = 1;
  says(asker_.ask(std::move(late)), "the deadline passed");
  EXPECT_EQ(server->connections(), 0);
}

TEST_F(HttpFaultsTest, ALostConnectionIsAskedAgainOnlyWhereThatDoesNoHarm) {
  std::atomic<int> asked = 0;
  const auto server = plain([&](ServerSide& side) {
    side.read_until(kHeadEnd);
    if (++asked % 2 == 0)
      return void(side.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecond"));
    side.reset();
  });
  const auto repeated = asker_.ask(HttpAsker::get(server->url()));
  ASSERT_TRUE(repeated) << repeated.error().message;
  EXPECT_EQ(repeated->body, "second");
  EXPECT_EQ(asked, 2);
  says(asker_.ask(HttpAsker::post(server->url(), "token=canary")), "connection was lost");
  EXPECT_EQ(asked, 3);
}

TEST_F(HttpFaultsTest, AStaleConnectionIsReplacedForARepeatableRequest) {
  std::atomic<int> asked = 0;
  const auto server = plain([&](ServerSide& side) {
    side.read_until(kHeadEnd);
    ++asked;
    side.write(ok("fine"));
    if (side.number() > 0) return serve(side);
    // The first connection takes one more question and ends without a word.
    side.read_until(kHeadEnd);
  });
  ASSERT_TRUE(asker_.ask(HttpAsker::get(server->url())));
  const auto second = asker_.ask(HttpAsker::get(server->url()));
  EXPECT_TRUE(second) << second.error().message;
  EXPECT_EQ(server->connections(), 2);
  EXPECT_NE(asker_.state().find(R"("state":"closed","failures":0)"), std::string::npos) << asker_.state();
}

TEST_F(HttpFaultsTest, AConnectionThatOwesAnAnswerIsNotUsedAgain) {
  const auto server = plain([](ServerSide& side) {
    side.read_until(kHeadEnd);
    if (side.number() == 0) {
      std::this_thread::sleep_for(200ms);
      side.write(ok("late: of the first question"));
      side.stay();
      return;
    }
    side.write(ok("of the second"));
  });
  says(asker_.ask(HttpAsker::get(server->url(), 100ms)), "no answer came in time");
  const auto second = asker_.ask(HttpAsker::get(server->url()));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->body, "of the second");
}

TEST_F(HttpFaultsTest, RedirectsStayWithinTheOriginAndAreFew) {
  std::atomic<int> elsewhere = 0;
  const auto other = tls([&](ServerSide& side) {
    ++elsewhere;
    serve(side);
  });
  std::string target;
  const auto server = tls([&](ServerSide& side) {
    for (;;) {
      const std::string head = side.read_until(kHeadEnd);
      if (head.empty()) return;
      if (head.find(" /end ") != std::string::npos) {
        side.write(ok("arrived"));
      } else {
        side.write("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target + "\r\n\r\n");
      }
    }
  });
  target = "/end";
  const auto followed = asker_.ask(HttpAsker::get(server->url("/a")));
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_EQ(followed->body, "arrived");
  target = server->url("/end");
  EXPECT_TRUE(asker_.ask(HttpAsker::get(server->url("/a"))));
  target = "/a";
  says(asker_.ask(HttpAsker::get(server->url("/a"))), "redirects more than 3 times");
  target = other->url("/end");
  says(asker_.ask(HttpAsker::get(server->url("/a"))), "redirects to another origin");
  target = "https://localhost:" + std::to_string(server->port()) + "/end";
  says(asker_.ask(HttpAsker::get(server->url("/a"))), "redirects to another origin");
  target = "http://127.0.0.1:" + std::to_string(server->port()) + "/end";
  says(asker_.ask(HttpAsker::get(server->url("/a"))), "redirects to another origin");
  target = "file:///etc/passwd";
  says(asker_.ask(HttpAsker::get(server->url("/a"))), "redirects to what cannot be asked");
  target = "/end";
  says(asker_.ask(HttpAsker::post(server->url("/a"), "token=canary")), "redirect");
  EXPECT_EQ(elsewhere, 0);
}

TEST_F(HttpFaultsTest, B15_TheBreakerStopsAskingADeadServerAndFindsItAliveAgain) {
  std::atomic<bool> broken = true;
  std::atomic<int> asked = 0;
  const auto server = plain([&](ServerSide& side) {
    while (!side.read_until(kHeadEnd).empty()) {
      ++asked;
      side.write(broken ? "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" : ok("well again"));
    }
  });
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(asker_.ask(HttpAsker::get(server->url()))->status, 503U) << "an answer is an answer";
  const auto refused = asker_.ask(HttpAsker::get(server->url()));
  says(refused, "failed 5 times in a row");
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 5);
  EXPECT_NE(asker_.state().find(R"("state":"open")"), std::string::npos);
  broken = false;
  HttpAsker::Response healed;
  for (int i = 0; i < 200 && !(healed = asker_.ask(HttpAsker::get(server->url()))); ++i)
    std::this_thread::sleep_for(20ms);
  ASSERT_TRUE(healed);
  EXPECT_EQ(healed->body, "well again");
  EXPECT_NE(asker_.state().find(R"("state":"closed")"), std::string::npos);
}

TEST_F(HttpFaultsTest, ARefusedClientIsNoOutage) {
  const auto server = plain([](ServerSide& side) {
    while (!side.read_until(kHeadEnd).empty())
      side.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  });
  for (int i = 0; i < 50; ++i) ASSERT_EQ(asker_.ask(HttpAsker::get(server->url()))->status, 401U);
  EXPECT_NE(asker_.state().find(R"("state":"closed","failures":0)"), std::string::npos);
}

TEST_F(HttpFaultsTest, ADeadPortIsOneFailureHoweverManyWait) {
  std::uint16_t port = 0;
  {
    const auto server = plain([](ServerSide&) {});
    port = server->port();
  }
  std::atomic<int> refused = 0;
  asker_.on_loop([&] {
    for (int i = 0; i < 100; ++i) {
      asker_.client()->send(once(HttpAsker::get("http://127.0.0.1:" + std::to_string(port) + "/")),
                            [&](HttpAsker::Response response) {
                              says(response, "Connection refused");
                              ++refused;
                            });
    }
  });
  for (int i = 0; i < 1'000 && refused < 100; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(refused, 100);
  const std::string state = asker_.state();
  EXPECT_NE(state.find(R"("requests":100,"responses":0,"failures":100)"), std::string::npos) << state;
  EXPECT_EQ(state.find(R"("retries":0)"), std::string::npos)
      << "the first attempt of all of them opened the breaker: " << state;
}

TEST_F(HttpFaultsTest, ConnectionsAreReusedAndNeverMoreThanTheLimit) {
  const auto server = plain([](ServerSide& side) { serve(side); });
  std::vector<std::future<HttpAsker::Response>> all;
  for (int i = 0; i < 1'000; ++i) all.push_back(asker_.begin(HttpAsker::get(server->url(), 20s)));
  for (auto& one : all) EXPECT_TRUE(one.get());
  EXPECT_LE(server->connections(), 8);
  EXPECT_NE(asker_.state().find(R"("exchanges":1000,"reused":992)"), std::string::npos) << asker_.state();
}

TEST_F(HttpFaultsTest, IdleConnectionsAreClosed) {
  auto soon = options();
  soon.idle_ns = 1;
  HttpAsker asker(soon);
  std::promise<void> gone;
  const auto server = plain([&](ServerSide& side) {
    serve(side);
    gone.set_value();
  });
  ASSERT_TRUE(asker.ask(HttpAsker::get(server->url())));
  EXPECT_EQ(gone.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(HttpFaultsTest, B14_AClientThatGoesAnswersNothingAnyMore) {
  const FaultServer::Script scripts[] = {[](ServerSide& side) { side.stay(); },
                                         [](ServerSide& side) {
                                           side.read_until(kHeadEnd);
                                           side.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                                           side.stay();
                                         }};
  for (const auto& script : scripts) {
    for (const bool with_tls : {false, true}) {
      const auto server = with_tls ? tls(script) : plain(script);
      HttpAsker asker(options());
      auto held = std::make_shared<int>(1);
      asker.on_loop([&] {
        for (int i = 0; i < 50; ++i) {
          asker.client()->send(HttpAsker::get(server->url()),
                               [held](HttpAsker::Response) { ADD_FAILURE() << "answered"; });
        }
      });
      std::this_thread::sleep_for(50ms);
      asker.on_loop([&] {
        asker.client()->send(HttpAsker::get("https://no-such-host.invalid/"),
                             [held](HttpAsker::Response) { ADD_FAILURE() << "answered"; });
        asker.client()->send(HttpAsker::get("not a url"),
                             [held](HttpAsker::Response) { ADD_FAILURE() << "answered"; });
        asker.client().reset();
        EXPECT_EQ(held.use_count(), 1) << "every answer function is gone with the client";
      });
    }
  }
}

TEST_F(HttpFaultsTest, B14_AnAnswerMayDestroyTheClientOrAskAgain) {
  const auto server = plain([](ServerSide& side) { serve(side); });
  HttpAsker asker(options());
  std::promise<void> done;
  int answers = 0;
  asker.on_loop([&] {
    for (int i = 0; i < 8; ++i) {
      asker.client()->send(HttpAsker::get(server->url()), [&](HttpAsker::Response) {
        if (++answers < 4) {
          asker.client()->send(HttpAsker::get(server->url()), [](HttpAsker::Response) {});
          return;
        }
        EXPECT_EQ(answers, 4) << "answered after its end";
        asker.client().reset();
        done.set_value();
      });
    }
  });
  done.get_future().wait();
  asker.on_loop([&] { EXPECT_EQ(answers, 4); });
}

TEST_F(HttpFaultsTest, B14_AnAnswerThatThrowsLosesOnlyItself) {
  const auto server = plain([](ServerSide& side) { serve(side); });
  std::atomic<int> answers = 0;
  asker_.on_loop([&] {
    for (int i = 0; i < 10; ++i) {
      asker_.client()->send(HttpAsker::get("not a url"), [&](HttpAsker::Response) {
        ++answers;
        throw std::runtime_error("no memory");
      });
    }
  });
  ASSERT_TRUE(asker_.ask(HttpAsker::get(server->url())));
  EXPECT_EQ(answers, 10);
}

TEST_F(HttpFaultsTest, B18_NoHeaderOrBodyEverStandsInAnError) {
  const char* const answers[] = {
      "HTTP/1.1 200 OK\r\nX: canary-answer\r\nContent-Length: 99\r\n\r\ncanary-answer",
      "canary-answer\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: canary-answer\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: canary-answer\r\n\r\n"};
  for (const char* answer : answers) {
    const auto server = plain([answer](ServerSide& side) {
      side.read_until("canary-question");
      side.write(answer);
      side.end();
      side.stay();
    });
    auto request = HttpAsker::post(server->url("/canary-path"), "token=canary-question");
    request.headers.push_back({"Authorization", "Basic canary-secret"});
    const auto response = asker_.ask(std::move(request));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().message.find("canary"), std::string::npos) << response.error().message;
    EXPECT_EQ(asker_.state().find("canary"), std::string::npos) << asker_.state();
  }
}

TEST_F(HttpFaultsTest, ACaFileThatCannotBeReadIsRefusedAtOnce) {
  auto wrong = options();
  wrong.ca_file = *directory_ / "absent.pem";
  const auto loop = authcached::Loop::create().value();
  authcached::Worker names("names");
  const auto client = authcached::make_http_client(*loop, names, authcached::system_clock(), wrong);
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().message.find("absent.pem"), std::string::npos);
}

}  // namespace
