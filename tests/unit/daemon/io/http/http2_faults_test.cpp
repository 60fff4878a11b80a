// The client against HTTP/2 servers that fail, over TLS.
#include <gtest/gtest.h>

#include <thread>

#include "daemon/io/http/breaker.hpp"
#include "tests/support/fault_server.hpp"
#include "tests/support/http2_frames.hpp"
#include "tests/support/http_asker.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace h2 = authcached::testing::http2;
using authcached::testing::FaultServer;
using authcached::testing::FaultServerOptions;
using authcached::testing::HttpAsker;
using authcached::testing::ServerSide;
using authcached::testing::TestCa;
using namespace std::chrono_literals;

class Http2FaultsTest : public ::testing::Test {
 protected:
  authcached::HttpClientOptions options() const {
    authcached::HttpClientOptions options;
    options.ca_file = ca_.file();
    return options;
  }
  std::unique_ptr<FaultServer> serve(FaultServer::Script script) const {
    return std::make_unique<FaultServer>(
        FaultServerOptions{.leaf = ca_.leaf("good", "IP:127.0.0.1"), .protocol = "h2"}, std::move(script));
  }
  // Calls on_request for each question until it says false.
  static void each_request(ServerSide& side, const std::function<bool(std::uint32_t stream)>& on_request,
                           std::string_view settings = {}) {
    side.write(h2::frame(h2::kSettings, 0, 0, settings));
    std::string unread;
    for (;;) {
      const std::string more = side.read_some();
      if (more.empty()) return;
      unread += more;
      for (const auto& frame : h2::take_frames(unread)) {
        if (frame.type == h2::kPing && frame.flags == 0)
          side.write(h2::frame(h2::kPing, h2::kAck, 0, frame.payload));
        if (frame.type == h2::kHeaders && !on_request(frame.stream)) return;
      }
    }
  }
  static bool state_has(HttpAsker& asker, std::string_view text) {
    const std::string state = asker.state();
    if (state.find(text) != std::string::npos) return true;
    ADD_FAILURE() << "wanted " << text << " in " << state;
    return false;
  }

  authcached::testing::TemporaryDirectory directory_;
  TestCa ca_{directory_.path()};
};

TEST_F(Http2FaultsTest, ManyRequestsShareOneConnection) {
  const auto server = serve([](ServerSide& side) {
    each_request(side, [&](std::uint32_t stream) {
      return side.write(h2::whole_answer(stream, std::to_string(stream)));
    });
  });
  HttpAsker asker(options());
  std::vector<std::future<HttpAsker::Response>> all;
  for (int i = 0; i < 90; ++i)
    all.push_back(asker.begin(HttpAsker::post(server->url(), "token=" + std::to_string(i))));
  for (auto& one : all) {
    const auto response = one.get();
    ASSERT_TRUE(response) << response.error().message;
  }
  EXPECT_EQ(server->connections(), 1);
  state_has(asker, R"("protocol":"h2","handshakes":1)");
}

TEST_F(Http2FaultsTest, TheServersBoundOfStreamsIsKept) {
  std::atomic<int> open = 0, most = 0;
  const auto server = serve([&](ServerSide& side) {
    std::vector<std::uint32_t> waiting;
    each_request(
        side,
        [&](std::uint32_t stream) {
          most = std::max(most.load(), ++open);
          waiting.push_back(stream);
          if (waiting.size() < 4) return true;
          for (const std::uint32_t one : waiting) {
            --open;
            side.write(h2::whole_answer(one, "ok"));
          }
          waiting.clear();
          return true;
        },
        h2::setting(h2::kMaxConcurrentStreams, 4));
  });
  auto one_connection = options();
  one_connection.connections_max = 1;
  HttpAsker asker(one_connection);
  // The bound is known once the first answers are there: what a client sends before it has seen the settings,
  // it may.
  std::vector<std::future<HttpAsker::Response>> all;
  for (int i = 0; i < 4; ++i) all.push_back(asker.begin(HttpAsker::get(server->url())));
  for (auto& one : all) ASSERT_TRUE(one.get());
  all.clear();
  for (int i = 0; i < 100; ++i) all.push_back(asker.begin(HttpAsker::get(server->url())));
  for (auto& one : all) ASSERT_TRUE(one.get());
  EXPECT_EQ(most, 4);
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(Http2FaultsTest, WhatAGoawayOrARefusalGaveBackIsAskedAgainEvenIfItIsNotRepeatable) {
  std::atomic<int> taken = 0;
  const auto server = serve([&](ServerSide& side) {
    each_request(side, [&](std::uint32_t stream) {
      if (side.number() == 0) return side.write(h2::goaway(0));
      if (taken++ == 0) return side.write(h2::reset(stream, 7));
      return side.write(h2::whole_answer(stream, "taken"));
    });
  });
  HttpAsker asker(options());
  const auto response = asker.ask(HttpAsker::post(server->url(), "token=x"));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "taken");
  EXPECT_EQ(taken, 2);
  EXPECT_EQ(server->connections(), 2);
  state_has(asker, R"("state":"closed","failures":0)");
}

TEST_F(Http2FaultsTest, B15_AProbeThatTheServerGaveBackIsAskedAgain) {
  std::atomic<bool> broken = true;
  std::atomic<int> taken = 0;
  const auto server = serve([&](ServerSide& side) {
    each_request(side, [&](std::uint32_t stream) {
      if (broken) return side.write(h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, stream, "\x8e"));  // 500
      if (taken++ == 0) return side.write(h2::reset(stream, 7));
      return side.write(h2::whole_answer(stream, "well again"));
    });
  });
  HttpAsker asker(options());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(asker.ask(HttpAsker::post(server->url(), "token=x"))->status, 500U);
  broken = false;
  EXPECT_FALSE(asker.ask(HttpAsker::post(server->url(), "token=x")));
  std::this_thread::sleep_for(std::chrono::nanoseconds(authcached::Breaker::kFirstPause_ns));
  const auto healed = asker.ask(HttpAsker::post(server->url(), "token=x"));
  ASSERT_TRUE(healed) << healed.error().message;
  EXPECT_EQ(healed->body, "well again");
  EXPECT_EQ(taken, 2);
}

TEST_F(Http2FaultsTest, AConnectionThatIsLostLosesItsRequestsAndIsOneFailure) {
  const auto server = serve([&](ServerSide& side) {
    int seen = 0;
    each_request(side, [&](std::uint32_t stream) {
      if (side.number() > 0) return side.write(h2::whole_answer(stream, "well again"));
      if (++seen < 50) return true;
      side.reset();
      return false;
    });
  });
  HttpAsker asker(options());
  std::vector<std::future<HttpAsker::Response>> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(
        asker.begin(i % 2 == 0 ? HttpAsker::get(server->url()) : HttpAsker::post(server->url(), "token=x")));
  for (int i = 0; i < 50; ++i) {
    const auto response = all[static_cast<std::size_t>(i)].get();
    EXPECT_EQ(response.has_value(), i % 2 == 0) << i;
  }
  EXPECT_EQ(server->connections(), 2);
  state_has(asker, R"("state":"closed")");
}

TEST_F(Http2FaultsTest, AHalfOpenConnectionCostsOneDeadlineAndIsLeft) {
  const auto server = serve([&](ServerSide& side) {
    int seen = 0;
    each_request(side, [&](std::uint32_t stream) {
      if (side.number() > 0 || ++seen == 1) return side.write(h2::whole_answer(stream, "there"));
      return side.stay();  // reads, and never says a word again
    });
  });
  HttpAsker asker(options());
  ASSERT_TRUE(asker.ask(HttpAsker::get(server->url())));
  EXPECT_FALSE(asker.ask(HttpAsker::get(server->url(), 200ms)));
  const auto next = asker.ask(HttpAsker::get(server->url()));
  EXPECT_TRUE(next) << next.error().message;
  EXPECT_EQ(server->connections(), 2);
}

TEST_F(Http2FaultsTest, WhoWaitsIsToldOfADeadServerThoughAnOldConnectionStillOwesAnAnswer) {
  const auto server = serve([&](ServerSide& side) {
    int seen = 0;
    each_request(side, [&](std::uint32_t stream) { return ++seen > 1 || side.write(h2::whole_answer(stream, "there")); });
  });
  HttpAsker asker(options());
  ASSERT_TRUE(asker.ask(HttpAsker::get(server->url())));
  auto owed = asker.begin(HttpAsker::get(server->url(), 5s));
  server->refuse_more();
  EXPECT_FALSE(asker.ask(HttpAsker::get(server->url(), 200ms)));
  const auto next = asker.ask(HttpAsker::get(server->url(), 3s));
  ASSERT_FALSE(next);
  EXPECT_NE(next.error().message.find("Connection refused"), std::string::npos) << next.error().message;
  asker.on_loop([&] { asker.client().reset(); });
  EXPECT_THROW(owed.get(), std::future_error) << "never answered";
}

TEST_F(Http2FaultsTest, ASlowAnswerDelaysNoOtherAndItsConnectionIsKept) {
  const auto server = serve([&](ServerSide& side) {
    bool first = true;
    each_request(side, [&](std::uint32_t stream) {
      return std::exchange(first, false) || side.write(h2::whole_answer(stream, "quick"));
    });
  });
  HttpAsker asker(options());
  auto slow = asker.begin(HttpAsker::get(server->url(), 300ms));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(asker.ask(HttpAsker::get(server->url())));
  EXPECT_FALSE(slow.get());
  EXPECT_TRUE(asker.ask(HttpAsker::get(server->url())));
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(Http2FaultsTest, AServerThatChoosesH2AndSpeaksSomethingElseIsNamed) {
  const auto server = serve([](ServerSide& side) {
    side.read_some();
    side.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    side.stay();
  });
  HttpAsker asker(options());
  const auto response = asker.ask(HttpAsker::get(server->url()));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("HTTP/2"), std::string::npos) << response.error().message;
}

TEST_F(Http2FaultsTest, B14_AClientThatGoesWithStreamsOpenTouchesNothing) {
  const auto server = serve([](ServerSide& side) {
    each_request(side, [&](std::uint32_t stream) {
      if (stream % 4 == 1)
        side.write(h2::frame(h2::kHeaders, h2::kEndHeaders, stream, h2::kStatus200) +
                   h2::frame(h2::kData, 0, stream, "half"));
      if (stream % 4 == 3) side.write(h2::whole_answer(stream, "whole"));
      return true;
    });
  });
  for (int round = 0; round < 30; ++round) {
    HttpAsker asker(options());
    std::atomic<int> answers = 0;
    const auto held = std::make_shared<int>(0);
    asker.on_loop([&] {
      for (int i = 0; i < 40; ++i) {
        asker.client()->send(HttpAsker::post(server->url(), std::string(5'000, 'x')),
                             [&answers, held](HttpAsker::Response) { ++answers; });
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(round / 3));
    asker.on_loop([&] {
      asker.client().reset();
      EXPECT_EQ(held.use_count(), 1);
    });
    const int before = answers;
    asker.on_loop([] {});
    EXPECT_EQ(answers, before);
  }
}

}  // namespace
