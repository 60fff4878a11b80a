#include "shm/authorization.hpp"

#include <gtest/gtest.h>

#include <string>

#include "libclient/include/authcache/authcache.h"

namespace {

using authcache::shm::parse_authorization;
using authcache::shm::TokenParse;
using authcache::shm::TokenScheme;

std::string parsed(std::string_view header, TokenScheme scheme = TokenScheme::kBearer) {
  std::string_view token;
  switch (parse_authorization(header, scheme, token)) {
    case TokenParse::kToken: return std::string(token);
    case TokenParse::kOtherScheme: return "<other scheme>";
    case TokenParse::kMalformed: break;
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
  EXPECT_EQ(parsed(""), "<other scheme>");
  EXPECT_EQ(parsed("Basic dXNlcjpwYXNz"), "<other scheme>");
  EXPECT_EQ(parsed("DPoP abc"), "<other scheme>");
  EXPECT_EQ(parsed("Bearers abc"), "<other scheme>");
  EXPECT_EQ(parsed("Bearer-x abc"), "<other scheme>");
  EXPECT_EQ(parsed("Beare"), "<other scheme>");
}

TEST(DpopScheme, A8_1_TakesOneToken68InAnyCaseOfTheScheme) {
  const auto dpop = [](std::string_view header) { return parsed(header, TokenScheme::kDpop); };
  EXPECT_EQ(dpop("DPoP abc"), "abc");
  EXPECT_EQ(dpop("dpop abc"), "abc");
  EXPECT_EQ(dpop("DPOP    eyJhbGciOiJFUzI1NiJ9.e30.c2ln"), "eyJhbGciOiJFUzI1NiJ9.e30.c2ln");
  EXPECT_EQ(dpop("DPoP aZ09-._~+/=="), "aZ09-._~+/==");
  for (const std::string header : {"DPoP", "DPoP ", "DPoP\tabc", "DPoP a b", "DPoP a, DPoP b", "DPoP a, Bearer b",
                                   "DPoP =", "DPoP a=b", "DPoP a ", " DPoP abc", "DPoP=abc", "DPoP a\n"}) {
    EXPECT_EQ(dpop(header), "<malformed>") << header;
  }
}

TEST(DpopScheme, A8_2_ATokenOfTheOneSchemeIsNoneOfTheOther) {
  for (const std::string header : {"", "Bearer abc", "Basic dXNlcg==", "DPoPs abc", "DPoP-x abc", "DPo"})
    EXPECT_EQ(parsed(header, TokenScheme::kDpop), "<other scheme>") << header;
  EXPECT_EQ(parsed("DPoP abc"), "<other scheme>");
  EXPECT_EQ(parsed("DPoP a b"), "<other scheme>") << "malformed is only what is of this scheme";
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
  const char with_proof[] = "DPoP abc";
  EXPECT_EQ(authcache_bearer(with_proof, sizeof with_proof - 1, &token, &length), AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(authcache_dpop_token(with_proof, sizeof with_proof - 1, &token, &length), AUTHCACHE_OK);
  EXPECT_EQ(token, with_proof + 5);
  EXPECT_EQ(length, 3u);
  EXPECT_EQ(authcache_dpop_token(header, sizeof header - 1, &token, &length), AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(token, nullptr);
  EXPECT_EQ(authcache_dpop_token("DPoP a b", 8, &token, &length), AUTHCACHE_ERROR_MALFORMED);
  EXPECT_EQ(authcache_dpop_token(nullptr, 0, &token, &length), AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(authcache_dpop_token(nullptr, 3, &token, &length), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_dpop_token(header, 1, nullptr, &length), AUTHCACHE_ERROR_USAGE);
}

}  // namespace
