// Sessions that an application keeps in Redis, as an upstream. A session that is not there is "invalid";
// whatever is not a clear answer (no connection, an error, a value that is not understood) is "unavailable".
// Loop thread only.
//
// Invariants: every question is answered exactly once, by its deadline, never from within resolve; a token
// leaves this process only as part of a key under the configured template, and its bytes are wiped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/redis/redis_client.hpp"
#include "daemon/upstream/redis_session.hpp"
#include "daemon/upstream/upstream.hpp"
#include "shm/result.hpp"

namespace authcached {

class RedisUpstream final : public Upstream, public std::enable_shared_from_this<RedisUpstream> {
 public:
  // Begins to connect, and fails only where that could never succeed: an unusable password file or ca_file.
  // `blocking` reads that file and looks up names.
  static authcache::shm::Result<std::shared_ptr<RedisUpstream>> open(const ProfileConfig& profile, Loop& loop,
                                                                     Executor& blocking, const Clock& clock);

  void resolve(Query query, Answer answer) override;
  // RFC 6750's b64token; with keys in raw form printable ASCII without blanks, as applications choose theirs.
  [[nodiscard]] bool well_formed(std::string_view token) const override;
  [[nodiscard]] std::string complaint() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  enum class Health : std::uint8_t { kUnasked, kGood, kFailed };
  struct Counters {
    std::uint64_t questions = 0, valid = 0, invalid = 0, unavailable = 0, timeouts = 0, overloaded = 0,
                  unread = 0;
  };
  RedisUpstream(const ProfileConfig& profile, std::shared_ptr<RedisClient> client, Loop& loop,
                const Clock& clock);

  // False if the reply cannot be one to this question.
  bool answered(const authcache::shm::Result<RedisReply>& reply, std::int64_t asked_boot_ns,
                std::uint64_t deadline_ns, Answer& answer);
  void fail(std::string sentence, std::uint64_t deadline_ns, Answer& answer);

  const ProfileConfig profile_;
  const RedisLookup lookup_;
  std::shared_ptr<RedisClient> client_;
  Loop& loop_;
  const Clock& clock_;
  Health health_ = Health::kUnasked;
  std::string last_error_;        // why a question was not answered
  std::int64_t failed_ns_ = 0;    // CLOCK_BOOTTIME
  std::int64_t answered_ns_ = 0;  // the same
  std::string last_unread_;       // why a session was not understood
  Counters counters_;
};

}  // namespace authcached
