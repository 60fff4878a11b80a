#include "daemon/token/base64url.hpp"

#include <gtest/gtest.h>

#include "tests/support/jwt_mint.hpp"

namespace {

using authcached::base64url_decode;
using authcached::base64url_encode;

TEST(Base64url, EveryLengthAndByteComesBack) {
  std::string bytes;
  for (int length = 0; length <= 300; ++length) {
    const std::string text = base64url_encode(bytes);
    EXPECT_EQ(text, authcache_test::base64url(bytes)) << length;
    EXPECT_EQ(base64url_decode(text), bytes) << length;
    bytes.push_back(static_cast<char>((length * 7 + 3) & 0xff));
  }
}

TEST(Base64url, A1_4_ALengthThatHoldsNoWholeByteIsRefused) {
  EXPECT_FALSE(base64url_decode("A"));
  EXPECT_FALSE(base64url_decode("AAAAA"));
}

TEST(Base64url, A1_4_UnusedTrailingBitsMustBeZero) {
  EXPECT_EQ(base64url_decode("TWE"), "Ma");
  EXPECT_FALSE(base64url_decode("TWF"));
  EXPECT_EQ(base64url_decode("TQ"), "M");
  for (const char last : {'R', 'S', 'f', 'h'})
    EXPECT_FALSE(base64url_decode(std::string("T") + last)) << last;
}

TEST(Base64url, A1_4_EveryTextOfThreeCharactersIsRefusedOrComesBackByteForByte) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  int accepted = 0;
  for (const char a : kAlphabet) {
    for (const char b : kAlphabet) {
      const std::string text{'Q', a, b};
      if (const auto bytes = base64url_decode(text)) {
        ++accepted;
        EXPECT_EQ(base64url_encode(*bytes), text);
      }
    }
  }
  EXPECT_EQ(accepted, 64 * 16);
}

TEST(Base64url, A1_1_NoByteOutsideTheAlphabetIsTaken) {
  int accepted = 0;
  for (int c = 0; c < 256; ++c) {
    const bool taken = base64url_decode(std::string{'A', static_cast<char>(c), 'A', 'A'}).has_value();
    EXPECT_EQ(taken, authcached::is_base64url_char(static_cast<char>(c)));
    accepted += taken ? 1 : 0;
  }
  EXPECT_EQ(accepted, 64);
}

TEST(Base64url, PaddingIsRefused) {
  for (const char* text : {"TQ==", "TWE=", "TWFu====", "=", "TQ="})
    EXPECT_FALSE(base64url_decode(text)) << text;
}

}  // namespace
