// Which texts are URLs that may be asked: A4_9.
#include "daemon/base/https_url.hpp"

#include <gtest/gtest.h>

namespace authcached {
namespace {

TEST(HttpsUrl, WhatAnEndpointIsCalledByIsTaken) {
  for (const char* url : {"https://a.example", "https://a.example/", "https://a.example:8443/x/y?z=1&w=%20", "https://10.0.0.1/k", "https://[::1]:443/k",
                          "https://[fd00::1]/", "https://localhost/jwks", "https://under_score.example/"}) {
    EXPECT_FALSE(https_url_fault(url)) << url << " " << *https_url_fault(url);
  }
}

TEST(HttpsUrl, EverythingElseIsRefusedWithoutBeingQuoted_A4_9) {
  for (const std::string& url : {std::string("http://a.example/"), std::string("HTTPS://a.example"), std::string("ftp://a.example"), std::string("a.example"), std::string(),
                                 std::string("https://"), std::string("https:///x"), std::string("https://user:pass@a.example/"), std::string("https://a.example@b.example/"),
                                 std::string("https://a.example/#x"), std::string("https://a.example/a b"), std::string("https://a.example/\n"),
                                 std::string("https://a.example\\@b.example/"), std::string("https://a.example:0/"), std::string("https://a.example:65536/"),
                                 std::string("https://a.example:/"), std::string("https://a.example:x/"), std::string("https://%61.example/"), std::string("https://a.example/%2"),
                                 std::string("https://a.example/%zz"), std::string("https://[::1/"), std::string("https://[x]/"), std::string("https://.a/"),
                                 std::string("https://a.example/\0", 19), std::string("https://b\xc3\xbc.example/"), "https://a.example/" + std::string(3'000, 'x')}) {
    const auto fault = https_url_fault(url);
    ASSERT_TRUE(fault) << url;
    EXPECT_FALSE(fault->contains("pass")) << *fault;
  }
}

TEST(HttpsUrl, AnIssuerHasNoQuery) {
  EXPECT_FALSE(issuer_url_fault("https://a.example/tenant"));
  EXPECT_TRUE(issuer_url_fault("https://a.example/?tenant=1"));
  EXPECT_TRUE(issuer_url_fault("http://a.example"));
}

}  // namespace
}  // namespace authcached
