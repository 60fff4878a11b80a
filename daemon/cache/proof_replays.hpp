// Which DPoP proofs were taken on this host (RFC 9449 section 11.1). Loop thread only; time is passed in.
//
// Invariant: a proof is taken only if it was issued after floor_wall_ns, and every proof ever taken that was
// issued after it is remembered here. So no proof is taken twice in the life of this object, whatever the
// clocks do: forgetting a proof raises the floor to its iat. While the clock runs forward the floor lies
// behind what is too old anyway, and refuses nobody.
//
// What was taken before this object was made is covered by the floor that it is made with.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "daemon/token/dpop.hpp"
#include "shm/verdict.hpp"

namespace authcached {

// A proof must be remembered until nobody would take it for its age: this long after it was taken, if it came
// as far ahead of our clock as it may.
inline constexpr std::int64_t kProofLifeNs = kProofAgeMaxNs + kProofAheadMaxNs;
// 16 000 proofs a second for all that time, which is more than the threads that check signatures can do.
// About 110 bytes each, and only while they are there.
inline constexpr std::size_t kProofsMax = std::size_t{1} << 20;
// Of one user: no user keeps the others out.
inline constexpr std::size_t kProofsOfOneUserMax = kProofsMax / 2;

class ProofReplays {
 public:
  // wall_now_ns: of the start. A predecessor may have taken proofs that were issued up to kProofAheadMaxNs
  // later.
  explicit ProofReplays(std::int64_t wall_now_ns, std::size_t proofs_max = kProofsMax,
                        std::size_t proofs_of_one_user_max = kProofsOfOneUserMax)
      : proofs_max_(proofs_max),
        proofs_of_one_user_max_(proofs_of_one_user_max),
        floor_wall_ns_(wall_now_ns + kProofAheadMaxNs) {}

  // kNone: taken, for the first and last time. kProofReplayed. kCatchingUp: issued at or before the floor, so
  // that it may have been taken before. kOverloaded: no room, or no memory, to remember it. To be asked only
  // about proofs whose signature is good, as an entry is the cost of one.
  [[nodiscard]] authcache::shm::Reason take(const DpopProof& proof, uid_t uid, std::int64_t monotonic_now_ns);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::int64_t floor_wall_ns() const { return floor_wall_ns_; }

 private:
  struct Hash {
    std::size_t operator()(const Sha256& id) const;
  };
  using Ids = std::unordered_set<Sha256, Hash>;
  struct Entry {
    const Sha256* id;  // in ids_, whose elements stay where they are
    std::int64_t issued_wall_ns;
    std::int64_t until_ns;
    uid_t uid;
  };
  void forget(std::int64_t monotonic_now_ns);

  const std::size_t proofs_max_;
  const std::size_t proofs_of_one_user_max_;
  std::int64_t floor_wall_ns_;
  Ids ids_;
  std::deque<Entry> entries_;  // the oldest first: all live equally long
  std::unordered_map<uid_t, std::size_t> held_;
};

}  // namespace authcached
