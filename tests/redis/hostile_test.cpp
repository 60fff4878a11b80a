// Session ids that try to be commands, and servers that answer something else than Redis does.
#include <gtest/gtest.h>

#include "daemon/io/redis/redis_client.hpp"
#include "daemon/io/redis/redis_command.hpp"
#include "tests/process/support/programs.hpp"
#include "tests/redis/support/redis_case.hpp"
#include "tests/support/fault_server.hpp"

namespace authcache_test {
namespace {

using authcached::testing::FaultServer;
using authcached::testing::FaultServerOptions;
using authcached::testing::ServerSide;
using std::chrono::milliseconds;

class RedisHostile : public RedisCase {};

TEST_F(RedisHostile, B24_NoSessionIdIsMoreThanPartOfAKey) {
  RedisServer server;
  server.start();
  put(server, "t");
  server({"CONFIG", "RESETSTAT"});
  RedisAsker asker(redis_profile(server));
  const std::string ids[] = {"'; FLUSHALL; --",
                             "\"quoted\"",
                             "*",
                             "?",
                             "[a-z]",
                             "t\r\nFLUSHALL\r\n",
                             "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
                             "$-1",
                             std::string("t\0", 2),
                             std::string("\0t", 2),
                             "{t}",
                             "t:../t",
                             std::string(1 << 20, 'x'),
                             "\xff\xfe"};
  for (const std::string& id : ids) EXPECT_EQ(asker.verdict(id), "invalid/unknown") << id.substr(0, 40);
  EXPECT_EQ(asker.verdict("t"), "valid");
  EXPECT_EQ(server.calls("flushall"), 0u);
  EXPECT_EQ(server.calls("hmget"), std::size(ids) + 1);
  EXPECT_EQ(server.calls("keys") + server.calls("scan"), 0u);
  EXPECT_EQ(server({"DBSIZE"}), "1");
}

// Nor does one with such bytes ever become a question.
TEST_F(RedisHostile, B24_OnlyWhatCanBeATokenIsAskedFor) {
  RedisServer server;
  auto profile = redis_profile(server);
  RedisAsker raw(profile);
  for (const char* good : {"t", "a-b_c.d~e+f/g=", "'quoted'", "*", "{x}", "s:%40"})
    EXPECT_TRUE(raw.well_formed(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\r\n"), std::string("a\0b", 3),
        std::string("\xc3\xa4"), std::string(4'097, 'x'), std::string(1 << 20, 'x')}) {
    EXPECT_FALSE(raw.well_formed(bad));
  }
  profile.key_encoding = authcached::KeyEncoding::kHexSha256;
  RedisAsker hashed(profile);
  EXPECT_TRUE(hashed.well_formed("abc.DEF-_~+/=="));
  for (const char* bad : {"", "=", "a b", "'a'", "a*", "a=b"}) EXPECT_FALSE(hashed.well_formed(bad)) << bad;
}

// What comes in answer to the greeting, and then to every lookup.
std::string greeting() { return "*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"; }
std::string lookup(const std::string& exec) { return "+OK\r\n+QUEUED\r\n+QUEUED\r\n" + exec; }
std::string session(const std::string& subject, const std::string& ttl = ":60000") {
  return lookup("*2\r\n" + ttl + "\r\n*1\r\n$" + std::to_string(subject.size()) + "\r\n" + subject + "\r\n");
}

FaultServer::Script answers(std::string text, bool then_close = false) {
  return [text = std::move(text), then_close](ServerSide& side) {
    if (side.read_until("authcached\r\n").empty() || !side.write(greeting())) return;
    while (!side.read_until("EXEC\r\n").empty()) {
      if (!side.write(text)) return;
      if (then_close) return side.end();
    }
  };
}

authcached::ProfileConfig profile_of(const FaultServer& server) {
  authcached::ProfileConfig profile;
  profile.name = "web";
  profile.upstream = authcached::UpstreamKind::kRedis;
  profile.key_encoding = authcached::KeyEncoding::kRaw;
  profile.redis.key_prefix = "session:";
  profile.redis.fields = {};
  profile.redis.fields[0] = "user";
  return over_tcp(profile, server.port());
}

TEST(RedisLies, TheFakeTellsASessionAsARealServerDoes) {
  FaultServer server({}, answers(session("alice")));
  RedisAsker asker(profile_of(server));
  EXPECT_EQ(asker.ask("t").identity.subject, "alice") << asker.state();
}

// The time to live is counted from before the question left: on its way back the session goes on ageing.
TEST(RedisLies, AnAnswerThatComesLateDoesNotLengthenTheSession) {
  static constexpr milliseconds kLate{400};
  FaultServer server({}, [](ServerSide& side) {
    if (side.read_until("authcached\r\n").empty() || !side.write(greeting())) return;
    if (side.read_until("EXEC\r\n").empty()) return;
    std::this_thread::sleep_for(kLate);
    side.write(session("alice", ":60000"));
    side.stay();
  });
  RedisAsker asker(profile_of(server));
  const auto proof = asker.ask("t", std::chrono::seconds(20));
  ASSERT_EQ(proof.verdict, authcache::shm::Verdict::kValid) << asker.state();
  const std::int64_t late_ns = std::chrono::nanoseconds(kLate).count();
  EXPECT_LE(*proof.expires_wall_ns, authcached::system_clock().wall_ns() + 60 * kNsPerSecond - late_ns);
}

TEST(RedisLies, WhatIsNoAnswerIsNeverTakenForOne) {
  const std::string lies[] = {
      "garbage\r\n",
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
      std::string("\0\0\0\0", 4),
      lookup("+OK\r\n"),
      lookup("*-1\r\n"),
      lookup("*0\r\n"),
      lookup("*2\r\n:60000\r\n*0\r\n"),
      lookup("*2\r\n:60000\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
      lookup("*2\r\n:60000\r\n*1\r\n:7\r\n"),
      lookup("*2\r\n:60000\r\n*1\r\n*1\r\n$1\r\na\r\n"),
      lookup("*2\r\n$5\r\n60000\r\n*1\r\n$1\r\na\r\n"),
      lookup("*2\r\n:-7\r\n*1\r\n$1\r\na\r\n"),
      lookup("*3\r\n:60000\r\n*1\r\n$1\r\na\r\n:1\r\n"),
      lookup("*2\r\n:60000\r\n*1\r\n$536870912\r\n"),
      lookup("*2\r\n:60000\r\n*1\r\n$-5\r\na\r\n"),
      lookup("*2147483647\r\n"),
      lookup("*1000000\r\n"),
      lookup("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"),
      lookup("*2\r\n:99999999999999999999\r\n*1\r\n$1\r\na\r\n"),
      lookup("*2\r\n:60000\r\n*1\r\n$" + std::to_string(1 << 20) + "\r\n" + std::string(1 << 20, 'x') +
             "\r\n"),
      "+OK\r\n+QUEUED\r\n*1\r\n$1\r\na\r\n" + lookup(""),
      session("alice").substr(5),  // one answer short: every later one would be another's
      ":60000\r\n$1\r\na\r\n:1\r\n:1\r\n",
      "-MOVED 3999 127.0.0.1:6381\r\n-MOVED 3999 127.0.0.1:6381\r\n-MOVED 3999 127.0.0.1:6381\r\n-EXECABORT "
      "x\r\n",
      "-LOADING x\r\n-LOADING x\r\n-LOADING x\r\n-EXECABORT x\r\n",
      "-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n",
      "+OK\r\n+QUEUED\r\n-ERR unknown command 'HMGET', with args beginning with: 'session:t'\r\n-EXECABORT "
      "x\r\n",
      lookup("*2\r\n-ERR a\r\n-ERR b\r\n"),
  };
  for (const std::string& lie : lies) {
    FaultServer server({}, answers(lie));
    RedisAsker asker(profile_of(server));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(asker.ask("t", milliseconds(300)).verdict, authcache::shm::Verdict::kUnavailable)
          << lie.substr(0, 200);
    }
    // What a server says may hold the key, and the key the token.
    EXPECT_EQ(asker.state().find("session:t"), std::string::npos) << asker.state();
  }
}

TEST(RedisLies, ErrorsAreNamedByTheirCode) {
  const std::pair<std::string, std::string> errors[] = {
      {"MOVED", "not supported"},        {"ASK", "not supported"},     {"LOADING", "loading its data"},
      {"READONLY", "replica"},           {"NOPERM", "+hmget"},         {"NOAUTH", "password_file"},
      {"MASTERDOWN", "lost its master"}, {"WEIRD", "the error WEIRD"}, {"weird token", "an error"}};
  for (const auto& [code, sentence] : errors) {
    const std::string line = "-" + code + " session:t\r\n";
    FaultServer server({}, answers(line + line + line + "-EXECABORT x\r\n"));
    RedisAsker asker(profile_of(server));
    EXPECT_EQ(asker.ask("t", milliseconds(500)).verdict, authcache::shm::Verdict::kUnavailable);
    EXPECT_NE(asker.complaint().find(sentence), std::string::npos) << code << ": " << asker.complaint();
    EXPECT_EQ(asker.complaint().find("session:t"), std::string::npos);
  }
}

// An answer too many belongs to nobody, and neither does anything behind it.
TEST(RedisLies, AnAnswerThatNobodyAskedForEndsTheConnection) {
  FaultServer server({}, answers(session("alice") + session("mallory")));
  RedisAsker asker(profile_of(server));
  for (int i = 0; i < 10; ++i) {
    const auto proof = asker.ask("t", milliseconds(500));
    const bool valid = proof.verdict == authcache::shm::Verdict::kValid;
    EXPECT_EQ(proof.identity.subject, valid ? "alice" : "");
  }
  EXPECT_GT(server.connections(), 1);
}

TEST(RedisLies, AConnectionThatEndsInTheMiddleOfAnAnswerIsNoAnswer) {
  const std::string whole = session("alice");
  for (const std::size_t cut : {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 1}) {
    FaultServer server({}, answers(whole.substr(0, cut), true));
    RedisAsker asker(profile_of(server));
    EXPECT_EQ(asker.ask("t", milliseconds(500)).verdict, authcache::shm::Verdict::kUnavailable) << cut;
  }
}

TEST(RedisLies, AServerThatAnswersByteByByteIsUnderstood) {
  FaultServer server({}, [](ServerSide& side) {
    if (side.read_until("authcached\r\n").empty()) return;
    const auto trickle = [&](const std::string& text) {
      for (const char c : text) {
        if (!side.write({&c, 1})) return;
      }
    };
    trickle(greeting());
    while (!side.read_until("EXEC\r\n").empty()) trickle(session("alice"));
  });
  RedisAsker asker(profile_of(server));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(asker.ask("t").identity.subject, "alice") << asker.state();
}

TEST(RedisLies, AGreetingThatIsNoneOrNeverComesIsNoConnection) {
  for (const std::string greeting : {"garbage\r\n", "+OK\r\n", ":1\r\n", "-NOAUTH x\r\n", "$-1\r\n"}) {
    FaultServer server({}, [greeting](ServerSide& side) {
      if (side.read_until("authcached\r\n").empty()) return;
      side.write(greeting);
      side.stay();
    });
    RedisAsker asker(profile_of(server));
    EXPECT_EQ(asker.ask("t", milliseconds(1'000)).verdict, authcache::shm::Verdict::kUnavailable) << greeting;
  }
  FaultServer silent(FaultServerOptions{.accept = false}, [](ServerSide&) {});
  RedisAsker asker(profile_of(silent));
  EXPECT_EQ(asker.verdict("t", milliseconds(300)), "unavailable/timeout");
}

// Servers before Redis 6 know no HELLO, and an ACL may forbid it.
TEST(RedisLies, AServerWithoutHelloServes) {
  for (const std::string refusal : {"-ERR unknown command `HELLO`\r\n", "-NOPERM x\r\n"}) {
    FaultServer server({}, [refusal](ServerSide& side) {
      if (side.read_until("authcached\r\n").empty() || !side.write(refusal)) return;
      while (!side.read_until("EXEC\r\n").empty()) side.write(session("alice"));
    });
    RedisAsker asker(profile_of(server));
    EXPECT_EQ(asker.ask("t").identity.subject, "alice") << asker.state();
  }
}

}  // namespace
}  // namespace authcache_test
