#include "shm/bearer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "libclient/include/authcache/authcache.h"

namespace {

using authcache::shm::BearerParse;
using authcache::shm::parse_bearer;

std::string parsed(std::string_view header) {
  std::string_view token;
  switch (parse_bearer(header, token)) {
    case BearerParse::kToken: return std::string(token);
    case BearerParse::kNotBearer: return "<not bearer>";
    case BearerParse::kMalformed: break;
  }
  return "<malformed>";
}

TEST(Bearer, A7_1_TakesOneToken68InAnyCaseOfTheScheme) {
  EXPECT_EQ(parsed("Bearer abc"), "abc");
  EXPECT_EQ(parsed("bearer abc"), "abc");
  EXPECT_EQ(parsed("BEARER abc"), "abc");
  EXPECT_EQ(parsed("bEaReR    abc"), "abc");
  EXPECT_EQ(parsed("Bearer aZ09-._~+/"), "aZ09-._~+/");
  EXPECT_EQ(parsed("Bearer abc=="), "abc==");
  EXPECT_EQ(parsed("Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"), "eyJhbGciOiJFUzI1NiJ9.e30.c2ln");
}

TEST(Bearer, A7_2_RefusesABearerWithoutExactlyOneWellFormedToken) {
  for (const std::string header :
       {"Bearer",     "Bearer ",         "Bearer   ",    "Bearer\tabc",  "Bearer \tabc",
        "Bearer a b", "Bearer a,b",      "Bearer \"a\"", "Bearer a\x01", "Bearer a\r\n b",
        "Bearer a\n", "Bearer \xc3\xa9", "Bearer =",     "Bearer a=b",   "Bearer a ",
        "Bearer,",    "Bearer=abc",      " Bearer abc",  "Bearer: abc",  "Bearer a\x7f"}) {
    EXPECT_EQ(parsed(header), "<malformed>") << header;
  }
  EXPECT_EQ(parsed(std::string_view("Bearer a\0b", 10)), "<malformed>");
  EXPECT_EQ(parsed(std::string_view("Bearer\0abc", 10)), "<malformed>");
}

TEST(Bearer, A7_3_RefusesTwoHeadersJoinedIntoOne) {
  EXPECT_EQ(parsed("Bearer abc, Bearer def"), "<malformed>");
}

TEST(Bearer, A7_4_NoCredentialsAndOtherSchemesAreNotMalformed) {
  EXPECT_EQ(parsed(""), "<not bearer>");
  EXPECT_EQ(parsed("Basic dXNlcjpwYXNz"), "<not bearer>");
  EXPECT_EQ(parsed("DPoP abc"), "<not bearer>");
  EXPECT_EQ(parsed("Bearers abc"), "<not bearer>");
  EXPECT_EQ(parsed("Bearer-x abc"), "<not bearer>");
  EXPECT_EQ(parsed("Beare"), "<not bearer>");
}

TEST(Bearer, EveryByteAfterTheSchemeIsCheckedAgainstTheGrammar) {
  const std::string allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = std::string("a") + static_cast<char>(byte) + "a";
    const bool good = allowed.find(static_cast<char>(byte)) != std::string::npos;
    EXPECT_EQ(parsed("Bearer " + token), good ? token : "<malformed>") << byte;
  }
}

TEST(Bearer, TheCFunctionPointsIntoTheHeader) {
  const char header[] = "Bearer abc";
  const char* token = nullptr;
  std::size_t length = 0;
  EXPECT_EQ(authcache_bearer(header, sizeof header - 1, &token, &length), AUTHCACHE_OK);
  EXPECT_EQ(token, header + 7);
  EXPECT_EQ(length, 3u);
  EXPECT_EQ(authcache_bearer("Bearer", 6, &token, &length), AUTHCACHE_ERROR_MALFORMED);
  EXPECT_EQ(token, nullptr);
  EXPECT_EQ(authcache_bearer(nullptr, 0, &token, &length), AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(authcache_bearer(nullptr, 3, &token, &length), AUTHCACHE_ERROR_USAGE);
}

}  // namespace
