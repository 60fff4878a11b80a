// The connections of one profile to its database: as many as are needed within its bounds, made on a worker,
// looked after on the loop, made anew with growing pauses while the server cannot be reached.
//
// Loop thread only. Statements go to the first connection that answers in time and has room, so that what
// waits gathers into few and full ones; another connection is opened only where those there are slow.
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/io/postgres/postgres_connector.hpp"
#include "daemon/io/postgres/postgres_pipeline.hpp"
#include "daemon/upstream/postgres_sessions.hpp"
#include "shm/result.hpp"

namespace authcached {

class PostgresPool : public std::enable_shared_from_this<PostgresPool> {
 public:
  // Statements under way on one connection: the server has the next one when it is done with one.
  static constexpr std::size_t kInFlightMax = 4;
  // A statement by index takes less; behind one that takes longer, another would only wait.
  static constexpr std::uint64_t kSlow_ns = 20'000'000;
  // Beyond statement_timeout: then the server, or the way to it, is not there any more.
  static constexpr std::uint64_t kGrace_ns = 500'000'000;
  // A connection at rest is asked whether it still works: a firewall may have forgotten it.
  static constexpr std::uint64_t kPingAfter_ns = 15'000'000'000;
  static constexpr std::uint64_t kIdleMax_ns = 60'000'000'000;  // of those above pool_min
  static constexpr std::uint64_t kFirstPause_ns = 100'000'000, kLongestPause_ns = 5'000'000'000;

  // A query that fails although it was just prepared is not mended by preparing it again.
  static constexpr std::uint64_t kRenewAgain_ns = 1'000'000'000;

  // What a statement brought, and how to read it; null if its connection was lost.
  using Answered = std::move_only_function<void(const pg_result*, const PostgresSessions&)>;

  // changed: a connection came or went. Called in a turn of its own.
  PostgresPool(Loop& loop, Executor& worker, const ProfileConfig& profile, PostgresTarget target,
               std::function<void()> changed);
  ~PostgresPool();
  PostgresPool(const PostgresPool&) = delete;
  PostgresPool& operator=(const PostgresPool&) = delete;

  [[nodiscard]] bool has_room();
  // Only while has_room. Keys in the encoding of the profile; never answered from within.
  void ask(std::span<const std::string_view> keys, Answered answered);
  // Questions wait although connections are there.
  void want_more();
  // From now on only this run of a server (PostgresServerRun) is asked; connections to others end. True if some were
  // made since the last call, or there are some: what was answered meanwhile may be another server's. For profiles
  // that hear of changes.
  bool require_server(const std::string& server);
  // Its statement cannot work on the connections that there are: they are made anew, once in kRenewAgain_ns
  // at most.
  void renew(const std::string& why);
  // False: nobody is connected, and nobody will be for a moment.
  [[nodiscard]] bool has_prospects() const { return !members_.empty() || connecting_; }
  void tick();  // a few times a second

  [[nodiscard]] bool connected() const { return !members_.empty(); }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] boost::json::object state() const;

 private:
  struct Member;
  struct Made;
  [[nodiscard]] Member* roomy();
  void connect();
  struct Arrival;
  void arrived(Arrival arrival);
  void member_lost(const Member* member, std::string why);
  void close(const Member* member);
  void pause();

  Loop& loop_;
  Executor& worker_;
  const std::size_t min_, max_;
  const std::uint64_t patience_ns_;
  PostgresOrder order_;
  std::string query_;
  KeyEncoding encoding_;
  const bool hears_changes_;
  std::string server_;  // the only one that is asked; empty: any
  std::vector<std::string> servers_seen_;  // since require_server
  std::function<void()> changed_;
  std::vector<std::shared_ptr<Member>> members_;
  bool connecting_ = false;
  std::uint64_t pause_ns_ = 0, connect_at_ns_ = 0, renew_at_ns_ = 0;
  std::uint64_t connects_ = 0, losses_ = 0, failures_ = 0;
  unsigned failures_in_a_row_ = 0;
  std::string last_error_;
  std::uint64_t last_error_ns_ = 0;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace authcached
