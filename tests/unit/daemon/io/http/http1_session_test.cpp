// HTTP/1.1 as bytes: what is asked, what may be answered, and what is refused.
#include <gtest/gtest.h>

#include "daemon/io/http/session.hpp"

namespace {

using authcached::Exchange;
using authcached::Failure;
using authcached::FailureKind;

class Http1SessionTest : public ::testing::Test {
 protected:
  std::shared_ptr<Exchange> start(std::string method = "GET", std::string body = "") {
    auto exchange = std::make_shared<Exchange>();
    exchange->request.method = std::move(method);
    exchange->request.headers = {{"Accept", "application/json"}};
    exchange->request.body = std::move(body);
    exchange->request.body_max = 1000;
    exchange->url = authcached::parse_http_url("https://idp.example:8443/keys?a=b", false).value();
    session_->start(exchange);
    return exchange;
  }
  std::string sent() {
    std::string out;
    session_->take_output(out, SIZE_MAX);
    return out;
  }
  // The exchange once it is finished; nothing before.
  std::shared_ptr<Exchange> finished() {
    auto all = session_->take_finished();
    EXPECT_LE(all.size(), 1U);
    return all.empty() ? nullptr : all.front();
  }
  // What becomes of one answer, given in one piece and, in a session of its own, byte by byte.
  std::optional<FailureKind> failure_of(std::string_view answer, bool then_ends = false, bool clean = true) {
    std::optional<FailureKind> kinds[2];
    for (const bool whole : {true, false}) {
      session_ = authcached::make_http1_session();
      const auto exchange = start();
      if (whole) session_->receive(answer);
      for (std::size_t i = 0; !whole && i < answer.size(); ++i) session_->receive(answer.substr(i, 1));
      if (then_ends) session_->end(clean, {FailureKind::kLost, "ended"});
      const auto done = finished();
      EXPECT_TRUE(done) << answer;
      if (done && done->failure) kinds[whole ? 0 : 1] = done->failure->kind;
      body_ = exchange->response.body;
    }
    EXPECT_EQ(kinds[0].has_value(), kinds[1].has_value()) << answer;
    return kinds[0];
  }

  std::unique_ptr<authcached::Session> session_ = authcached::make_http1_session();
  std::string body_;
};

TEST_F(Http1SessionTest, AsksAsTheProtocolSays) {
  start();
  EXPECT_EQ(sent(),
            "GET /keys?a=b HTTP/1.1\r\nHost: idp.example:8443\r\nAccept-Encoding: identity\r\nAccept: "
            "application/json\r\n\r\n");
  session_ = authcached::make_http1_session();
  start("POST", "token=x");
  EXPECT_TRUE(sent().ends_with("\r\nContent-Length: 7\r\n\r\ntoken=x"));
  session_ = authcached::make_http1_session();
  start("POST");
  EXPECT_TRUE(sent().ends_with("\r\nContent-Length: 0\r\n\r\n"));
}

TEST_F(Http1SessionTest, TakesOneAnswerAndThenTheNext) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(session_->capacity(), 1U);
    start();
    EXPECT_EQ(session_->capacity(), 0U);
    session_->receive("HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nContent-Length: 5\r\n\r\nhello");
    const auto done = finished();
    ASSERT_TRUE(done && !done->failure);
    EXPECT_EQ(done->response.status, 200U);
    EXPECT_EQ(done->response.body, "hello");
    EXPECT_EQ(done->response.header("cache-control"), "max-age=5");
    EXPECT_EQ(done->response.header("absent"), std::nullopt);
  }
  EXPECT_FALSE(session_->over());
}

TEST_F(Http1SessionTest, GoodAnswersInEveryShape) {
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"),
            std::nullopt);
  EXPECT_EQ(body_, "abcde");
  EXPECT_EQ(failure_of("HTTP/1.1 204 No Content\r\n\r\n"), std::nullopt);
  EXPECT_EQ(failure_of("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"), std::nullopt);
  EXPECT_EQ(
      failure_of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"),
      std::nullopt);
  EXPECT_EQ(body_, "a");
  EXPECT_EQ(failure_of("HTTP/1.0 200 OK\r\n\r\nto the end", true), std::nullopt);
  EXPECT_EQ(body_, "to the end");
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'b')),
            std::nullopt);
}

TEST_F(Http1SessionTest, TrailersAreNoHeaders) {
  start();
  session_->receive(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nETag: \"late\"\r\n\r\n");
  const auto done = finished();
  ASSERT_TRUE(done && !done->failure);
  EXPECT_EQ(done->response.header("etag"), std::nullopt);
}

TEST_F(Http1SessionTest, AHeaderThatCameTwiceIsNone) {
  start();
  session_->receive("HTTP/1.1 200 OK\r\nETag: a\r\netag: b\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(finished()->response.header("etag"), std::nullopt);
}

TEST_F(Http1SessionTest, LiesAboutTheBodyAreErrors) {
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true), FailureKind::kLost);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", true),
            FailureKind::kLost);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true),
            FailureKind::kLost);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\n\r\nto the end", true, false), FailureKind::kLost)
      << "cut off, not ended";
  for (const char* head :
       {"Content-Length: -1", "Content-Length: 1x", "Content-Length: 99999999999999999999999",
        "Content-Length: 1\r\nContent-Length: 2", "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked",
        "Content-Encoding: gzip\r\nContent-Length: 3", "Content-Encoding: br\r\nContent-Length: 3"}) {
    EXPECT_TRUE(failure_of("HTTP/1.1 200 OK\r\n" + std::string(head) + "\r\n\r\nabc", true)) << head;
  }
  for (const char* chunks : {"x\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "3\r\nabcX\r\n0\r\n\r\n",
                             "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"}) {
    EXPECT_TRUE(
        failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(chunks), true))
        << chunks;
  }
}

TEST_F(Http1SessionTest, WhatIsNotHttpIsAnError) {
  for (const char* answer :
       {"\x15\x03\x01", "HTTP/2 200\r\n\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "HTTP/1.1 200 OK\r\n: c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n"}) {
    EXPECT_TRUE(failure_of(answer, true)) << answer;
  }
}

TEST_F(Http1SessionTest, EverySizeHasALimit) {
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), FailureKind::kLimit)
      << "before a byte of it is read";
  EXPECT_EQ(
      failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'b')),
      FailureKind::kLimit);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'b')), FailureKind::kLimit);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nA: " + std::string(authcached::kHeaderBytesMax, 'a')),
            FailureKind::kLimit);
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (std::size_t i = 0; i <= authcached::kHeadersMax; ++i) many += "A: b\r\n";
  EXPECT_EQ(failure_of(many + "Content-Length: 0\r\n\r\n"), FailureKind::kLimit);
  std::string interim;
  for (unsigned i = 0; i <= authcached::kInterimMax; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(failure_of(interim), FailureKind::kLimit);
}

TEST_F(Http1SessionTest, ALineWithoutEndIsCutOff) {
  start();
  session_->receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
  const std::string extension(4096, 'x');
  for (int i = 0; i < 64 && session_->open() > 0; ++i) session_->receive(extension);
  const auto done = finished();
  ASSERT_TRUE(done && done->failure);
  EXPECT_EQ(session_->open(), 0U);
}

TEST_F(Http1SessionTest, AConnectionThatSaysMoreThanItWasAskedIsNotUsedAgain) {
  start();
  session_->receive(
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  EXPECT_EQ(finished()->response.body, "a");
  EXPECT_TRUE(session_->over());
  session_ = authcached::make_http1_session();
  start();
  session_->receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(finished());
  EXPECT_FALSE(session_->over());
  session_->receive("H");
  EXPECT_TRUE(session_->over());
}

TEST_F(Http1SessionTest, EndsWhereTheServerOrWeSaySo) {
  start();
  session_->receive("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(finished() && session_->over());
  session_ = authcached::make_http1_session();
  start();
  session_->retire();
  EXPECT_FALSE(session_->over()) << "its answer is still wanted";
  session_->receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(finished() && session_->over());
  session_ = authcached::make_http1_session();
  const auto cancelled = start();
  session_->cancel(*cancelled);
  EXPECT_TRUE(session_->over());
  EXPECT_FALSE(finished());
}

TEST_F(Http1SessionTest, AReusedConnectionThatEndsBeforeAByteIsStale) {
  start();
  session_->receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(finished());
  start();
  session_->end(true, {FailureKind::kLost, "ended"});
  EXPECT_EQ(finished()->failure->kind, FailureKind::kStale);
  EXPECT_EQ(failure_of("", true), FailureKind::kLost) << "a new one is not";
  EXPECT_EQ(failure_of("HTTP", true), FailureKind::kLost);
}

TEST(HttpRequestFault, B18_WhatWouldBecomeAnotherHeaderIsRefusedWithoutRepeatingIt) {
  authcached::HttpRequest request;
  request.method = "GET";
  EXPECT_EQ(fault_of(request), std::nullopt);
  for (const auto& header : {authcached::HttpHeader{"A", "b\r\nX: canary"},
                             {"A\r\n", "canary"},
                             {"A", std::string("canary\0", 7)},
                             {"Host", "canary"},
                             {"content-LENGTH", "0"},
                             {"", "canary"},
                             {"A", " canary"},
                             {"Transfer-Encoding", "canary"},
                             {"Accept-Encoding", "gzip"},
                             {"A", std::string(40'000, 'c')}}) {
    request.headers = {header};
    const auto fault = fault_of(request);
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->find("canary"), std::string::npos);
  }
  request.headers.clear();
  for (const char* method : {"", "G T", "GET\r\n", "CONNECT"}) {
    request.method = method;
    EXPECT_TRUE(fault_of(request));
  }
}

}  // namespace
