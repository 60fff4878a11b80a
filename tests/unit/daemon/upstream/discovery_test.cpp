// Where an issuer's metadata is looked for, and what of it is believed.
#include "daemon/upstream/discovery.hpp"

#include <gtest/gtest.h>

namespace {

using namespace authcached;

constexpr const char* kIssuer = "https://issuer.example/tenant";

std::string uri(const std::string& metadata) {
  const auto found = jwks_uri_of(metadata, kIssuer);
  return found ? *found : "refused: " + found.error().message;
}

TEST(Discovery, OpenIdAppendsToTheIssuersPathAndRfc8414InsertsBeforeIt_A4_11) {
  using Urls = std::array<std::string, 2>;
  EXPECT_EQ(metadata_urls("https://i.example"),
            (Urls{"https://i.example/.well-known/openid-configuration", "https://i.example/.well-known/oauth-authorization-server"}));
  EXPECT_EQ(metadata_urls("https://i.example/"), metadata_urls("https://i.example"));
  EXPECT_EQ(metadata_urls("https://i.example:8443/a/b"), (Urls{"https://i.example:8443/a/b/.well-known/openid-configuration",
                                                               "https://i.example:8443/.well-known/oauth-authorization-server/a/b"}));
  EXPECT_EQ(metadata_urls("https://i.example/a/"), metadata_urls("https://i.example/a"));
}

TEST(Discovery, TheIssuerMustBeTheConfiguredOneByteForByte_A4_10) {
  EXPECT_EQ(uri(R"({"issuer":"https://issuer.example/tenant","jwks_uri":"https://keys.example/k"})"), "https://keys.example/k");
  for (const char* issuer : {"https://issuer.example/tenant/", "https://issuer.example", "https://ISSUER.example/tenant",
                             "http://issuer.example/tenant", "https://issuer.example/Tenant", "", "https://issuer.example:443/tenant"}) {
    EXPECT_TRUE(uri(R"({"issuer":")" + std::string(issuer) + R"(","jwks_uri":"https://keys.example/k"})").starts_with("refused")) << issuer;
  }
  EXPECT_TRUE(uri(R"({"jwks_uri":"https://keys.example/k"})").starts_with("refused"));
  EXPECT_TRUE(uri(R"({"issuer":["https://issuer.example/tenant"],"jwks_uri":"https://keys.example/k"})").starts_with("refused"));
  EXPECT_TRUE(uri(R"({"issuer":"https://issuer.example/tenant","issuer":"https://issuer.example/tenant","jwks_uri":"https://keys.example/k"})").starts_with("refused"));
}

TEST(Discovery, TheKeySetsUrlMustBeHttps_A4_9) {
  const auto at = [](const std::string& url) { return uri(R"({"issuer":"https://issuer.example/tenant","jwks_uri":")" + url + "\"}"); };
  for (const char* url : {"http://keys.example/k", "https://user:pass@keys.example/k", "https:///k", "/k", "file:///etc/passwd", "https://keys.example/k#f", ""}) {
    EXPECT_TRUE(at(url).starts_with("refused")) << url;
  }
  EXPECT_TRUE(uri(R"({"issuer":"https://issuer.example/tenant"})").contains("jwks_url"));
}

TEST(Discovery, WhatIsNoMetadataIsRefused_A4_12) {
  for (const char* body : {"", "<html></html>", "[]", "null", R"({"issuer":"https://issuer.example/tenant")", "\"https://keys.example\""}) {
    EXPECT_TRUE(uri(body).starts_with("refused")) << body;
  }
}

}  // namespace
