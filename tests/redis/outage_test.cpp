// A server that stops, dies, hangs, is slow, loses its master or refuses us: every question is answered by
// its deadline, nothing is taken for an answer that is none, and service comes back by itself.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/process/support/http_peer.hpp"
#include "tests/process/support/programs.hpp"
#include "tests/redis/support/redis_case.hpp"

namespace authcache_test {
namespace {

using authcached::ProfileConfig;
using authcached::testing::Leaf;
using authcached::testing::TemporaryDirectory;
using authcached::testing::TestCa;
using std::chrono::milliseconds;

class RedisOutage : public RedisCase {
 protected:
  std::filesystem::path secret(const std::string& text) {
    const std::filesystem::path file = directory_ / "secret";
    replace_file(file, text);
    ::chmod(file.c_str(), 0400);
    return file;
  }
  static bool becomes(RedisAsker& asker, const std::string& token, const std::string& wanted) {
    return eventually([&] { return asker.verdict(token) == wanted; });
  }
  static void expect_says(const std::string& text, const std::string& what) {
    EXPECT_NE(text.find(what), std::string::npos) << text;
  }

  TemporaryDirectory directory_;
};

TEST_F(RedisOutage, AServerThatIsKilledAndStartedAgainIsFoundAgain) {
  RedisServer server;
  server.start();
  put(server, "t");
  RedisAsker asker(redis_profile(server));
  ASSERT_EQ(asker.verdict("t"), "valid");
  server.kill();
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  expect_says(asker.complaint(), server.socket().string());
  server.start();
  put(server, "t");
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
  EXPECT_TRUE(asker.complaint().empty());
}

TEST_F(RedisOutage, AServerThatIsNotThereYetIsWaitedForABit) {
  RedisServer server;
  RedisAsker asker(redis_profile(server));
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  // Once it is known to be out, questions are refused at once: no caller waits for its deadline.
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(asker.verdict("t", std::chrono::seconds(20)), "unavailable/upstream");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  server.start();
  put(server, "t");
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
}

TEST_F(RedisOutage, AServerThatIsOutIsToldOfBeforeAnybodyAsks) {
  RedisServer server;
  RedisAsker asker(redis_profile(server));
  EXPECT_TRUE(eventually([&] { return !asker.complaint().empty(); }));
  expect_says(asker.complaint(), "no connection came about");
  server.start();
  EXPECT_TRUE(eventually([&] { return asker.complaint().empty(); })) << asker.complaint();
}

TEST_F(RedisOutage, AQuestionWhoseConnectionIsLostIsAskedAgain) {
  RedisServer server;
  server.start();
  put(server, "t");
  RedisAsker asker(redis_profile(server));
  ASSERT_EQ(asker.verdict("t"), "valid");
  std::this_thread::sleep_for(milliseconds(1'100));  // a connection that held
  for (int i = 0; i < 3; ++i) {
    server({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_EQ(asker.verdict("t"), "valid") << asker.state();
    std::this_thread::sleep_for(milliseconds(1'100));
  }
  expect_says(asker.state(), "\"losses\":3");
}

TEST_F(RedisOutage, AServerThatStandsStillCostsNoMoreThanTheDeadline) {
  RedisServer server;
  server.start();
  put(server, "t");
  RedisAsker asker(redis_profile(server));
  ASSERT_EQ(asker.verdict("t"), "valid");
  server.suspend();
  EXPECT_EQ(asker.verdict("t", milliseconds(300)), "unavailable/timeout");
  server.resume();
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
}

// Its late answer is dropped, never given to the next question.
TEST_F(RedisOutage, ASlowServersLateAnswersAreNobodysElse) {
  RedisServer server;
  server.start();
  put(server, "a");
  server({"HSET", "session:b", "subject", "bob"});
  server({"PEXPIRE", "session:b", "3600000"});
  RedisAsker asker(redis_profile(server));
  ASSERT_EQ(asker.verdict("a"), "valid");
  auto sleeping = std::async(std::launch::async, [&] { return server({"DEBUG", "SLEEP", "1"}); });
  // The server sleeps once it answers nobody.
  EXPECT_TRUE(eventually([&] { return asker.verdict("a", milliseconds(50)) == "unavailable/timeout"; }));
  auto a = asker.begin("a", milliseconds(100));
  auto b = asker.begin("b", std::chrono::seconds(20));
  EXPECT_EQ(a.get().reason, authcache::shm::Reason::kTimeout);
  EXPECT_EQ(b.get().identity.subject, "bob");
  EXPECT_EQ(sleeping.get(), "OK");
  EXPECT_EQ(asker.ask("b").identity.subject, "bob");
}

TEST_F(RedisOutage, APausedServerIsUnavailableUntilItGoesOn) {
  RedisServer server;
  server.start();
  put(server, "t");
  RedisAsker asker(redis_profile(server));
  ASSERT_EQ(asker.verdict("t"), "valid");
  server({"CLIENT", "PAUSE", "1500", "ALL"});
  EXPECT_EQ(asker.verdict("t", milliseconds(200)), "unavailable/timeout");
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
}

TEST_F(RedisOutage, APasswordIsSentAndAWrongOneIsNamed) {
  RedisServer server({"--requirepass", "geheim"});
  server.start();
  RedisLink link(server.socket());
  link({"AUTH", "geheim"});
  link({"HSET", "session:t", "subject", "alice"});
  link({"PEXPIRE", "session:t", "3600000"});
  ProfileConfig profile = redis_profile(server);
  RedisAsker without(profile);
  EXPECT_EQ(without.verdict("t"), "unavailable/upstream");
  expect_says(without.complaint(), "NOAUTH");
  profile.redis.password_file = secret("falsch\n");
  RedisAsker asker(profile);
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  expect_says(asker.complaint(), "WRONGPASS");
  // Corrected in place: found without a restart.
  secret("geheim\n");
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
  for (const std::string& text : {asker.state(), asker.complaint(), without.state()}) {
    EXPECT_EQ(text.find("geheim"), std::string::npos);
    EXPECT_EQ(text.find("falsch"), std::string::npos);
  }
}

TEST_F(RedisOutage, AUserOfTheAclNeedsOnlyWhatALookupTakesAndAWithdrawnGrantIsNamed) {
  RedisServer server;
  server.start();
  put(server, "t");
  server({"ACL", "SETUSER", "web", "on", ">pw", "~session:*", "+multi", "+exec", "+pttl", "+hmget"});
  ProfileConfig profile = redis_profile(server);
  profile.redis.username = "web";
  profile.redis.password_file = secret("pw");
  RedisAsker asker(profile);
  EXPECT_EQ(asker.verdict("t"), "valid") << asker.state();
  server({"ACL", "SETUSER", "web", "-hmget"});
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  expect_says(asker.complaint(), "NOPERM");
  server({"ACL", "SETUSER", "web", "+hmget", "resetkeys", "~other:*"});
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  server({"ACL", "SETUSER", "web", "~session:*"});
  EXPECT_EQ(asker.verdict("t"), "valid") << asker.state();
  server({"ACL", "DELUSER", "web"});
  EXPECT_TRUE(becomes(asker, "t", "unavailable/upstream"));
  EXPECT_TRUE(eventually([&] {
    return asker.verdict("t") != "valid" && asker.complaint().find("WRONGPASS") != std::string::npos;
  })) << asker.complaint();
}

TEST_F(RedisOutage, APasswordFileThatCannotBeUsedIsAFaultAtTheStart) {
  RedisServer server;
  ProfileConfig profile = redis_profile(server);
  profile.redis.password_file = directory_ / "none";
  EXPECT_THROW(RedisAsker{profile}, std::runtime_error);
}

TEST_F(RedisOutage, OverTlsTheServerMustBeTheOneThatIsNamed) {
  const TestCa ca(directory_.path());
  const Leaf leaf = ca.leaf("redis", "DNS:redis.test,IP:127.0.0.1");
  RedisServer server(ca, leaf);
  server.start();
  put(server, "t");
  ProfileConfig profile = over_tcp(redis_profile(server), server.port());
  profile.redis.tls = true;
  profile.ca_file = ca.file();
  {
    RedisAsker asker(profile);
    EXPECT_EQ(asker.verdict("t"), "valid") << asker.state();
    server.kill();
    server.start();
    put(server, "t");
    EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
  }
  ProfileConfig misnamed = profile;
  misnamed.redis.host = "localhost";  // leads there, and is not in the certificate
  misnamed.redis.literal = false;
  RedisAsker wrong_name(misnamed);
  EXPECT_EQ(wrong_name.verdict("t"), "unavailable/upstream");
  expect_says(wrong_name.complaint(), "certificate");
  TemporaryDirectory elsewhere;
  ProfileConfig untrusting = profile;
  untrusting.ca_file = TestCa(elsewhere.path()).file();
  RedisAsker wrong_ca(untrusting);
  EXPECT_EQ(wrong_ca.verdict("t"), "unavailable/upstream");
  expect_says(wrong_ca.complaint(), "certificate");
  ProfileConfig plain = profile;
  plain.redis.tls = false;
  RedisAsker without(plain);
  EXPECT_EQ(without.verdict("t"), "unavailable/upstream");
}

TEST_F(RedisOutage, AReplicaAnswersUntilItLosesItsMasterAndAfterItIsPromoted) {
  RedisServer master;
  master.start();
  RedisServer replica(
      {"--replicaof", "127.0.0.1 " + std::to_string(master.port()), "--replica-serve-stale-data", "no"});
  replica.start();
  put(master, "t");
  RedisAsker asker(over_tcp(redis_profile(replica), replica.port()));
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
  expect_says(asker.state(), "\"server_role\":\"replica\"");
  // A key that ended is not there, although only the master deletes it.
  put(master, "short", {}, "100");
  EXPECT_TRUE(becomes(asker, "short", "invalid/unknown"));
  master.kill();
  EXPECT_TRUE(becomes(asker, "t", "unavailable/upstream"));
  expect_says(asker.complaint(), "MASTERDOWN");
  replica({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(becomes(asker, "t", "valid")) << asker.state();
}

TEST_F(RedisOutage, ANodeOfAClusterIsRefusedByASentence) {
  RedisServer server({"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port",
                      std::to_string(free_port())});
  server.start();
  RedisAsker asker(redis_profile(server));
  EXPECT_EQ(asker.verdict("t"), "unavailable/upstream");
  expect_says(asker.complaint(), "Cluster, which is not supported");
}

}  // namespace
}  // namespace authcache_test
