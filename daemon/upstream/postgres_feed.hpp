// Hears of changes of one PostgreSQL database: NOTIFY rings, and a reading of the table of changes brings
// what there is, as it also does once a second, so that a NOTIFY that is lost costs a second. A connection of
// its own, made on a worker of its own by the profile's rules for hosts; made anew with growing pauses where
// it is lost. Loop thread only.
//
// A position is good for one run of one server (postgres_changes.hpp). Anything else is a resync: a restart,
// a failover, another database, rows deleted too early, more changes at once than are worth telling one by
// one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/base/config.hpp"
#include "daemon/base/postgres_conninfo.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/upstream/change_feed.hpp"

namespace authcached {

class PostgresFeed final : public ChangeFeed {
 public:
  static constexpr std::uint64_t kReadEvery_ns = 1'000'000'000;
  // Where NOTIFY does not come: on a standby, behind a pooler.
  static constexpr std::uint64_t kReadEveryDeaf_ns = 250'000'000;
  // A bell that rings all the time must not keep the server busy with readings.
  static constexpr std::uint64_t kPause_ns = 1'000'000;
  static constexpr std::uint64_t kFirstPause_ns = 100'000'000, kLongestPause_ns = 2'000'000'000;

  // Told which run of which server tells of changes, before any of them: sessions are to be asked of no
  // other. True if they may have been meanwhile.
  using ServerFound = std::function<bool(const std::string& server)>;

  // The worker outlives what is posted to it.
  PostgresFeed(Loop& loop, Executor& worker, const ProfileConfig& profile, PostgresTarget target,
               ServerFound found);
  ~PostgresFeed() override;

  void start(ChangeSink& sink, FeedCursor cursor) override;
  void stop() override;

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace authcached
