// What sessions in Redis are taken for: by their values, by their keys' time to live, and by what changes in
// between.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "daemon/io/redis/redis_command.hpp"
#include "tests/redis/support/redis_case.hpp"

namespace authcache_test {
namespace {

using authcache::shm::Verdict;
using authcached::KeyEncoding;
using authcached::Proof;
using authcached::RedisFact;
using Texts = std::vector<std::string>;

class RedisSessions : public RedisCase {
 protected:
  void SetUp() override {
    RedisCase::SetUp();
    if (!IsSkipped()) server_.start();
  }
  RedisServer server_;
};

std::int64_t wall_now_ns() { return authcached::system_clock().wall_ns(); }

TEST_F(RedisSessions, AHashIsASessionWithWhateverItSays) {
  put(server_, "t1",
      {"client_id", "web",          "sid",   "s-1",          "jti",         "7",   "issuer",   "shop",
       "scopes",    "read write",   "roles", R"(["admin"])", "permissions", "pay", "audience", "api",
       "created",   "1700000000.5", "other", "not asked for"});
  RedisAsker asker(redis_profile(server_));
  const std::int64_t before = wall_now_ns();
  const Proof proof = asker.ask("t1");
  ASSERT_EQ(proof.verdict, Verdict::kValid) << asker.state();
  EXPECT_EQ(proof.identity.subject, "alice");
  EXPECT_EQ(proof.identity.client_id, "web");
  EXPECT_EQ(proof.identity.sid, "s-1");
  EXPECT_EQ(proof.identity.jti, "7");
  EXPECT_EQ(proof.identity.issuer, "shop");
  EXPECT_EQ(proof.identity.scopes, (Texts{"read", "write"}));
  EXPECT_EQ(proof.identity.permissions, (Texts{"pay", "role:admin"}));
  EXPECT_EQ(proof.identity.audience, (Texts{"api"}));
  EXPECT_EQ(proof.issued_wall_ns, 1'700'000'000'500'000'000);
  EXPECT_LE(*proof.expires_wall_ns, wall_now_ns() + 3'600 * kNsPerSecond);
  EXPECT_GT(*proof.expires_wall_ns, before + 3'500 * kNsPerSecond);
}

TEST_F(RedisSessions, KeysAreFoundInEveryEncoding) {
  // printf %s token-1 | openssl dgst -sha256
  const std::string hex = "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9";
  const std::string base64url = "PwiqzhIu4jaEMsHKI6BJvGQLr78A_fM6UkKfOLoS2_k";
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  const std::pair<KeyEncoding, std::string> encodings[] = {{KeyEncoding::kRaw, "token-1"},
                                                           {KeyEncoding::kHexSha256, hex},
                                                           {KeyEncoding::kBase64urlSha256, base64url},
                                                           {KeyEncoding::kSha256, bytes}};
  for (const auto& [encoding, key] : encodings) {
    server_({"FLUSHALL"});
    auto profile = redis_profile(server_);
    profile.key_encoding = encoding;
    profile.redis.key_suffix = ":data";
    RedisAsker asker(profile);
    EXPECT_EQ(asker.verdict("token-1"), "invalid/unknown");
    put(server_, key + ":data");
    EXPECT_EQ(asker.verdict("token-1"), "valid") << asker.state();
    EXPECT_EQ(asker.verdict("token-2"), "invalid/unknown");
  }
}

TEST_F(RedisSessions, JsonOfConnectRedisIsASession) {
  put_json(
      server_, "s1",
      R"({"cookie":{"originalMaxAge":60000,"expires":"2099-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},)"
      R"("passport":{"user":42},"grants":["read","write"],"at":1700000000123})");
  RedisAsker asker(with_json(redis_profile(server_), {{RedisFact::kSubject, "/passport/user"},
                                                      {RedisFact::kScopes, "grants"},
                                                      {RedisFact::kCreatedMs, "at"},
                                                      {RedisFact::kExpires, "/cookie/expires"}}));
  const Proof proof = asker.ask("s1");
  ASSERT_EQ(proof.verdict, Verdict::kValid) << asker.state();
  EXPECT_EQ(proof.identity.subject, "42");
  EXPECT_EQ(proof.identity.scopes, (Texts{"read", "write"}));
  EXPECT_EQ(proof.issued_wall_ns, 1'700'000'000'123'000'000);
  EXPECT_LE(*proof.expires_wall_ns, wall_now_ns() + 3'600 * kNsPerSecond);
  EXPECT_EQ(asker.verdict("s2"), "invalid/unknown");
}

TEST_F(RedisSessions, TheSoonerOfTheKeysEndAndTheFieldsCounts) {
  RedisAsker asker(redis_profile(server_));
  const auto seconds_left = [&](const std::string& token) {
    return (asker.ask(token).expires_wall_ns.value_or(0) - wall_now_ns()) / kNsPerSecond;
  };
  const std::string in_100_s = std::to_string(wall_now_ns() / kNsPerSecond + 100);
  put(server_, "field", {"expires", in_100_s});
  EXPECT_NEAR(static_cast<double>(seconds_left("field")), 100, 3);
  put(server_, "key", {"expires", in_100_s}, "50000");
  EXPECT_NEAR(static_cast<double>(seconds_left("key")), 50, 3);
  put(server_, "field alone?", {"expires", in_100_s}, "");
  EXPECT_NEAR(static_cast<double>(seconds_left("field alone?")), 100, 3);
  put(server_, "over", {"expires", "1700000000"});
  EXPECT_EQ(asker.verdict("over"), "invalid/expired");
}

TEST_F(RedisSessions, ASessionWithoutAnEndIsRefusedUnlessTheConfigurationAcceptsIt) {
  put(server_, "t", {}, "");
  auto profile = redis_profile(server_);
  EXPECT_EQ(RedisAsker(profile).verdict("t"), "invalid/lifetime");
  profile.redis.endless = true;
  RedisAsker asker(profile);
  const Proof proof = asker.ask("t");
  EXPECT_EQ(proof.verdict, Verdict::kValid);
  EXPECT_FALSE(proof.expires_wall_ns);
}

TEST_F(RedisSessions, AKeyThatEndedOrWasDeletedIsUnknown) {
  put(server_, "short", {}, "30");
  put(server_, "deleted");
  RedisAsker asker(redis_profile(server_));
  EXPECT_EQ(asker.verdict("deleted"), "valid");
  server_({"DEL", "session:deleted"});
  EXPECT_EQ(asker.verdict("deleted"), "invalid/unknown");
  EXPECT_TRUE(eventually([&] { return asker.verdict("short") == "invalid/unknown"; }));
}

TEST_F(RedisSessions, WhateverStandsInRevokedButNoIsRevoked) {
  RedisAsker asker(redis_profile(server_));
  for (const char* in_force : {"", "0", "false"}) {
    put(server_, "t", {"revoked", in_force});
    EXPECT_EQ(asker.verdict("t"), "valid") << in_force;
  }
  for (const char* revoked : {"1", "true", "2026-01-01 00:00:00", "False", "null", "00"}) {
    put(server_, "t", {"revoked", revoked});
    EXPECT_EQ(asker.verdict("t"), "invalid/revoked") << revoked;
  }
}

TEST_F(RedisSessions, WhatIsNotUnderstoodIsUnavailableForItsTokenAlone) {
  put(server_, "good");
  RedisAsker asker(redis_profile(server_));
  server_({"HSET", "session:nobody", "scopes", "read"});
  server_({"HSET", "session:empty", "subject", ""});
  put(server_, "time", {"expires", "tomorrow"});
  put(server_, "ms", {"expires", "1700000000000"});
  put(server_, "long", {"client_id", std::string(5'000, 'x')});
  put(server_, "many", {"scopes", "[\"a\", 1]"});
  server_({"SET", "session:string", "x"});
  server_({"LPUSH", "session:list", "subject"});
  for (const char* token : {"nobody", "empty", "time", "ms", "long", "many", "string", "list"}) {
    EXPECT_EQ(asker.verdict(token), "unavailable/upstream") << token;
  }
  EXPECT_EQ(asker.verdict("good"), "valid");
  EXPECT_TRUE(asker.complaint().empty()) << asker.complaint();
  EXPECT_NE(asker.state().find("\"losses\":0"), std::string::npos);
  EXPECT_NE(asker.state().find("WRONGTYPE"), std::string::npos) << asker.state();
}

TEST_F(RedisSessions, JsonIsReadStrictlyAndPhpIsNamed) {
  RedisAsker asker(
      with_json(redis_profile(server_), {{RedisFact::kSubject, "user"}, {RedisFact::kRevoked, "revoked"}}));
  const auto verdict = [&](const std::string& value) {
    put_json(server_, "t", value);
    return asker.verdict("t");
  };
  EXPECT_EQ(verdict(R"({"user":"alice"})"), "valid");
  EXPECT_EQ(verdict(R"({"user":"alice","revoked":null})"), "valid");
  EXPECT_EQ(verdict(R"({"user":"alice","revoked":false})"), "valid");
  EXPECT_EQ(verdict(R"({"user":"alice","revoked":true})"), "invalid/revoked");
  EXPECT_EQ(verdict(R"({"user":"alice","revoked":{}})"), "invalid/revoked");
  for (const char* value :
       {"", "null", "[]", "{}", R"({"user":"alice","user":"bob"})", R"({"user":["alice"]})",
        R"({"user":1.5})", R"({"user":"alice"} x)", "\xff", R"({"user":null})"}) {
    EXPECT_EQ(verdict(value), "unavailable/upstream") << value;
  }
  EXPECT_EQ(verdict(R"(a:1:{s:4:"user";s:5:"alice";})"), "unavailable/upstream");
  EXPECT_NE(asker.state().find("serialised by PHP"), std::string::npos) << asker.state();
}

// The value is cut off by the server: it never comes here, and the connection goes on.
TEST_F(RedisSessions, AHugeValueIsUnavailableForItsTokenAlone) {
  put_json(server_, "good", R"({"user":"alice"})");
  put_json(server_, "fits", R"({"user":"alice","cart":")" + std::string(250 * 1024, 'x') + "\"}");
  put_json(server_, "huge", R"({"user":"alice","cart":")" + std::string(8 * 1024 * 1024, 'x') + "\"}");
  RedisAsker asker(with_json(redis_profile(server_), {{RedisFact::kSubject, "user"}}));
  EXPECT_EQ(asker.verdict("fits"), "valid") << asker.state();
  EXPECT_EQ(asker.verdict("huge"), "unavailable/upstream");
  EXPECT_EQ(asker.verdict("good"), "valid");
  EXPECT_NE(asker.state().find("\"losses\":0"), std::string::npos) << asker.state();
}

// A hash's fields cannot be cut off: what is too long costs the connection, and those beside it are asked
// again.
TEST_F(RedisSessions, AHugeFieldCostsItsTokenAlone) {
  put(server_, "good");
  put(server_, "huge", {"client_id", std::string(4 * 1024 * 1024, 'x')});
  RedisAsker asker(redis_profile(server_));
  ASSERT_EQ(asker.verdict("good"), "valid");
  for (int i = 0; i < 5; ++i) {
    auto huge = asker.begin("huge");
    auto beside = asker.begin("good");
    EXPECT_EQ(huge.get().verdict, Verdict::kUnavailable);
    EXPECT_EQ(beside.get().verdict, Verdict::kValid) << asker.state();
  }
}

// A key is replaced again and again by sessions with long and with short lives. Many questions are on the
// wire at once: the server takes them in pieces of 16 KiB, and where a piece ends between the commands of one
// question the writer comes in between. Were time to live and value not one answer, a short session would
// there be given the long one's time.
TEST_F(RedisSessions, B24_TimeToLiveAndValueAreOfOneMoment) {
  constexpr std::int64_t kShort = 5, kLong = 3'000;
  constexpr int kAtOnce = 400, kTurns = 150;
  RedisAsker asker(redis_profile(server_));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    RedisLink link(server_.socket());
    for (bool is_short = false; !stop; is_short = !is_short) {
      link({"EVAL",
            "redis.call('DEL', KEYS[1]); redis.call('HSET', KEYS[1], 'subject', ARGV[1]); "
            "redis.call('PEXPIRE', KEYS[1], ARGV[2])",
            "1", "session:t", is_short ? "short" : "long",
            std::to_string((is_short ? kShort : kLong) * 1'000)});
    }
  });
  EXPECT_TRUE(eventually([&] { return asker.verdict("t") == "valid"; }));
  int seen_short = 0, seen_long = 0, wrong = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    std::vector<std::future<Proof>> answers;
    for (int i = 0; i < kAtOnce; ++i) answers.push_back(asker.begin("t", std::chrono::seconds(20)));
    for (auto& answer : answers) {
      const Proof proof = answer.get();
      if (proof.verdict != Verdict::kValid) continue;
      const bool is_short = proof.identity.subject == "short";
      ++(is_short ? seen_short : seen_long);
      const bool lives_long = *proof.expires_wall_ns - wall_now_ns() > kShort * kNsPerSecond;
      if (is_short == lives_long) ++wrong;
    }
  }
  stop = true;
  writer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(seen_short, kAtOnce);
  EXPECT_GT(seen_long, kAtOnce);
}

TEST_F(RedisSessions, AnotherDatabaseOfTheServerIsAnother) {
  put(server_, "t");
  auto profile = redis_profile(server_);
  profile.redis.database_index = 3;
  RedisAsker third(profile);
  EXPECT_EQ(third.verdict("t"), "invalid/unknown");
  server_({"MOVE", "session:t", "3"});
  EXPECT_EQ(third.verdict("t"), "valid");
  profile.redis.database_index = 99;
  RedisAsker none(profile);
  EXPECT_EQ(none.verdict("t"), "unavailable/upstream");
  EXPECT_NE(none.complaint().find("SELECT"), std::string::npos) << none.complaint();
}

TEST_F(RedisSessions, ManyQuestionsGoOutTogetherAndEachGetsItsOwnAnswer) {
  constexpr int kMany = 5'000;
  RedisLink link(server_.socket());
  for (int i = 0; i < kMany; i += 2) {
    const std::string key = "session:t" + std::to_string(i);
    link({"HSET", key, "subject", "user" + std::to_string(i)});
    link({"PEXPIRE", key, "3600000"});
  }
  RedisAsker asker(redis_profile(server_));
  std::vector<std::future<Proof>> answers;
  for (int i = 0; i < kMany; ++i)
    answers.push_back(asker.begin("t" + std::to_string(i), std::chrono::seconds(20)));
  for (int i = 0; i < kMany; ++i) {
    const Proof proof = answers[static_cast<std::size_t>(i)].get();
    ASSERT_EQ(proof.verdict, i % 2 == 0 ? Verdict::kValid : Verdict::kInvalid) << i;
    ASSERT_EQ(proof.identity.subject, i % 2 == 0 ? "user" + std::to_string(i) : "");
  }
}

}  // namespace
}  // namespace authcache_test
