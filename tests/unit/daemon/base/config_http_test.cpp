// The [http] section: what it sets, and what it refuses.
#include <gtest/gtest.h>

#include "daemon/base/config.hpp"
#include "daemon/base/config_text.hpp"

namespace authcached {
namespace {

const std::string kProfiles =
    "[profile.sessions]\n[profile.api]\nupstream = \"jwks\"\nissuer = \"https://i.example\"\njwks_file = "
    "\"/etc/k.json\"\n"
    "algorithms = [\"ES256\"]\naudience = [\"api\"]\n";

ParsedConfig parse(const std::string& http) { return parse_config(http + kProfiles, "test.toml"); }

std::string faults(const std::string& http) {
  std::string all;
  for (const ConfigFault& fault : parse(http).faults)
    all += std::to_string(fault.line) + ": " + fault.message + " -> " + fault.remedy + "\n";
  return all;
}

TEST(HttpConfig, IsOffUnlessItListens) {
  EXPECT_FALSE(parse("").config.http.is_on());
  EXPECT_FALSE(parse("[http]\nconnections = 5\n").config.http.is_on());
}

TEST(HttpConfig, EveryKeyArrivesInItsFieldAndComesBackAsText) {
  const ParsedConfig parsed = parse(
      "[http]\nlisten = \"unix:/run/authcache/http.sock\"\ngroup = \"www-data\"\nhosts = [\"auth.internal\", "
      "\"10.0.0.1\"]\n"
      "identity = [\"session\", \"subject\"]\nencoding = \"percent\"\ncertificate_header = "
      "\"X-Cert\"\nconnections = 5\n"
      "idle_timeout = \"1m\"\nrequest_timeout = \"2s\"\n"
      "[http.client.orders]\nsecret_file = \"/etc/s\"\nmay = [\"revoke\"]\n"
      "[http.client.\"a.b\"]\nsecret_file = \"/etc/t\"\nmay = [\"introspect\", \"revoke\"]\n"
      "[http.logout.api]\naudience = [\"web\"]\n");
  ASSERT_TRUE(parsed.faults.empty()) << parsed.faults[0].message;
  const HttpConfig& http = parsed.config.http;
  EXPECT_TRUE(http.is_on());
  EXPECT_EQ(http.socket, "/run/authcache/http.sock");
  EXPECT_EQ(http.group, "www-data");
  EXPECT_EQ(http.hosts, (std::vector<std::string>{"auth.internal", "10.0.0.1"}));
  EXPECT_EQ(http.identity, (std::vector{HttpIdentity::kSession, HttpIdentity::kSubject}));
  EXPECT_EQ(http.encoding, HttpEncoding::kPercent);
  EXPECT_EQ(http.certificate_header, "X-Cert");
  EXPECT_EQ(http.connections, 5u);
  EXPECT_EQ(http.idle_timeout, std::chrono::seconds{60});
  EXPECT_EQ(http.request_timeout, std::chrono::seconds{2});
  ASSERT_EQ(http.clients.size(), 2u);
  EXPECT_EQ(http.clients[0], (HttpClientConfig{"a.b", "/etc/t", true, true}));
  EXPECT_EQ(http.clients[1], (HttpClientConfig{"orders", "/etc/s", false, true}));
  ASSERT_EQ(http.logouts.size(), 1u);
  EXPECT_EQ(http.logouts[0], (HttpLogoutConfig{"api", {"web"}}));
  EXPECT_EQ(parse_config(config_text(parsed.config), "again").config.http, http);
}

TEST(HttpConfig, ListensOnAUnixSocketOrTheLoopbackAndNothingElse) {
  const auto listen = [](const std::string& where) { return "[http]\nlisten = \"" + where + "\"\n"; };
  EXPECT_EQ(parse(listen("127.0.0.1:8481")).config.http.port, 8'481);
  const ParsedConfig six = parse(listen("[::1]:65535"));
  EXPECT_TRUE(six.config.http.ipv6 && six.config.http.port == 65'535);
  EXPECT_EQ(parse_config(config_text(six.config), "again").config.http, six.config.http);
  for (const std::string where :
       {"0.0.0.0:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:080", "127.0.0.1:65536",
        "127.0.0.1:80 ", "127.0.0.2:80", "localhost:80", "::1:80", "[::]:80", ":80", "80",
        "unix:", "unix:run/http.sock", "unix:/run/", "/run/http.sock", "tcp:127.0.0.1:80"}) {
    const ParsedConfig parsed = parse(listen(where));
    ASSERT_EQ(parsed.faults.size(), 1u) << where;
    EXPECT_EQ(parsed.faults[0].line, 2u) << where;
    EXPECT_NE(parsed.faults[0].remedy.find("unix:/run/authcache/http.sock"), std::string::npos) << where;
    EXPECT_FALSE(parsed.config.http.is_on()) << where;
  }
  EXPECT_NE(faults(listen("unix:/run/" + std::string(100, 'a'))), "");
}

TEST(HttpConfig, WhatAPortCannotKeepIsRefusedBesideOne) {
  const std::string port = "[http]\nlisten = \"127.0.0.1:8481\"\n";
  EXPECT_NE(faults(port + "certificate_header = \"X-Cert\"\n")
                .find("3: http.certificate_header goes with a unix socket only"),
            std::string::npos);
  EXPECT_NE(faults(port + "group = \"www-data\"\n").find("http.group"), std::string::npos);
}

TEST(HttpConfig, FaultsNameWhatIsWrong) {
  EXPECT_NE(faults("http = 1\n").find("http is a value"), std::string::npos);
  EXPECT_NE(faults("[http]\nclient = 1\n").find("http.client is a value"), std::string::npos);
  EXPECT_NE(faults("[http.client]\na = 1\n").find("http.client.a is a value"), std::string::npos);
  EXPECT_NE(faults("[http]\nlisen = \"a\"\n").find("did you mean \"listen\"?"), std::string::npos);
  EXPECT_NE(faults("[http]\nhosts = [\"a b\"]\n").find("no host"), std::string::npos);
  EXPECT_NE(faults("[http]\nidentity = [\"email\"]\n").find("no identity has"), std::string::npos);
  EXPECT_NE(faults("[http]\ncertificate_header = \"X Cert\"\n").find("not a header's name"),
            std::string::npos);
  EXPECT_NE(faults("[http.client.a]\nmay = [\"revoke\"]\n").find("http.client.a.secret_file is missing"),
            std::string::npos);
  EXPECT_NE(faults("[http.client.a]\nsecret_file = \"/s\"\n").find("http.client.a.may is missing"),
            std::string::npos);
  EXPECT_NE(faults("[http.client.a]\nsecret_file = \"/s\"\nmay = [\"all\"]\n").find("cannot be permitted"),
            std::string::npos);
  EXPECT_NE(
      faults("[http.client.\"a:b\"]\nsecret_file = \"/s\"\nmay = [\"revoke\"]\n").find("not a client's name"),
      std::string::npos);
  EXPECT_NE(faults("[http.logout.api]\n").find("audience is missing"), std::string::npos);
  EXPECT_NE(faults("[http.logout.sessions]\naudience = [\"a\"]\n").find("names no jwks profile"),
            std::string::npos);
  EXPECT_NE(faults("[http.logout.other]\naudience = [\"a\"]\n").find("names no jwks profile"),
            std::string::npos);
}

}  // namespace
}  // namespace authcached
