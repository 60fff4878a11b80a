// How entries travel between the hosts of a fleet: a log that all of them append to and read in one order,
// and beside it a copy of every rule for those whom the log cannot tell all any more. RedisFleet is the one
// there is; a table in PostgreSQL could be another. What the entries say is none of its business.
//
// Loop thread only. Nothing is told from within a call; every Done is called once, unless the transport goes
// first.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/cache/state_db.hpp"
#include "daemon/io/loop.hpp"
#include "shm/result.hpp"

namespace authcached {

// All that was in the log at this moment was told, and is done with.
struct FleetMoment {
  std::int64_t boot_ns = 0;     // CLOCK_BOOTTIME of this host
  std::uint64_t engine_ms = 0;  // by the engine's clock, which is the same for all hosts
  FleetCursor cursor;
};

class FleetListener {
 public:
  using Done = std::move_only_function<void()>;

  // The next entries in their order; an empty one stands for an entry that has no such bytes. Nothing more is
  // told before done().
  virtual void fleet_heard(std::vector<std::string> sealed, Done done) = 0;
  virtual void fleet_confirmed(const FleetMoment& moment) = 0;
  // Another engine took over. It has all that was heard here, and may lack what others have told the one
  // before. Goes on after done().
  virtual void fleet_moved(Done done) = 0;
  // Entries may be lost for ever (`why` names how): the copy has them. engine_lost: the engine itself may
  // have lost entries, and the copy may have lost them with it. The log goes on after done().
  virtual void fleet_gap(std::string_view why, bool engine_lost, Done done) = 0;

 protected:
  ~FleetListener() = default;
};

struct FleetParcel {
  std::string place;  // in the copy
  std::string sealed;
};

// The others, as they themselves say: for people, nothing is decided by it.
struct FleetHosts {
  std::uint64_t hosts = 0;         // heard of lately, this one included
  std::uint64_t stale = 0;         // of them: beyond the configured staleness
  std::uint64_t worst_lag_ms = 0;  // of the one that is furthest behind
};

class FleetTransport {
 public:
  using Done = std::move_only_function<void(authcache::shm::Result<void>)>;
  using Next = std::move_only_function<void()>;
  using Chunk = std::move_only_function<void(std::vector<FleetParcel> parcels, Next next)>;

  virtual ~FleetTransport() = default;

  virtual void start(std::optional<FleetCursor> cursor, FleetListener& listener) = 0;
  // All or none of them, in this order, each to the log and to its place in the copy at once. One whose
  // outcome is not known is an error, and may have been published.
  virtual void publish(const std::vector<FleetParcel>& parcels, Done done) = 0;
  // Everything that is in the copy from now until done, some of it twice, a part at a time: the next after
  // next().
  virtual void read_copy(Chunk chunk, Done done) = 0;
  virtual void remove_from_copy(const std::vector<std::string>& places, Done done) = 0;
  // Up to when this host has heard all, for the others to see.
  virtual void tell_position(std::uint64_t engine_ms) = 0;
  [[nodiscard]] virtual FleetHosts hosts() const = 0;
  // Why nothing is heard, as a sentence; empty while all is well.
  [[nodiscard]] virtual std::string trouble() const = 0;
  [[nodiscard]] virtual std::string state_json() const = 0;
};

// The transport of this configuration: a Redis stream (redis_fleet.hpp). blocking: for names and passwords.
[[nodiscard]] authcache::shm::Result<std::unique_ptr<FleetTransport>> open_fleet_transport(
    const FleetConfig& config, const Uuid& self, Loop& loop, Executor& blocking, const Clock& clock);

}  // namespace authcached
