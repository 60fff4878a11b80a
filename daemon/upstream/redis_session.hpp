// One session in Redis: which commands find it, and what their answer means. Only what the configuration
// names is asked for, and what cannot be understood is never guessed at. Pure; any thread.
//
// Time to live and value are one answer of the server: the commands stand between MULTI and EXEC, which Redis
// runs without anything in between. Asked one after the other they could belong to different sessions under
// the same name, and a short one would be given the long one's time. The time to live comes first: should a
// server let time go on between the two, the value is the later one, and of a key that ended there is none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/io/redis/redis_reply.hpp"

namespace authcached {

// Of a value = "json": connect-redis and its like store a few KB. More is not read, and not fetched either.
inline constexpr std::size_t kRedisValueBytesMax = 256 * 1024;

// Replies of a lookup's commands.
inline constexpr unsigned kRedisLookupReplies = 4;

// The commands that find a session; what is the same for every token is put together once.
class RedisLookup {
 public:
  explicit RedisLookup(const ProfileConfig& profile);
  // Prefix + token, as the key encoding writes it, + suffix.
  [[nodiscard]] std::string key_of(std::string_view token) const;
  [[nodiscard]] std::string commands_for(std::string_view token) const;

 private:
  const std::string prefix_, suffix_;
  const KeyEncoding encoding_;
  std::string before_, between_, behind_;  // the two places of the key
};

struct RedisJudgement {
  Proof proof;
  // Half a sentence for the operator if the answer was not understood; never anything of the value.
  std::string fault{};
  // The answer has not the shape that the commands' answer has: it is none to this question.
  bool fits = true;
};

// now: when it is judged. asked_ago_ns: how long before that the commands were made. The time to live was
// true at some moment in between, so that counted from the earliest it ends no later than the session.
[[nodiscard]] RedisJudgement judge_redis_session(const RedisReply& reply, const RedisConfig& config,
                                                 std::int64_t wall_now_ns, std::int64_t asked_ago_ns);

}  // namespace authcached
