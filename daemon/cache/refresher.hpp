// Proves records in use again before their time is over, so that nobody waits for it, and keeps good ones for
// a stated while where their upstream cannot be asked (stale_if_error).
//
// A turn takes from each generation's queue (refresh_queue.hpp) what is due:
// - a record that nobody used since it was proven is left to end;
// - one whose token a key proves lives on by what is known already (Admission::renew), and nobody is asked;
// - for any other its token is unsealed and its upstream asked, those with the earliest deadline and the
// latest use
//   first, so many at once at most. The question is a flight like any other (resolver.hpp): a miss joins it,
//   and its answer passes admission with the epoch at which it set out.
// A record whose upstream answered "unavailable" stays as it is until its deadline. Then, if its profile has
// a window, it is prolonged by a step at a time within it, each step passing the rules.
//
// Loop thread only.
#pragma once

#include <chrono>
#include <unordered_map>
#include <vector>

#include "daemon/cache/flight_observer.hpp"
#include "daemon/cache/refresh_lead.hpp"
#include "daemon/cache/resolver.hpp"
#include "daemon/cache/sealed_tokens.hpp"

namespace authcached {

struct RefreshCounters {
  std::uint64_t refreshed = 0;  // begun
  std::uint64_t extended = 0;   // confirmed: the record got a later deadline
  std::uint64_t changed = 0;    // good, but not what the record said: made anew
  std::uint64_t dropped = 0;    // good no more
  std::uint64_t failed = 0;     // nothing could be learnt; the record stayed as it was
  std::uint64_t no_token = 0;   // due, but its token was not kept (restart, or no room)
  std::uint64_t stale = 0;      // deadlines prolonged while the upstream failed
};

// How a profile's upstream does, by the answers to all questions.
struct Outage {
  std::int64_t failing_since_wall_ns = 0;  // 0: the last question was answered
  std::uint64_t stale_until_ns = 0;  // CLOCK_MONOTONIC: the end of the latest window that is made use of
  std::uint64_t stale = 0;           // deadlines prolonged
  [[nodiscard]] bool failing() const { return failing_since_wall_ns != 0; }
};

class Refresher final : public FlightObserver {
 public:
  static constexpr std::chrono::milliseconds kInterval{20};
  // A record looked at takes a microsecond or a few: 5 ms at most.
  static constexpr std::size_t kLooksPerTurn = 2'000;
  // Questions at once, of a profile. At 50 ms each these are 2 500 a second, beside which misses still find
  // room.
  static constexpr std::size_t kInFlightMax = 128;
  // The last look at a record before its deadline: a turn may come late by one.
  static constexpr std::int64_t kLastLookNs = 3 * std::chrono::nanoseconds(kInterval).count();
  // How far a record is prolonged at a time: a daemon that ends in an outage leaves no more than this behind,
  // and a record that is proven again by then keeps its place.
  static constexpr std::int64_t kStaleStepNs = 5'000'000'000;
  // Deadlines so close to each other are one: the record used last goes first.
  static constexpr std::uint64_t kSameDeadlineNs = 100'000'000;

  Refresher(Tables& tables, Admission& admission, Resolver& resolver, const Profiles& profiles,
            const Clock& clock, WallClock& wall, std::size_t sealed_max = SealedTokens::kEntriesMax);
  ~Refresher() override;

  // To be called every kInterval.
  void tick();

  std::string departing(const Profile& profile, const authcache::shm::Digest& digest,
                        std::string_view token) override;
  Places landed(const Landing& landing) override;

  [[nodiscard]] const RefreshCounters& counters() const { return counters_; }
  [[nodiscard]] const SealedTokens& sealed() const { return sealed_; }
  [[nodiscard]] std::uint64_t queued() const { return tables_.newest().refresh.size(); }
  [[nodiscard]] std::size_t in_flight(const Profile& profile) const;
  [[nodiscard]] Outage outage(const Profile& profile) const;
  [[nodiscard]] std::int64_t lead_ns(const Profile& profile) const;  // of a record that lives for ttl_max

 private:
  struct State {
    RefreshLead lead;
    Outage outage;
    std::size_t in_flight = 0;
  };
  // A record that is due, and was looked at.
  struct Look {
    Generation* generation;
    std::uint64_t slot;
    std::uint64_t due_ns;
    std::uint64_t deadline;
    authcache::shm::Key key;
    std::shared_ptr<const Profile> profile;
    Places places;
    std::uint16_t unused_for = 0;
  };

  void look_through(Generation& generation, std::uint64_t now_ns, std::size_t& looks);
  void look_at(Generation& generation, const RefreshQueue::Due& due, std::uint64_t now_ns);
  void due(Look look, std::uint64_t now_ns);
  void ask_upstreams(std::uint64_t now_ns);
  bool ask(const Look& look);
  void wait(const Look& look, std::uint64_t now_ns);
  void try_again(const authcache::shm::Key& key);
  void count(const Landing& landing);
  void note_health(const Landing& landing, State& state);
  bool prolong(const Profile& profile, const Places& places);
  [[nodiscard]] bool ends_with_token(const Generation& generation, std::uint64_t slot, std::uint64_t now_ns,
                                     std::uint64_t deadline);
  [[nodiscard]] std::shared_ptr<const Profile> profile_of(std::uint64_t id) const;
  [[nodiscard]] static bool needs_token(const ProfileConfig& config);
  [[nodiscard]] std::uint64_t random();
  void forget_old_profiles();

  Tables& tables_;
  Admission& admission_;
  Resolver& resolver_;
  const Profiles& profiles_;
  const Clock& clock_;
  WallClock& wall_;
  SealedTokens sealed_;
  std::unordered_map<std::uint64_t, State> states_;  // by profile id
  std::vector<Look> wanted_;                         // of this turn
  RefreshCounters counters_;
  std::uint64_t random_ = 0;
};

}  // namespace authcached
