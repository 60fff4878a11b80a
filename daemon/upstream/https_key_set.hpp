// A key set that its issuer publishes over HTTPS: fetched ahead of its time, out of turn when a token names a key that it
// does not have, and used for jwks_max_stale beyond its time while the issuer cannot be asked.
//
// - One fetch at a time; whoever misses a key meanwhile waits for it, within its own deadline.
// - A fetch out of turn once in kCooldownNs at most, counted from its start, and each uid only every second time unless it
//   brought a key: one user's invented kids neither flood the issuer nor keep the others from finding a real one.
// - A key that is gone from two sets in a row proves nothing any more; the second look follows soon.
// - What fails is asked for again after a growing time with jitter. Ages are by CLOCK_BOOTTIME: a suspended machine's set
//   ages too.
//
// Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http_client.hpp"
#include "daemon/upstream/key_set_fetcher.hpp"
#include "daemon/upstream/key_set_source.hpp"

namespace authcached {

class HttpsKeySet final : public KeySetSource, public std::enable_shared_from_this<HttpsKeySet> {
 public:
  static constexpr std::int64_t kCooldownNs = 30'000'000'000;

  // Starts the first fetch; until it has ended, questions wait for it.
  static std::shared_ptr<HttpsKeySet> open(const ProfileConfig& profile, std::shared_ptr<HttpClient> client, Executor& reader,
                                           TimedExecutor& loop, const Clock& clock);

  [[nodiscard]] std::shared_ptr<const KeySet> keys() const override;
  [[nodiscard]] std::optional<std::int64_t> keep_until_wall_ns() const override;
  [[nodiscard]] bool ready() const override { return keys_ != nullptr; }
  void poll(Changed changed) override;
  void seek(const KeySet* seen, uid_t uid, std::uint64_t deadline_ns, Found found) override;
  [[nodiscard]] const std::string& last_error() const override { return error_; }
  [[nodiscard]] std::int64_t loaded_wall_ns() const override { return loaded_wall_ns_; }
  [[nodiscard]] std::string complaint() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  struct Waiter {
    const KeySet* seen;
    std::uint64_t deadline_ns;
    Found found;
  };
  struct Counters {
    std::uint64_t fetches = 0, unchanged = 0, failures = 0, out_of_turn = 0, over_budget = 0;
  };
  HttpsKeySet(const ProfileConfig& profile, std::shared_ptr<HttpClient> client, Executor& reader, TimedExecutor& loop,
              const Clock& clock);

  [[nodiscard]] bool due() const;
  void start();
  void fetched(authcache::shm::Result<FetchedKeys> result);
  void take(FetchedKeys fetched);
  void fail(std::string sentence);
  void replace(KeySet next);
  void wait(const KeySet* seen, std::uint64_t deadline_ns, Found found);
  void arm(std::uint64_t deadline_ns);
  void expire_waiters();
  void wake_waiters(bool failed);
  void reply_later(Found found, Sought sought, std::int64_t for_ns) const;
  [[nodiscard]] bool spend(uid_t uid);
  [[nodiscard]] std::int64_t usable_until_ns() const { return fresh_until_ns_ + max_stale_ns_; }
  [[nodiscard]] std::int64_t absence_lasts_ns() const;

  const std::int64_t max_stale_ns_;
  TimedExecutor& loop_;
  const Clock& clock_;
  std::shared_ptr<KeySetFetcher> fetcher_;
  std::shared_ptr<const KeySet> keys_;  // the last good set, usable or not; null before the first
  std::int64_t fresh_until_ns_ = 0;
  std::int64_t fetched_ns_ = 0;         // when the set was last known to be the issuer's
  std::int64_t next_ns_ = 0;            // when the next fetch is due
  std::int64_t started_ns_ = 0;         // the last fetch, whatever for
  std::int64_t cooldown_until_ns_ = 0;
  unsigned failures_in_a_row_ = 0;
  bool fetching_ = false;
  uid_t asked_by_ = static_cast<uid_t>(-1);  // of the fetch out of turn that is under way
  std::unordered_map<uid_t, std::int64_t> spent_until_ns_;
  std::vector<Waiter> waiters_;
  std::uint64_t armed_for_ns_ = 0;  // CLOCK_MONOTONIC; 0: no timer
  KeySetChange pending_;            // since the last poll
  std::string error_;               // empty once a fetch was good again
  std::string last_error_;          // the same, kept
  std::int64_t failed_ns_ = 0;
  std::int64_t loaded_wall_ns_ = 0;
  Counters counters_;
};

}  // namespace authcached
