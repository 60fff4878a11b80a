// The fleet's log as a Redis stream KEY:stream, its copy of all rules as the hash KEY:rules, written in one
// transaction, and the hosts' positions as the sorted set KEY:hosts, told with each look at the stream: a
// write that only a server that may be written to takes, so that a replica that was left behind confirms
// nothing.
//
// Loop thread only, or before the loop runs; gone before the loop. Two connections: one reads the stream and
// waits for what comes, the other one writes and reads the copy.
#pragma once

#include <memory>
#include <string>

#include "daemon/base/config.hpp"
#include "daemon/cache/fleet_entry.hpp"
#include "daemon/cache/fleet_transport.hpp"
#include "daemon/io/redis/redis_stream.hpp"

namespace authcached {

class RedisFleet final : public FleetTransport, private RedisStreamEvents {
 public:
  // A host that said nothing for this long is gone, and no laggard.
  static constexpr std::uint64_t kHostForgotten_ms = 600'000;

  using Done = FleetTransport::Done;

  static authcache::shm::Result<std::unique_ptr<RedisFleet>> create(const FleetConfig& config,
                                                                    const HostId& self, Loop& loop,
                                                                    Executor& blocking, const Clock& clock);

  void start(std::optional<FleetCursor> cursor, FleetListener& listener) override;
  void publish(const std::vector<FleetParcel>& parcels, Done done) override;
  void read_copy(Chunk chunk, Done done) override;
  void remove_from_copy(const std::vector<std::string>& places, Done done) override;
  void tell_position(std::uint64_t engine_ms) override { position_ms_ = engine_ms; }
  [[nodiscard]] FleetHosts hosts() const override { return hosts_; }
  [[nodiscard]] std::string trouble() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  struct Scan;
  RedisFleet(const FleetConfig& config, const HostId& self);

  void stream_entries(std::vector<StreamEntry> entries, RedisStreamEvents::Done done) override;
  void stream_confirmed(const StreamMoment& moment) override;
  void stream_gap(StreamGap gap, const StreamCursor& position, RedisStreamEvents::Done done) override;
  void stream_moved(RedisStreamEvents::Done done) override { listener_->fleet_moved(std::move(done)); }
  unsigned accompany_look(std::string& commands) override;
  bool take_accompanied(const RedisReply& first) override;

  void ask(std::string commands, unsigned replies, RedisAnswer answer);
  void scan(std::shared_ptr<Scan> job);
  [[nodiscard]] FleetCursor written(const StreamCursor& cursor) const;
  [[nodiscard]] std::optional<StreamCursor> read(const FleetCursor& cursor) const;

  const FleetConfig config_;
  const std::string stream_key_, rules_key_, hosts_key_, self_;
  FleetListener* listener_ = nullptr;
  std::uint64_t position_ms_ = 0;
  std::uint64_t engine_ms_ = 0;  // of the last look
  FleetHosts hosts_;
  std::shared_ptr<RedisClient> writer_;
  std::shared_ptr<RedisStream> stream_;
  // What an answer needs to know whether this object still stands.
  std::shared_ptr<RedisFleet*> alive_ = std::make_shared<RedisFleet*>(this);
};

}  // namespace authcached
