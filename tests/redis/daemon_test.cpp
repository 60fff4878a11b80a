// authcached with sessions in Redis, as services and operators see it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"
#include "tests/redis/support/redis_case.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

// printf %s token | sha256sum
constexpr const char* kToken = "token-1";
constexpr const char* kKey = "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9";

Question web(std::string token = kToken) { return {.profile = "web", .token = std::move(token)}; }

class RedisDaemon : public RedisCase {
 protected:
  void configure(const std::string& more = {}, const std::string& top = {}) {
    daemon_.configure(top +
                      "[table]\ncapacity = 10000\n[limits]\nupstream_timeout = "
                      "\"1s\"\n[profile.web]\nupstream = \"redis\"\naddress = \"unix:" +
                      server_.socket().string() +
                      "\"\nkey_template = \"session:{key}\"\nkey_encoding = \"hex_sha256\"\n" + more);
  }
  boost::json::object state() {
    return daemon_.authctl({"upstreams", "--json"}).json().at("upstreams").as_array().at(0).as_object();
  }
  RedisServer server_;
  DaemonProcess daemon_;
};

TEST_F(RedisDaemon, ASessionIsAMissAndThenAHitInEveryProcessUntilItIsRevoked) {
  server_.start();
  put(server_, kKey, {"scopes", "read", "roles", "admin"});
  configure("negative_ttl = \"0s\"\n");
  daemon_.start();
  ReaderProcess first(daemon_.runtime_dir()), second(daemon_.runtime_dir());
  EXPECT_EQ(second.lookup(web()), "miss");
  EXPECT_EQ(first.validate(web()), "valid");
  EXPECT_EQ(second.lookup(web()), "valid");
  EXPECT_EQ(second.subject(), "alice");
  Question grants = web();
  grants.scope = "read";
  grants.permission = "role:admin";
  EXPECT_EQ(second.lookup(grants), "valid");
  grants.scope = "write";
  EXPECT_EQ(second.lookup(grants), "forbidden/scope");
  EXPECT_EQ(first.validate(web("token-2")), "invalid/unknown");
  // What Redis still says does not bring it back, in no process and after no restart.
  ASSERT_EQ(daemon_.revoke(kToken).exit, 0);
  EXPECT_EQ(first.validate(web()), "invalid/revoked");
  EXPECT_EQ(second.validate(web()), "invalid/revoked");
  ASSERT_EQ(daemon_.stop(), 0);
  daemon_.start(DaemonProcess::First::kNo);
  EXPECT_EQ(first.validate(web()), "invalid/revoked");
}

TEST_F(RedisDaemon, ARecordEndsWithItsKey) {
  server_.start();
  put(server_, kKey, {}, "1500");
  configure();
  daemon_.start();
  Client client(daemon_.runtime_dir());
  const auto now_ns = [] { return authcached::system_clock().monotonic_ns(); };
  const std::int64_t ends_ns = now_ns() + 1'500'000'000;
  ASSERT_EQ(client.validate(web()), "valid");
  EXPECT_LE(client.identity().deadline_ns, static_cast<std::uint64_t>(ends_ns));
  EXPECT_TRUE(eventually([&] { return client.lookup(web()) != "valid"; }));
  EXPECT_TRUE(eventually([&] { return client.validate(web()) == "invalid/unknown"; }));
}

TEST_F(RedisDaemon, ADeletedSessionIsGoneWhenItsRecordsTimeIsOver) {
  server_.start();
  put(server_, kKey);
  configure("ttl_max = \"300ms\"\nnegative_ttl = \"0s\"\n");
  daemon_.start();
  Client client(daemon_.runtime_dir());
  ASSERT_EQ(client.validate(web()), "valid");
  server_({"DEL", std::string("session:") + kKey});
  EXPECT_TRUE(eventually([&] { return client.validate(web()) == "invalid/unknown"; }));
}

TEST_F(RedisDaemon, AnOutageIsToldOnceAndSoIsItsEnd) {
  server_.start();
  put(server_, kKey);
  configure("ttl_max = \"100ms\"\nrefresh = \"off\"\n");
  daemon_.start();
  Client client(daemon_.runtime_dir());
  ASSERT_EQ(client.validate(web()), "valid");
  server_.kill();
  EXPECT_TRUE(eventually([&] { return client.validate(web()) == "unavailable/upstream"; }));
  EXPECT_TRUE(daemon_.logs("upstream_failed"));
  const auto failed = state();
  EXPECT_EQ(failed.at("kind"), "redis");
  EXPECT_EQ(failed.at("state").at("state"), "failed");
  EXPECT_NE(failed.at("state").at("connection").at("state"), "open");
  server_.start();
  put(server_, kKey);
  EXPECT_TRUE(eventually([&] { return client.validate(web()) == "valid"; }));
  EXPECT_TRUE(daemon_.logs("upstream_answers"));
  EXPECT_EQ(state().at("state").at("connection").at("state"), "open");
}

TEST_F(RedisDaemon, AnOutageIsBridgedForAsLongAsStaleIfErrorSays) {
  server_.start();
  put(server_, kKey);
  configure("ttl_max = \"200ms\"\nstale_if_error = \"1h\"\n");
  daemon_.start();
  Client client(daemon_.runtime_dir());
  ASSERT_EQ(client.validate(web()), "valid");
  server_.kill();
  EXPECT_TRUE(throughout([&] { return client.validate(web()) == "valid"; }, milliseconds(1'000)));
}

TEST_F(RedisDaemon, AProbeAsksTheServer) {
  server_.start();
  configure();
  daemon_.start();
  ASSERT_EQ(daemon_.authctl({"upstreams", "--probe", "--json"}).exit, 0);
  EXPECT_EQ(state().at("state").at("state"), "good");
  EXPECT_EQ(server_.calls("hmget"), 1u);
}

TEST_F(RedisDaemon, SecretsAndTokensAreNowhereToBeRead) {
  server_.start();
  server_({"ACL", "SETUSER", "web", "on", ">open-sesame", "~session:*", "+multi", "+exec", "+pttl", "+hmget",
           "+hello"});
  put(server_, kKey);
  write_file(daemon_.scratch("password"), "wrong-sesame\n");
  ::chmod(daemon_.scratch("password").c_str(), 0400);
  configure("username = \"web\"\npassword_file = \"" + daemon_.scratch("password").string() + "\"\n",
            "log_level = \"debug\"\n");
  daemon_.start();
  Client client(daemon_.runtime_dir());
  EXPECT_EQ(client.validate(web()), "unavailable/upstream");
  replace_file(daemon_.scratch("password"), "open-sesame\n");
  ::chmod(daemon_.scratch("password").c_str(), 0400);
  EXPECT_TRUE(eventually([&] { return client.validate(web()) == "valid"; }));
  for (const std::string& text : {daemon_.log(), daemon_.authctl({"upstreams", "--json"}).out,
                                  daemon_.authctl({"config", "show"}).out}) {
    EXPECT_FALSE(text.contains("sesame")) << text;
    EXPECT_FALSE(text.contains(kToken)) << text;
    EXPECT_FALSE(text.contains(kKey)) << text;
  }
}

TEST_F(RedisDaemon, ATokenOfAMebibyteIsRefusedWithoutAQuestion) {
  server_.start();
  configure();
  daemon_.start();
  Client client(daemon_.runtime_dir());
  const std::string answer = client.validate(web(std::string(1 << 20, 'x')));
  EXPECT_TRUE(answer.starts_with("invalid/")) << answer;
  EXPECT_EQ(server_.calls("hmget"), 0u);
}

}  // namespace
}  // namespace authcache_test
