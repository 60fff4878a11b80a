// The miss path behind the socket: one upstream question for each distinct token at a time (a flight), whoever asks.
//
// A question passes, in this order and each for a stated reply: length and shape, a record that somebody else's miss
// has brought meanwhile, a flight to join, this uid's budget, the bound on flights. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/fault_point.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/flight_observer.hpp"
#include "daemon/cache/miss_budget.hpp"
#include "shm/wire.hpp"

namespace authcached {

struct ResolverCounters {
  std::uint64_t asked = 0;
  std::uint64_t rejected = 0;      // by length or shape
  std::uint64_t hits = 0;          // a current record was there
  std::uint64_t coalesced = 0;     // joined a flight
  std::uint64_t over_budget = 0;
  std::uint64_t overloaded = 0;
  std::uint64_t questions = 0;     // upstream
  std::uint64_t waiting_on_refresh = 0;  // requests that wait for a refresh of a record that is still good: never any
};

class Resolver {
 public:
  using Reply = std::move_only_function<void(const authcache::shm::wire::ValidateReply&)>;

  Resolver(Tables& tables, Admission& admission, const Clock& clock, const LimitsConfig& limits);
  ~Resolver();

  // Answers exactly once, now or later. The token's bytes are copied only if a flight begins, and wiped when it ends.
  void validate(const std::shared_ptr<const Profile>& profile, std::string_view token, uid_t uid, Reply reply);

  // Takes from this uid's budget for work that is no question of a token but costs as much; false: it is used up.
  [[nodiscard]] bool charge(uid_t uid);

  // Asks about a standing record again; nobody waits, but a miss of the same token meanwhile joins. since_ns: when that was
  // due (CLOCK_MONOTONIC). False, and the token is wiped, if there is a flight for it already or no room for one.
  bool refresh(const std::shared_ptr<const Profile>& profile, const authcache::shm::Digest& digest, std::string token, const Places& standing,
               std::int64_t since_ns);

  // Null takes it back.
  void set_observer(FlightObserver* observer) { observer_ = observer; }
  void set_limits(const LimitsConfig& limits);
  void set_fault_hook(FaultHook hook) { fault_ = std::move(hook); }
  [[nodiscard]] const ResolverCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t flights() const { return flights_.size(); }
  [[nodiscard]] std::size_t waiters() const { return waiting_; }

 private:
  struct Flight;
  struct DigestHash {
    std::size_t operator()(const authcache::shm::Digest& digest) const;
  };
  using Flights = std::unordered_map<authcache::shm::Digest, std::unique_ptr<Flight>, DigestHash>;

  bool answer_from_table(const authcache::shm::Digest& digest, Reply& reply);
  void depart(const std::shared_ptr<const Profile>& profile, std::string_view token, const authcache::shm::Digest& digest, uid_t uid, Reply reply);
  void launch(std::unique_ptr<Flight> flight, const authcache::shm::Digest& digest, std::string token, uid_t uid);
  // Once it landed: where the record stands that its waiters may be told of although nothing was learnt.
  Places report(Flight& flight, const authcache::shm::Digest& digest, const Admitted& admitted);
  void join(Flight& flight, const authcache::shm::Digest& digest, Reply& reply);
  [[nodiscard]] bool is_good(const authcache::shm::Digest& digest) const;
  void land(const authcache::shm::Digest& digest, std::uint64_t number, const Proof& proof);
  void refuse(const authcache::shm::Digest& digest, authcache::shm::Verdict verdict, authcache::shm::Reason reason, Reply& reply) const;
  Admitted admit(const Candidate& candidate, const Proof& proof);
  void reach(FaultPoint point) const {
    if (fault_) fault_(point);
  }

  // Joining a flight is free, so the bound on each flight alone would let one peer queue a thousand million replies.
  // A waiter costs about 100 bytes.
  static constexpr std::size_t kWaitersMax = 1'000'000;

  Tables& tables_;
  Admission& admission_;
  const Clock& clock_;
  LimitsConfig limits_;
  MissBudget budget_;
  Flights flights_;
  std::size_t waiting_ = 0;  // waiters of all flights
  ResolverCounters counters_;
  FaultHook fault_;
  FlightObserver* observer_ = nullptr;
};

}  // namespace authcached
