#include "shm/wire.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm::wire;

Head head_of(const std::string& frame) {
  char bytes[kHeadBytes];
  std::memcpy(bytes, frame.data(), sizeof bytes);
  return decode_head(bytes);
}
std::string payload_of(const std::string& frame) { return frame.substr(kHeadBytes); }

// Decodes a copy with nothing behind it, so that a sanitizer sees a byte too many.
template <class Decode>
auto decode_exactly(Decode decode, std::string_view payload) {
  const std::vector<char> exact(payload.begin(), payload.end());
  return decode(std::string_view(exact.data(), exact.size())).has_value();
}

ValidateReply reply_with(std::uint8_t places) {
  ValidateReply reply{.digest = {},
                      .verdict = Verdict::kInvalid,
                      .reason = Reason::kRevoked,
                      .newest_generation = 77,
                      .place_count = places,
                      .places = {}};
  for (std::size_t i = 0; i < reply.digest.size(); ++i) reply.digest[i] = static_cast<std::uint8_t>(i + 1);
  for (std::uint64_t i = 0; i < places; ++i) reply.places[i] = {i + 1, i + 2, i + 3};
  return reply;
}

TEST(Wire, AHeadSaysSizeVersionTypeAndId) {
  std::string frame;
  append_frame(frame, Type::kControl, 0x1122'3344'5566'7788, "{}");
  const Head head = head_of(frame);
  EXPECT_EQ(head.size, 2U);
  EXPECT_EQ(head.version, kVersion);
  EXPECT_EQ(head.type, Type::kControl);
  EXPECT_EQ(head.request_id, 0x1122'3344'5566'7788U);
  EXPECT_EQ(payload_of(frame), "{}");
}

TEST(Wire, TheBytesOfAFrameAreThoseOfTheDocument) {
  std::string frame;
  append_validate(frame, 2, {.timeout_ms = 0x0102, .profile = "p", .token = "tok"});
  EXPECT_EQ(frame, std::string("\x0c\0\0\0"
                               "\x01\0"
                               "\x03\0"
                               "\x02\0\0\0\0\0\0\0"
                               "\x02\x01\0\0"
                               "\x01\0"
                               "\0\0"
                               "p"
                               "tok",
                               28));
}

TEST(Wire, AValidateReadsBack) {
  std::string frame;
  append_validate(frame, 9, {.timeout_ms = 250, .profile = "main", .token = "a.b.c"});
  EXPECT_EQ(head_of(frame).type, Type::kValidate);
  EXPECT_EQ(head_of(frame).size, payload_of(frame).size());
  const std::string payload = payload_of(frame);
  const auto read = decode_validate(payload);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->timeout_ms, 250U);
  EXPECT_EQ(read->profile, "main");
  EXPECT_EQ(read->token, "a.b.c");
}

TEST(Wire, AReplyReadsBackWithEveryCountOfPlaces) {
  for (std::uint8_t places = 0; places <= kPlacesMax; ++places) {
    std::string frame;
    const ValidateReply reply = reply_with(places);
    append_validate_reply(frame, 9, reply);
    EXPECT_EQ(head_of(frame).size, payload_of(frame).size());
    const auto read = decode_validate_reply(payload_of(frame));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->digest, reply.digest);
    EXPECT_EQ(read->verdict, reply.verdict);
    EXPECT_EQ(read->reason, reply.reason);
    EXPECT_EQ(read->newest_generation, 77U);
    EXPECT_EQ(read->place_count, places);
    EXPECT_EQ(read->places, reply.places);
  }
}

TEST(Wire, TextAndHelloReadBack) {
  std::string frame;
  append_text_request(frame, 1, {4, 5, 6});
  EXPECT_EQ(decode_text_request(payload_of(frame)), (Place{4, 5, 6}));
  frame.clear();
  append_hello_reply(frame, 1, {.generation = 8, .recency_bytes = 9});
  const auto hello = decode_hello_reply(payload_of(frame));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->generation, 8U);
  EXPECT_EQ(hello->recency_bytes, 9U);
  frame.clear();
  append_hello(frame, 1);
  EXPECT_EQ(head_of(frame).size, payload_of(frame).size());
}

TEST(Wire, B20_EveryTruncationIsRefused) {
  std::string validate, reply, text, hello;
  append_validate(validate, 1, {.timeout_ms = 1, .profile = "main", .token = ""});
  append_validate_reply(reply, 1, reply_with(2));
  append_text_request(text, 1, {1, 2, 3});
  append_hello_reply(hello, 1, {});
  const auto refuse_all = [](auto decode, const std::string& frame) {
    const std::string payload = payload_of(frame);
    ASSERT_TRUE(decode_exactly(decode, payload));
    for (std::size_t size = 0; size < payload.size(); ++size) {
      EXPECT_FALSE(decode_exactly(decode, payload.substr(0, size))) << size;
    }
  };
  refuse_all(decode_validate, validate);
  refuse_all(decode_validate_reply, reply);
  refuse_all(decode_text_request, text);
  refuse_all(decode_hello_reply, hello);
}

TEST(Wire, B20_BytesBehindAWholeMessageAreRefused) {
  std::string reply, text, hello;
  append_validate_reply(reply, 1, reply_with(1));
  append_text_request(text, 1, {1, 2, 3});
  append_hello_reply(hello, 1, {});
  EXPECT_FALSE(decode_validate_reply(payload_of(reply) + "x"));
  EXPECT_FALSE(decode_text_request(payload_of(text) + "x"));
  EXPECT_FALSE(decode_hello_reply(payload_of(hello) + "x"));
}

TEST(Wire, B20_HostileLengthsAndVerdictsAreRefused) {
  std::string frame;
  append_validate(frame, 1, {.timeout_ms = 1, .profile = "main", .token = "t"});
  for (const unsigned length : {6U, 0x00ffU, 0xffffU}) {
    std::string payload = payload_of(frame);
    payload[4] = static_cast<char>(length & 0xff);
    payload[5] = static_cast<char>(length >> 8);
    EXPECT_FALSE(decode_exactly(decode_validate, payload)) << length;
  }
  std::string reply;
  append_validate_reply(reply, 1, reply_with(2));
  for (const int places : {0, 1, 3, 255}) {
    std::string payload = payload_of(reply);
    payload[34] = static_cast<char>(places);
    EXPECT_FALSE(decode_exactly(decode_validate_reply, payload)) << places;
  }
  for (int verdict = 0; verdict < 256; ++verdict) {
    std::string payload = payload_of(reply);
    payload[32] = static_cast<char>(verdict);
    EXPECT_EQ(decode_exactly(decode_validate_reply, payload),
              verdict <= static_cast<int>(Verdict::kUnavailable))
        << verdict;
  }
}

Prove prove_with(std::string_view proof) {
  Prove prove{.timeout_ms = 0x0102, .nonce_asked = true, .token = {}, .method = "GET", .url = "https://a/", .nonce = "n-1", .proof = proof};
  for (std::size_t i = 0; i < prove.token.size(); ++i) prove.token[i] = static_cast<std::uint8_t>(i + 1);
  return prove;
}

TEST(Wire, AProofAndItsReplyReadBack) {
  for (const std::string_view proof : {std::string_view("a.b.c"), std::string_view()}) {
    std::string frame;
    append_prove(frame, 9, prove_with(proof));
    EXPECT_EQ(head_of(frame).type, Type::kProve);
    EXPECT_EQ(head_of(frame).size, frame.size() - kHeadBytes);
    const std::string payload = payload_of(frame);
    const auto prove = decode_prove(payload);
    ASSERT_TRUE(prove);
    EXPECT_EQ(prove->timeout_ms, 0x0102U);
    EXPECT_TRUE(prove->nonce_asked);
    EXPECT_EQ(prove->token, prove_with(proof).token);
    EXPECT_EQ(prove->method, "GET");
    EXPECT_EQ(prove->url, "https://a/");
    EXPECT_EQ(prove->nonce, "n-1");
    EXPECT_EQ(prove->proof, proof);
  }
  for (const Verdict verdict : {Verdict::kValid, Verdict::kInvalid, Verdict::kUnavailable}) {
    ProveReply reply{.question = prove_with("").token, .verdict = verdict, .reason = Reason::kProofReplayed, .thumbprint = {}};
    reply.thumbprint.fill(7);
    std::string frame;
    append_prove_reply(frame, 9, reply);
    EXPECT_EQ(head_of(frame).type, Type::kProveReply);
    const auto read = decode_prove_reply(payload_of(frame));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->question, reply.question);
    EXPECT_EQ(read->verdict, verdict);
    EXPECT_EQ(read->reason, Reason::kProofReplayed);
    EXPECT_EQ(read->thumbprint, reply.thumbprint);
  }
}

TEST(Wire, B20_AProofsHostileLengthsAreRefused) {
  std::string frame;
  append_prove(frame, 1, prove_with("p"));
  const std::string good = payload_of(frame);
  for (std::size_t size = 0; size < good.size() - 1; ++size) EXPECT_FALSE(decode_exactly(decode_prove, good.substr(0, size))) << size;
  const auto edited = [&](std::size_t at, int value) {
    std::string payload = good;
    payload[at] = static_cast<char>(value);
    return decode_exactly(decode_prove, payload);
  };
  EXPECT_FALSE(edited(4, 2)) << "a flag that is not known";
  EXPECT_FALSE(edited(4, 0)) << "a nonce that is not asked for";
  EXPECT_FALSE(edited(5, 33)) << "a method beyond the frame";
  EXPECT_FALSE(edited(7, 0x7f));
  EXPECT_FALSE(edited(9, 0x7f));
  for (const auto& [method, url, nonce, proof] :
       {std::tuple{33U, 1U, 1U, 1U}, std::tuple{1U, 8193U, 1U, 1U}, std::tuple{1U, 1U, 257U, 1U}, std::tuple{1U, 1U, 1U, 8193U}}) {
    const std::string text(9'000, 'x');
    Prove large = prove_with(std::string_view(text).substr(0, proof));
    large.method = std::string_view(text).substr(0, method);
    large.url = std::string_view(text).substr(0, url);
    large.nonce = std::string_view(text).substr(0, nonce);
    std::string bytes;
    append_prove(bytes, 1, large);
    EXPECT_FALSE(decode_exactly(decode_prove, payload_of(bytes)));
  }
  std::string reply;
  append_prove_reply(reply, 1, {});
  for (int verdict = 0; verdict < 256; ++verdict) {
    std::string payload = payload_of(reply);
    payload[32] = static_cast<char>(verdict);
    EXPECT_EQ(decode_exactly(decode_prove_reply, payload), verdict == 0 || verdict == 2 || verdict == 4) << verdict;
  }
  EXPECT_FALSE(decode_exactly(decode_prove_reply, payload_of(reply) + "x"));
  EXPECT_FALSE(decode_exactly(decode_prove_reply, payload_of(reply).substr(1)));
}

TEST(Wire, B20_RandomBytesNeverLeadOut) {
  authcache::shm_test::Numbers numbers(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(numbers.below(120), '\0');
    for (char& byte : bytes) byte = static_cast<char>(numbers.below(i % 2 == 0 ? 256 : 4));
    EXPECT_TRUE(!decode_exactly(decode_validate, bytes) || bytes.size() >= 8);
    EXPECT_TRUE(!decode_exactly(decode_validate_reply, bytes) || bytes.size() >= 48);
    decode_exactly(decode_text_request, bytes);
    decode_exactly(decode_hello_reply, bytes);
    EXPECT_TRUE(!decode_exactly(decode_prove, bytes) || bytes.size() >= 44);
    EXPECT_TRUE(!decode_exactly(decode_prove_reply, bytes) || bytes.size() == 72);
  }
}

}  // namespace
