#include "daemon/io/http/url.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::HttpUrl;
using authcached::parse_http_url;
using authcached::resolve_location;

HttpUrl good(std::string_view text, bool loopback = false) {
  const auto url = parse_http_url(text, loopback);
  EXPECT_TRUE(url) << text << ": " << url.error().message;
  return url.value_or(HttpUrl{});
}
bool refused(std::string_view text, bool loopback = false) {
  return !parse_http_url(text, loopback).has_value();
}

TEST(HttpUrl, IsTakenApart) {
  const HttpUrl plain = good("https://IdP.example");
  EXPECT_TRUE(plain.tls);
  EXPECT_EQ(plain.host, "idp.example");
  EXPECT_EQ(plain.port, 443);
  EXPECT_EQ(plain.authority, "idp.example");
  EXPECT_EQ(plain.target, "/");
  EXPECT_EQ(plain.origin(), "https://idp.example:443");
  const HttpUrl full = good("https://idp.example:8443/realms/a%20b/certs?x=%2F&y");
  EXPECT_EQ(full.authority, "idp.example:8443");
  EXPECT_EQ(full.target, "/realms/a%20b/certs?x=%2F&y");
  EXPECT_FALSE(full.literal);
  EXPECT_EQ(good("https://idp.example:443/a").authority, "idp.example");
}

TEST(HttpUrl, AddressesAreKnownAsSuch) {
  const HttpUrl v6 = good("https://[2001:DB8::1]:8443/");
  EXPECT_TRUE(v6.literal);
  EXPECT_EQ(v6.host, "2001:db8::1");
  EXPECT_EQ(v6.authority, "[2001:db8::1]:8443");
  EXPECT_EQ(v6.place(), "[2001:db8::1]:8443");
  EXPECT_TRUE(good("https://192.0.2.7/").literal);
}

TEST(HttpUrl, HttpIsForThisHostAloneAndOnlyWhereItIsAllowed) {
  EXPECT_FALSE(good("http://127.0.0.1:8080/a", true).tls);
  EXPECT_FALSE(good("http://[::1]/", true).tls);
  EXPECT_FALSE(good("http://localhost/", true).tls);
  EXPECT_TRUE(refused("http://127.0.0.1:8080/a"));
  EXPECT_TRUE(refused("http://idp.example/", true));
  EXPECT_TRUE(refused("http://127.0.0.1.example/", true));
  EXPECT_TRUE(refused("http://localhost.example/", true));
  EXPECT_TRUE(refused("http://[::ffff:10.0.0.1]/", true));
}

TEST(HttpUrl, WhatCannotBeMeantIsRefused) {
  for (const char* text :
       {"", "idp.example/a", "/a", "ftp://idp.example/", "https://", "https:///a",
        "https://user@idp.example/", "https://user:secret@idp.example/", "https://idp.example/#part",
        "https://idp.example/a b", "https://idp.example/\r\nX: y", "https://idp.example:0/",
        "https://idp.example:65536/", "https://idp.example:x/", "https://idp%2eexample/", "https://idp_\x80/",
        "https://[::1%25lo]/", "https://[v1.x]/", "file:///etc/passwd"}) {
    EXPECT_TRUE(refused(text, true)) << text;
  }
  EXPECT_TRUE(refused("https://idp.example/" + std::string(2048, 'a')));
}

TEST(HttpUrl, B18_ARefusalNeverRepeatsTheUrl) {
  const auto url = parse_http_url("https://user:canary-secret@idp.example/", false);
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message.find("canary"), std::string::npos);
}

TEST(HttpUrl, ALocationIsReadAgainstTheUrlItAnswers) {
  const HttpUrl from = good("https://idp.example/a/b?c");
  EXPECT_EQ(resolve_location(from, "../d?e#f", false)->target, "/d?e");
  EXPECT_EQ(resolve_location(from, "/x", false)->origin(), from.origin());
  EXPECT_EQ(resolve_location(from, "//other.example/x", false)->origin(), "https://other.example:443");
  EXPECT_EQ(resolve_location(from, "https://idp.example:444/", false)->origin(), "https://idp.example:444");
  EXPECT_FALSE(resolve_location(from, "http://idp.example/", true));
  EXPECT_FALSE(resolve_location(from, "https://u@idp.example/", false));
  EXPECT_FALSE(resolve_location(from, std::string(3000, 'a'), false));
}

}  // namespace
