// What this host has to tell the others: from the commit that made a rule durable until the host has read its
// own entry back from the stream. Whatever was not read back is published again; an entry that others read
// twice changes nothing.
//
// Loop thread only; gone after the loop ended. Order: entries go out by change, a batch at a time, the next
// one after the outcome of the one before; so an entry can name the one before it, and readers see when one
// is missing.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/cache/fleet_entry.hpp"
#include "daemon/cache/fleet_transport.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/io/http/timers.hpp"

namespace authcached {

class FleetOutbox {
 public:
  // One transaction of the engine: some hundred microseconds of its time.
  static constexpr std::size_t kBatchMax = 64;
  static constexpr std::uint64_t kRetry_ns = 500'000'000;
  // How much an engine that takes over may lack: replicas and disks are seconds behind, if at all. Of a time
  // in which nothing was heard nothing is forgotten.
  static constexpr std::int64_t kRecent_ns = 60'000'000'000;
  static constexpr std::size_t kRecentMax = 20'000;
  // Behind the end of a rule's life, for hosts whose clocks are late.
  static constexpr std::int64_t kSpentAfter_ns = 86'400'000'000'000;

  FleetOutbox(const HostId& self, const FleetSeal& seal, const RuleSet& rules, FleetTransport& transport,
              StateWriter& state, Loop& loop, const Clock& clock);

  void start(const std::vector<SharedRule>& stored);
  void add(const std::vector<Rule>& committed);
  // True if this is an entry of ours that was under way, as we sent it.
  bool read_back(const FleetEntry& entry);
  // Everything that was in the stream at this moment was read: what should have been among it goes out again.
  void confirmed(std::int64_t boot_ns);
  // Another engine may lack the last of what the one before had taken: what was read back lately goes out
  // again.
  void repeat_recent();
  // The stream may have lost what it had: nothing is under way any more.
  void doubt_all();
  // Published rules of ours that the copy does not hold (these places it does) go out again.
  void put_back(std::set<std::string> places, std::move_only_function<void()> done);
  // Takes what is over for a day out of the copy and the database. From time to time.
  void forget_spent();

  [[nodiscard]] std::size_t waiting() const { return queue_.size() + sent_.size(); }
  [[nodiscard]] std::uint64_t published() const { return published_; }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  struct Item {
    FleetEntry entry;
    std::string sealed;                 // once it went out for the first time
    std::int64_t taken_ns = INT64_MAX;  // BOOTTIME by which the server had it
  };

  void queue(Rule rule);
  void pump();
  void went_out(const std::vector<std::uint64_t>& changes, const authcache::shm::Result<void>& outcome);
  void back_to_queue(std::uint64_t change);
  void mark();

  const HostId self_;
  const FleetSeal& seal_;
  const RuleSet& rules_;
  FleetTransport& transport_;
  StateWriter& state_;
  const Clock& clock_;
  Timers timers_;
  std::map<std::uint64_t, Item> queue_;  // by change
  std::map<std::uint64_t, Item> sent_;
  std::deque<std::pair<std::int64_t, Item>> recent_;  // read back, and when
  std::uint64_t last_sealed_ = 0;                     // the greatest change that ever went out
  bool publishing_ = false;
  std::vector<std::uint64_t> to_mark_;
  bool marking_ = false;
  std::uint64_t published_ = 0;
  std::string trouble_;
};

}  // namespace authcached
