// A8.3: which spellings of a request's URL are one, and which are none.
#include "daemon/token/http_uri.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::normal_http_uri;

std::string normal(std::string_view uri) { return normal_http_uri(uri).value_or("refused"); }

TEST(HttpUri, A8_3_OneResourceHasOneSpelling) {
  const struct {
    const char *uri, *spelling;
  } cases[] = {
      {"https://api.example/orders", "https://api.example/orders"},
      {"HTTPS://API.Example/orders", "https://api.example/orders"},
      {"https://api.example", "https://api.example/"},
      {"https://api.example:443/", "https://api.example/"},
      {"https://api.example:/", "https://api.example/"},
      {"https://api.example:00443/", "https://api.example/"},
      {"http://api.example:80/", "http://api.example/"},
      {"http://api.example:443/", "http://api.example:443/"},
      {"https://api.example:80/", "https://api.example:80/"},
      {"https://api.example:65535/", "https://api.example:65535/"},
      {"https://api.example?x=1", "https://api.example/"},
      {"https://api.example/orders?x=/../y#z", "https://api.example/orders"},
      {"https://api.example/orders#a?b", "https://api.example/orders"},
      {"https://api.example/%6frders", "https://api.example/orders"},
      {"https://api.example/a%2fb", "https://api.example/a%2Fb"},
      {"https://api.example/%c3%a9", "https://api.example/%C3%A9"},
      {"https://a%70i.example/", "https://api.example/"},
      {"https://api.example/a/./b/../c", "https://api.example/a/c"},
      {"https://api.example/a/%2e%2E/b", "https://api.example/b"},
      {"https://api.example/../..", "https://api.example/"},
      {"https://api.example/a/..", "https://api.example/"},
      {"https://api.example/a/.", "https://api.example/a/"},
      {"https://api.example/a//b", "https://api.example/a//b"},
      {"https://api.example/a//../b", "https://api.example/a/b"},
      {"https://api.example/...", "https://api.example/..."},
      {"https://[2001:DB8::1]/", "https://[2001:db8::1]/"},
      {"https://[2001:db8::1]:443/", "https://[2001:db8::1]/"},
      {"https://[::1]:8443/", "https://[::1]:8443/"},
      {"https://api.example/!$&'()*+,;=:@~-._", "https://api.example/!$&'()*+,;=:@~-._"},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(normal(each.uri), each.spelling) << each.uri;
    EXPECT_EQ(normal(each.spelling), each.spelling) << "a second time";
  }
}

TEST(HttpUri, A8_3_DifferentResourcesStayDifferent) {
  const std::string one = normal("https://api.example/orders");
  for (const char* other :
       {"http://api.example/orders", "https://api.example:8443/orders", "https://api.example./orders",
        "https://api.example/Orders", "https://api.example/orders/", "https://api.example//orders",
        "https://api.example/orders%2F", "https://api.example/orders;v=1", "https://www.api.example/orders",
        "https://api.example/%256frders"}) {
    EXPECT_NE(normal(other), one) << other;
    EXPECT_NE(normal(other), "refused") << other;
  }
}

TEST(HttpUri, A8_3_WhatIsNoSoundHttpUriIsRefused) {
  using namespace std::string_view_literals;
  for (const auto uri : {""sv,
                         "/orders"sv,
                         "//api.example/"sv,
                         "api.example/"sv,
                         "ftp://api.example/"sv,
                         "https:/api.example/"sv,
                         "https:"sv,
                         "https://"sv,
                         "https:///orders"sv,
                         "https://?x"sv,
                         "https://:443/"sv,
                         "https://user@api.example/"sv,
                         "https://user:pass@api.example/"sv,
                         "https://api.example:x/"sv,
                         "https://api.example:65536/"sv,
                         "https://api.example:0/"sv,
                         "https://api.example:000443443/"sv,
                         "https://api.example:1:2/"sv,
                         "https://api.example/a b"sv,
                         "https://api.example/a\\b"sv,
                         "https://api.example/%"sv,
                         "https://api.example/%4"sv,
                         "https://api.example/%zz"sv,
                         "https://api.example/\xc3\xa9"sv,
                         "https://api.ex\xc3\xa4mple/"sv,
                         "https://api.example/a\0b"sv,
                         "https://api\0.example/"sv,
                         "https://api.example/\n"sv,
                         "https://api.example/<a>"sv,
                         "https://[::1/"sv,
                         "https://[]/"sv,
                         "https://[v1.x]/"sv,
                         "https://[fe80::1%25eth0]/"sv,
                         "https://::1/"sv,
                         "https://a[::1]/"sv,
                         "https://[::1]x/"sv,
                         " https://api.example/"sv,
                         "https://api.example /"sv,
                         "https://api.example\\evil/"sv}) {
    EXPECT_EQ(normal(uri), "refused") << uri;
  }
}

}  // namespace
