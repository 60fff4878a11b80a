// HTTP/2 as frames: many exchanges at once, and servers that break the rules.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/io/http/session.hpp"
#include "tests/support/http2_frames.hpp"

namespace {

namespace h2 = authcached::testing::http2;
using authcached::Exchange;
using authcached::FailureKind;

class Http2SessionTest : public ::testing::Test {
 protected:
  void SetUp() override { begin(); }
  void begin(std::string_view settings = {}) {
    session_ = authcached::make_http2_session();
    unread_.clear();
    sent();
    session_->receive(h2::frame(h2::kSettings, 0, 0, settings) + h2::frame(h2::kSettings, h2::kAck, 0));
    sent();
  }
  std::shared_ptr<Exchange> start(std::string method = "GET", std::string body = "") {
    auto exchange = std::make_shared<Exchange>();
    exchange->request.method = std::move(method);
    exchange->request.headers = {{"Authorization", "Bearer canary"}};
    exchange->request.body = std::move(body);
    exchange->request.body_max = 1000;
    exchange->url = authcached::parse_http_url("https://idp.example/introspect", false).value();
    session_->start(exchange);
    return exchange;
  }
  std::vector<h2::Seen> sent() {
    session_->take_output(unread_, SIZE_MAX);
    return h2::take_frames(unread_);
  }
  std::vector<std::shared_ptr<Exchange>> receive(std::string_view bytes) {
    session_->receive(bytes);
    sent();
    return session_->take_finished();
  }
  // The one exchange of a new session, after this.
  std::shared_ptr<Exchange> after(std::string_view bytes, std::string method = "GET") {
    begin();
    const auto exchange = start(std::move(method));
    sent();
    const auto finished = receive(bytes);
    return finished.size() == 1 && finished[0] == exchange ? exchange : nullptr;
  }
  std::optional<FailureKind> failure_after(std::string_view bytes) {
    const auto exchange = after(bytes);
    EXPECT_TRUE(exchange) << "not finished";
    return exchange && exchange->failure ? std::optional(exchange->failure->kind) : std::nullopt;
  }

  std::unique_ptr<authcached::Session> session_;
  std::string unread_;
};

TEST_F(Http2SessionTest, CarriesManyExchangesAtOnceAndAnswersInAnyOrder) {
  std::vector<std::shared_ptr<Exchange>> all;
  for (int i = 0; i < 50; ++i) all.push_back(start("POST", "token=" + std::to_string(i)));
  const auto frames = sent();
  EXPECT_EQ(std::ranges::count_if(frames, [](const auto& frame) { return frame.type == h2::kHeaders; }), 50);
  for (const auto& frame : frames) {
    if (frame.type != h2::kData) continue;
    EXPECT_EQ(frame.payload, "token=" + std::to_string((frame.stream - 1) / 2));
    EXPECT_EQ(frame.flags, h2::kEndStream);
  }
  std::string answers;
  for (std::uint32_t i = 50; i-- > 0;) answers += h2::whole_answer(2 * i + 1, "answer " + std::to_string(i));
  EXPECT_EQ(receive(answers).size(), 50U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i]->failure);
    EXPECT_EQ(all[i]->response.status, 200U);
    EXPECT_EQ(all[i]->response.body, "answer " + std::to_string(i));
  }
  EXPECT_EQ(session_->open(), 0U);
  EXPECT_FALSE(session_->over());
}

TEST_F(Http2SessionTest, AnAnswerInPiecesIsJoined) {
  const auto exchange = start();
  sent();
  const std::string bytes =
      h2::frame(h2::kHeaders, h2::kEndHeaders, 1,
                "\x48\x03"
                "103") +
      h2::frame(h2::kHeaders, 0, 1, h2::kStatus200) +
      h2::frame(h2::kContinuation, h2::kEndHeaders, 1, h2::field("etag", "\"a\"")) +
      h2::frame(h2::kData, 0, 1, "ab") + h2::frame(h2::kData, 0, 1, "c") +
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, h2::field("late", "trailer"));
  // Three bytes: nghttp2 takes a CONTINUATION whose head comes in nine pieces for nine of them, and for a
  // flood.
  for (std::size_t at = 0; at < bytes.size(); at += 3)
    session_->receive(std::string_view(bytes).substr(at, 3));
  sent();
  ASSERT_EQ(session_->take_finished().size(), 1U);
  ASSERT_FALSE(exchange->failure) << exchange->failure->cause;
  EXPECT_EQ(exchange->response.status, 200U);
  EXPECT_EQ(exchange->response.body, "abc");
  EXPECT_EQ(exchange->response.header("etag"), "\"a\"");
  EXPECT_EQ(exchange->response.header("late"), std::nullopt) << "a trailer is no header";
}

TEST_F(Http2SessionTest, TakesAsManyStreamsAsTheServerGrants) {
  begin(h2::setting(h2::kMaxConcurrentStreams, 3));
  EXPECT_EQ(session_->capacity(), 3U);
  std::vector<std::shared_ptr<Exchange>> all = {start(), start(), start()};
  EXPECT_EQ(session_->capacity(), 0U);
  sent();
  EXPECT_EQ(receive(h2::whole_answer(3, "")).size(), 1U);
  EXPECT_EQ(session_->capacity(), 1U);
  session_->receive(h2::frame(h2::kSettings, 0, 0, h2::setting(h2::kMaxConcurrentStreams, 0)));
  EXPECT_EQ(session_->capacity(), 0U);
}

TEST_F(Http2SessionTest, ALargeQuestionWaitsForTheServersWindow) {
  start("POST", std::string(100'000, 'x'));
  const auto bytes_of = [](const std::vector<h2::Seen>& frames) {
    std::size_t bytes = 0;
    for (const auto& frame : frames) bytes += frame.type == h2::kData ? frame.payload.size() : 0;
    return bytes;
  };
  EXPECT_EQ(bytes_of(sent()), 65'535U);
  session_->receive(h2::frame(h2::kWindowUpdate, 0, 0, h2::number(1 << 20)) +
                    h2::frame(h2::kWindowUpdate, 0, 1, h2::number(1 << 20)));
  EXPECT_EQ(bytes_of(sent()), 100'000U - 65'535U);
}

TEST_F(Http2SessionTest, WindowsAreOpenedAgainAsBodiesAreRead) {
  std::size_t updates = 0;
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    start();
    sent();
    session_->receive(h2::whole_answer(2 * i + 1, std::string(1000, 'x')));
    for (const auto& frame : sent()) updates += frame.type == h2::kWindowUpdate ? 1 : 0;
    ASSERT_EQ(session_->take_finished().size(), 1U) << i;
  }
  EXPECT_GT(updates, 0U);
}

TEST_F(Http2SessionTest, AGoawaySendsBackWhatTheServerDidNotTake) {
  const auto first = start(), second = start();
  sent();
  auto finished = receive(h2::goaway(1));
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_EQ(finished[0], second);
  EXPECT_EQ(second->failure->kind, FailureKind::kNotTaken);
  EXPECT_EQ(session_->capacity(), 0U);
  EXPECT_FALSE(session_->over()) << "the first is still to be answered";
  finished = receive(h2::whole_answer(1, "last"));
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_FALSE(first->failure);
  EXPECT_TRUE(session_->over());
}

TEST_F(Http2SessionTest, AResetStreamIsNotAnAnswer) {
  EXPECT_EQ(failure_after(h2::reset(1, 7)), FailureKind::kNotTaken);
  for (const std::uint32_t error : {0U, 1U, 2U, 8U, 99U}) {
    EXPECT_TRUE(failure_after(h2::reset(1, error))) << error;
    EXPECT_TRUE(failure_after(h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200) +
                              h2::frame(h2::kData, 0, 1, "half") + h2::reset(1, error)))
        << error;
  }
  EXPECT_FALSE(session_->over()) << "the connection is good";
  // The whole answer came; that the server does not want the rest of the question changes nothing.
  begin();
  const auto exchange = start("POST", std::string(100'000, 'x'));
  sent();
  EXPECT_EQ(receive(h2::whole_answer(1, "enough") + h2::reset(1, 0)).size(), 1U);
  EXPECT_FALSE(exchange->failure);
}

TEST_F(Http2SessionTest, EverySizeHasALimit) {
  const std::string head = h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200);
  EXPECT_EQ(failure_after(h2::frame(h2::kHeaders, h2::kEndHeaders, 1,
                                    h2::kStatus200 + h2::field("content-length", "1001"))),
            FailureKind::kLimit);
  EXPECT_EQ(failure_after(head + h2::frame(h2::kData, 0, 1, std::string(1001, 'x'))), FailureKind::kLimit);
  EXPECT_EQ(failure_after(head + h2::frame(h2::kData, 0, 1, std::string(1000, 'x')) +
                          h2::frame(h2::kData, 0, 1, "x")),
            FailureKind::kLimit);
  EXPECT_EQ(failure_after(head + h2::frame(h2::kData, h2::kEndStream, 1, std::string(1000, 'x'))),
            std::nullopt);
  std::string many;
  for (std::size_t i = 0; i <= authcached::kHeadersMax; ++i) many += h2::field("a", "b");
  EXPECT_EQ(failure_after(h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200 + many)),
            FailureKind::kLimit);
  const std::string large = h2::field("a", std::string(12'000, 'x'));
  EXPECT_EQ(failure_after(h2::frame(h2::kHeaders, 0, 1, h2::kStatus200 + large) +
                          h2::frame(h2::kContinuation, 0, 1, large) +
                          h2::frame(h2::kContinuation, h2::kEndHeaders, 1, large)),
            FailureKind::kLimit);
  EXPECT_FALSE(session_->over()) << "the connection is good";
  std::string interim;
  for (unsigned i = 0; i <= authcached::kInterimMax; ++i)
    interim += h2::frame(h2::kHeaders, h2::kEndHeaders, 1,
                         "\x48\x03"
                         "103");
  EXPECT_EQ(failure_after(interim), FailureKind::kLimit);
}

TEST_F(Http2SessionTest, WhatBreaksTheRulesIsNotAnAnswer) {
  const std::string head = h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200);
  const std::string broken[] = {
      h2::frame(h2::kData, h2::kEndStream, 1, "no headers"),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, h2::field("a", "no status")),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, h2::kStatus200 + h2::kStatus200),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1,
                h2::kStatus200 + h2::field("Upper", "case")),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1,
                h2::kStatus200 + h2::field("connection", "close")),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1,
                h2::kStatus200 + h2::field("content-length", "5")),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200 + h2::field("content-length", "5")) +
          h2::frame(h2::kData, h2::kEndStream, 1, "four"),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200 + h2::field("content-length", "3")) +
          h2::frame(h2::kData, h2::kEndStream, 1, "four"),
      h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1, "\xff\xff\xff\xff\xff\xff"),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200 + h2::field("content-encoding", "gzip")),
      h2::frame(h2::kPushPromise, h2::kEndHeaders, 1, h2::number(2) + h2::kStatus200),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 2, h2::kStatus200),
      h2::frame(h2::kData, 0, 0, "x"),
      h2::frame(h2::kWindowUpdate, 0, 0, h2::number(0)),
      h2::frame(h2::kSettings, 0, 0, "odd"),
      head + h2::frame(h2::kPing, 0, 0, "short"),
      std::string("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
      std::string("\xff\xff\xff\x00\x00\x00\x00\x00\x00", 9),
  };
  for (const std::string& bytes : broken) {
    const auto kind = failure_after(bytes);
    EXPECT_EQ(kind, FailureKind::kMalformed) << ::testing::PrintToString(bytes);
  }
}

TEST_F(Http2SessionTest, APromiseFromAServerThatHasNotSeenOurSettingsIsRefusedAndChangesNoAnswer) {
  session_ = authcached::make_http2_session();
  session_->receive(h2::frame(h2::kSettings, 0, 0));
  const auto exchange = start();
  sent();
  session_->receive(h2::frame(h2::kHeaders, h2::kEndHeaders, 1, h2::kStatus200 + h2::field("etag", "a")) +
                    h2::frame(h2::kPushPromise, h2::kEndHeaders, 1,
                              h2::number(2) + "\x82\x87\x84" + h2::field(":authority", "idp.example") +
                                  h2::field("etag", "b")));
  const auto frames = sent();
  EXPECT_TRUE(std::ranges::any_of(
      frames, [](const auto& frame) { return frame.type == h2::kReset && frame.stream == 2; }));
  EXPECT_EQ(receive(h2::frame(h2::kData, h2::kEndStream, 1, "whole")).size(), 1U);
  ASSERT_FALSE(exchange->failure);
  EXPECT_EQ(exchange->response.headers.size(), 1U);
  EXPECT_EQ(exchange->response.body, "whole");
}

TEST_F(Http2SessionTest, AFloodEndsTheConnection) {
  start();
  sent();
  std::string flood;
  for (int i = 0; i < 100'000; ++i) flood += h2::frame(h2::kPing, 0, 0, "12345678");
  session_->receive(flood);  // and nothing of what we answer is read
  const auto finished = session_->take_finished();
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_EQ(finished[0]->failure->kind, FailureKind::kMalformed);
}

TEST_F(Http2SessionTest, ACancelledExchangeIsNotTouchedAgain) {
  for (const char* method : {"GET", "POST"}) {
    begin();
    const std::size_t room = session_->capacity();
    auto exchange = start(method, method == std::string("POST") ? std::string(100'000, 'x') : "");
    if (method == std::string("GET")) sent();
    session_->cancel(*exchange);
    const std::weak_ptr<Exchange> watched = exchange;
    exchange.reset();
    EXPECT_TRUE(watched.expired()) << "nobody holds it";
    sent();
    if (method == std::string("GET")) {
      EXPECT_TRUE(receive(h2::whole_answer(1, "late")).empty());
    }
    EXPECT_EQ(session_->open(), 0U);
    EXPECT_EQ(session_->capacity(), room) << "its place is free again";
    const auto next = start();
    sent();
    EXPECT_EQ(receive(h2::whole_answer(3, "next")).size(), 1U);
    EXPECT_FALSE(next->failure);
  }
}

TEST_F(Http2SessionTest, AnEndLosesWhatIsOpenAndKeepsWhatIsWhole) {
  const auto whole = start(), half = start();
  sent();
  session_->receive(h2::whole_answer(1, "whole") +
                    h2::frame(h2::kHeaders, h2::kEndHeaders, 3, h2::kStatus200));
  session_->end(true, {FailureKind::kLost, "ended"});
  EXPECT_EQ(session_->take_finished().size(), 2U);
  EXPECT_FALSE(whole->failure);
  EXPECT_EQ(half->failure->kind, FailureKind::kLost);
  EXPECT_TRUE(session_->over());
  begin();
  const auto fresh = start();
  session_->end(true, {FailureKind::kLost, "ended"});
  EXPECT_EQ(fresh->failure->kind, FailureKind::kLost) << "a new connection is not stale";
}

TEST_F(Http2SessionTest, APingIsSentAndARetiredSessionEnds) {
  ASSERT_TRUE(session_->ping());
  const auto frames = sent();
  EXPECT_TRUE(std::ranges::any_of(
      frames, [](const auto& frame) { return frame.type == h2::kPing && frame.flags == 0; }));
  start();
  sent();
  session_->retire();
  EXPECT_EQ(session_->capacity(), 0U);
  EXPECT_FALSE(session_->over());
  EXPECT_EQ(receive(h2::whole_answer(1, "")).size(), 1U);
  EXPECT_TRUE(session_->over());
}

TEST_F(Http2SessionTest, B18_SecretsStandInNoTableOfTheCompression) {
  start();
  for (const auto& frame : sent()) {
    if (frame.type != h2::kHeaders) continue;
    // 0001xxxx: a literal that is never indexed, with the static table's name 23, authorization.
    EXPECT_NE(frame.payload.find("\x1f\x08"), std::string::npos) << ::testing::PrintToString(frame.payload);
  }
}

}  // namespace
