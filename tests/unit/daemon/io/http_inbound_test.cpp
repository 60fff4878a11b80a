#include "daemon/io/http_inbound.hpp"

#include <gtest/gtest.h>

#include <string>

#include "daemon/io/http_answer.hpp"

namespace authcached {
namespace {

using State = InboundRead::State;

const std::string kGet =
    "GET /auth?profile=api HTTP/1.1\r\nHost: localhost\r\nAuthorization:  Bearer x \r\n\r\n";
const std::string kPost =
    "POST /revoke HTTP/1.0\r\nhost: h\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\ntoken=a";

TEST(HttpInbound, AWholeRequestIsReadAndWhatIsBehindItIsLeft) {
  InboundRequest request;
  const std::string both = kGet + kPost;
  const InboundRead read = read_request(both, 0, request);
  ASSERT_EQ(read.state, State::kComplete);
  EXPECT_EQ(read.bytes, kGet.size());
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/auth?profile=api");
  EXPECT_TRUE(request.is_http11 && request.keep_alive);
  EXPECT_EQ(request.values_of("AUTHORIZATION").first, "Bearer x");
  EXPECT_EQ(request.values_of("Author").count, 0u);
  const InboundRead second = read_request(kPost, 0, request);
  ASSERT_EQ(second.state, State::kComplete);
  EXPECT_EQ(request.body, "token=a");
  EXPECT_EQ(request.fields.size(), 3u);
  EXPECT_TRUE(!request.is_http11 && request.keep_alive);
}

TEST(HttpInbound, NoPartOfARequestIsTakenForAWholeOne) {
  for (const std::string& whole : {kGet, kPost}) {
    std::size_t searched = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      InboundRequest request;
      const InboundRead read = read_request(std::string_view(whole).substr(0, size), searched, request);
      ASSERT_EQ(read.state, State::kIncomplete) << size;
      if (read.bytes != 0) {
        EXPECT_EQ(read.bytes, whole.size());
      } else {
        searched = size;
      }
    }
    InboundRequest request;
    EXPECT_EQ(read_request(whole, searched, request).state, State::kComplete);
  }
}

TEST(HttpInbound, ALengthIsOneNumberAndNothingElse) {
  for (const std::string_view length : {"5, 5", "5,5", "+5", "0x5", "5 ", "-5", " 5 5", "5.0", ""}) {
    InboundRequest request;
    const InboundRead read = read_request(
        "POST / HTTP/1.1\r\nContent-Length: " + std::string(length) + "\r\n\r\nhello", 0, request);
    EXPECT_EQ(read.state == State::kComplete, length == "5 ")
        << length;  // white space around a value is no part of it
  }
}

TEST(HttpInbound, AnEndlessHeaderIsRefusedAtTheBound) {
  InboundRequest request;
  const std::string endless(kHttpHeaderBytesMax, 'a');
  EXPECT_EQ(read_request(std::string_view(endless).substr(1), 0, request).state, State::kIncomplete);
  EXPECT_EQ(read_request(endless, 0, request).status, 431);
  std::string large = "GET / HTTP/1.1\r\nX: ";
  large += std::string(kHttpHeaderBytesMax - large.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(read_request(large, 0, request).state, State::kComplete);
  large.insert(large.size() - 4, "x");
  EXPECT_EQ(read_request(large, 0, request).status, 431);
}

TEST(HttpAnswer, IsWrittenAsItsFormSays) {
  HttpAnswer answer;
  append_field(answer, "X", "y");
  answer.content_type = "text/plain";
  answer.body = "hello";
  std::string out;
  append_answer(out, answer, {});
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nX: y\r\nContent-Type: "
            "text/plain\r\nContent-Length: 5\r\n\r\nhello");
  out.clear();
  append_answer(out, answer, {.is_http11 = false, .keep_alive = false, .without_body = true});
  EXPECT_EQ(out,
            "HTTP/1.0 200 OK\r\nCache-Control: no-store\r\nX: y\r\nContent-Type: "
            "text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace authcached
