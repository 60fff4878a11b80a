// What the cases of this suite begin with: a running server and a profile that reads it. One thread.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "daemon/base/config.hpp"
#include "tests/redis/support/redis_asker.hpp"
#include "tests/redis/support/redis_server.hpp"

namespace authcache_test {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

// Sessions in hashes session:TOKEN, each fact under its own word.
[[nodiscard]] inline authcached::ProfileConfig redis_profile(const RedisServer& server) {
  authcached::ProfileConfig profile;
  profile.name = "web";
  profile.upstream = authcached::UpstreamKind::kRedis;
  profile.key_encoding = authcached::KeyEncoding::kRaw;
  profile.redis.socket = server.socket();
  profile.redis.key_prefix = "session:";
  return profile;
}

[[nodiscard]] inline authcached::ProfileConfig over_tcp(authcached::ProfileConfig profile,
                                                        std::uint16_t port) {
  profile.redis.socket.clear();
  profile.redis.host = "127.0.0.1";
  profile.redis.literal = true;
  profile.redis.port = port;
  return profile;
}

[[nodiscard]] inline authcached::ProfileConfig with_json(
    authcached::ProfileConfig profile,
    const std::vector<std::pair<authcached::RedisFact, std::string>>& fields) {
  profile.redis.json = true;
  profile.redis.fields = {};
  for (const auto& [fact, name] : fields) profile.redis.fields[static_cast<std::size_t>(fact)] = name;
  return profile;
}

class RedisCase : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = RedisServer::missing(); !missing.empty()) GTEST_SKIP() << missing;
  }

  // A session of alice for an hour, and what else it says.
  static void put(const RedisServer& server, const std::string& token, std::vector<std::string> fields = {},
                  const std::string& ttl_ms = "3600000") {
    std::vector<std::string> command{"HSET", "session:" + token, "subject", "alice"};
    command.insert(command.end(), fields.begin(), fields.end());
    server(command);
    if (!ttl_ms.empty()) server({"PEXPIRE", "session:" + token, ttl_ms});
  }
  static void put_json(const RedisServer& server, const std::string& token, const std::string& value,
                       const std::string& ttl_ms = "3600000") {
    if (ttl_ms.empty()) {
      server({"SET", "session:" + token, value});
    } else {
      server({"SET", "session:" + token, value, "PX", ttl_ms});
    }
  }
};

}  // namespace authcache_test
