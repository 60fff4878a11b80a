// This host in its fleet: rules made here go out, rules made elsewhere are adopted, and nobody is served who
// could not be if this host does not know that it has heard all. docs/fleet.md states what is promised.
//
// Invariants: a rule of another host only ever tightens, is durable and has killed its records before the
// cursor passes it, and is not published again; what is heard and cannot be read is answered by reading the
// copy of all rules, before anything behind it counts as heard; the tables are held unless everything was
// heard no longer ago than the staleness (measured by BOOTTIME: a suspend counts), or the configuration says
// to serve on.
//
// Loop thread only; gone after the loop ended.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/cache/fleet_outbox.hpp"
#include "daemon/cache/revoker.hpp"

namespace authcached {

class Fleet final : private FleetListener {
 public:
  // What hosts that hold what a lost engine held need to put it back: to notice, and to publish. The
  // staleness, if that is shorter.
  static constexpr std::int64_t kSettle_ns = 5'000'000'000;
  static constexpr std::uint64_t kRetry_ns = 1'000'000'000;
  static constexpr std::int64_t kCursorEvery_ns = 250'000'000;
  // How many hosts' last changes are kept in mind; beyond, all are forgotten and taken as they come.
  static constexpr std::size_t kHostsMax = 100'000;
  static constexpr std::uint64_t kForgetEvery_ns = 600'000'000'000;

  struct Parts {
    Tables& tables;
    const RuleSet& rules;
    Revoker& revoker;
    StateWriter& state;
    Loop& loop;
    const Clock& clock;
  };

  Fleet(const FleetConfig& config, const HostId& self, FleetSeal seal,
        std::unique_ptr<FleetTransport> transport, Parts parts);
  ~Fleet();

  // The tables are held from now on.
  void start(std::optional<FleetCursor> cursor, const std::vector<SharedRule>& stored);
  // Holds the tables or lets them go, by the clock. Cheap: before each sign of life.
  void look();

  [[nodiscard]] bool current() const;
  // What an operator should see to, as a sentence; empty if all is well.
  [[nodiscard]] std::string complaint() const;
  [[nodiscard]] boost::json::object state() const;
  // What an acknowledgement of a revocation says of the others.
  [[nodiscard]] boost::json::object acknowledgement() const;

 private:
  struct Adoption;
  struct Copy;

  void fleet_heard(std::vector<std::string> sealed, Done done) override;
  void fleet_confirmed(const FleetMoment& moment) override;
  void fleet_moved(Done done) override;
  void fleet_gap(std::string_view why, bool engine_lost, Done done) override;

  // For a while nothing counts as heard: until those who hold what an engine lost can have put it back.
  void wait_for_others();
  // False if an entry before this one of its host was not heard.
  bool follows(const FleetEntry& entry);
  void adopt(std::vector<Rule> rules, Done done);
  void adopted(const std::shared_ptr<Adoption>& adoption);
  void read_copy(Done done);
  void take_parcels(const std::vector<FleetParcel>& parcels, Copy& copy, FleetTransport::Next next);
  void keep_cursor(const FleetCursor& cursor);
  void forget_from_time_to_time();

  const FleetConfig config_;
  const HostId self_;
  const FleetSeal seal_;
  std::unique_ptr<FleetTransport> transport_;
  Parts parts_;
  FleetOutbox outbox_;
  Timers timers_;

  std::int64_t started_boot_ns_ = 0;
  std::int64_t heard_until_ns_ = INT64_MIN;  // BOOTTIME
  std::int64_t settled_from_ns_ = INT64_MIN;
  bool lost_ = true;  // rules may be missing that the stream does not tell any more
  bool ever_current_ = false;
  std::map<HostId, std::uint64_t> last_changes_;
  std::int64_t cursor_kept_ns_ = INT64_MIN;
  bool keeping_cursor_ = false;

  std::uint64_t adopted_ = 0, known_ = 0, refused_ = 0, missing_ = 0, copies_ = 0, moves_ = 0,
                own_foreign_ = 0;
  std::string last_gap_, copy_trouble_, adopt_trouble_, refusal_;
};

}  // namespace authcached
