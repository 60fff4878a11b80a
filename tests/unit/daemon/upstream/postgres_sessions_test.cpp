// Keys, arrays and times as PostgreSQL gets and gives them.
#include "daemon/upstream/postgres_sessions.hpp"

#include <gtest/gtest.h>

#include "daemon/upstream/session_key.hpp"

namespace authcached {
namespace {

// SHA-256 of "abc", FIPS 180-2 appendix B.1.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(SessionKey, EachEncodingHasItsForm) {
  EXPECT_EQ(session_key("abc", KeyEncoding::kRaw), "abc");
  EXPECT_EQ(session_key("abc", KeyEncoding::kHexSha256), kAbc);
  EXPECT_EQ(session_key("abc", KeyEncoding::kSha256)->size(), 32u);
  EXPECT_EQ(session_key("abc", KeyEncoding::kBase64urlSha256), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  EXPECT_EQ(session_key("17|abc", KeyEncoding::kIdHexSha256), std::string("17|") + kAbc);
}

TEST(SessionKey, ATokenWithoutItsIdOrItsSecretHasNone) {
  for (const char* token : {"abc", "|abc", "17|", "|", ""})
    EXPECT_FALSE(session_key(token, KeyEncoding::kIdHexSha256)) << token;
  // The first bar is where it is cut, as explode('|', $token, 2) does.
  EXPECT_NE(session_key("17|a|b", KeyEncoding::kIdHexSha256), session_key("17|a", KeyEncoding::kIdHexSha256));
  EXPECT_TRUE(session_key("17|a|b", KeyEncoding::kIdHexSha256)->starts_with("17|"));
}

TEST(SessionKey, B24_NothingButVisibleAsciiIsASessionId) {
  for (const KeyEncoding encoding : {KeyEncoding::kRaw, KeyEncoding::kIdHexSha256, KeyEncoding::kSha256}) {
    for (const std::string& token :
         {std::string(), std::string("1|a\0b", 5), std::string("1|a b"), std::string("1|a\r\nb"),
          std::string("1|\xc3\xa4"), std::string("1|a\x7f"),
          "1|" + std::string(kSessionTokenBytesMax, 'a')}) {
      EXPECT_FALSE(could_be_session(token, encoding)) << token.size();
    }
  }
  EXPECT_TRUE(could_be_session("1|a'b\"c\\", KeyEncoding::kRaw));
  EXPECT_TRUE(could_be_session("1|abc", KeyEncoding::kIdHexSha256));
  EXPECT_FALSE(could_be_session("1|abc", KeyEncoding::kSha256));
  EXPECT_FALSE(could_be_session("abc", KeyEncoding::kIdHexSha256));
}

TEST(PostgresArray, IsTheServersBinaryForm) {
  constexpr std::uint32_t kText = 25;
  const std::string_view elements[] = {"ab", ""};
  const std::string expected(
      "\0\0\0\1"
      "\0\0\0\0"
      "\0\0\0\x19"
      "\0\0\0\2"
      "\0\0\0\1"
      "\0\0\0\2"
      "ab"
      "\0\0\0\0",
      30);
  EXPECT_EQ(postgres_array(elements, kText), expected);
  EXPECT_EQ(postgres_array({}, kText), std::string("\0\0\0\0"
                                                   "\0\0\0\0"
                                                   "\0\0\0\x19",
                                                   12));
}

TEST(DecimalSeconds, AreReadStrictlyAndRoundedDown) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  EXPECT_EQ(decimal_seconds_ns("1700000000"), 1'700'000'000 * kSecond);
  EXPECT_EQ(decimal_seconds_ns("1700000000.25"), 1'700'000'000 * kSecond + kSecond / 4);
  EXPECT_EQ(decimal_seconds_ns("1.9999999999"), 2 * kSecond - 1);
  EXPECT_EQ(decimal_seconds_ns("0"), 0);
  for (const char* text : {"", "-1", "+1", "1e9", "NaN", "Infinity", "1.5.5", "1,5", " 1", "1 ", "9223372036",
                           "1700000000000", ".5"}) {
    EXPECT_FALSE(decimal_seconds_ns(text)) << text;
  }
}

}  // namespace
}  // namespace authcached
