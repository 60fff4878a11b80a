#include "daemon/cache/proof_replays.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace authcached {

using authcache::shm::Reason;

std::size_t ProofReplays::Hash::operator()(const Sha256& id) const {
  std::size_t value;
  std::memcpy(&value, id.data(), sizeof value);
  return value;
}

void ProofReplays::forget(std::int64_t monotonic_now_ns) {
  while (!entries_.empty() && entries_.front().until_ns <= monotonic_now_ns) {
    const Entry& entry = entries_.front();
    floor_wall_ns_ = std::max(floor_wall_ns_, entry.issued_wall_ns);
    const auto held = held_.find(entry.uid);
    if (--held->second == 0) held_.erase(held);
    ids_.erase(ids_.find(*entry.id));
    entries_.pop_front();
  }
}

Reason ProofReplays::take(const DpopProof& proof, uid_t uid, std::int64_t monotonic_now_ns) {
  forget(monotonic_now_ns);
  if (proof.issued_wall_ns <= floor_wall_ns_) return Reason::kCatchingUp;
  if (ids_.contains(proof.id)) return Reason::kProofReplayed;
  const auto held = held_.find(uid);
  const std::size_t of_user = held == held_.end() ? 0 : held->second;
  if (entries_.size() >= proofs_max_ || of_user >= proofs_of_one_user_max_) return Reason::kOverloaded;
  try {
    const auto id = ids_.insert(proof.id).first;
    try {
      entries_.push_back({&*id, proof.issued_wall_ns, monotonic_now_ns + kProofLifeNs, uid});
      held_[uid] = of_user + 1;
    } catch (...) {
      if (!entries_.empty() && entries_.back().id == &*id) entries_.pop_back();
      ids_.erase(id);
      throw;
    }
  } catch (const std::bad_alloc&) {
    return Reason::kOverloaded;
  }
  return Reason::kNone;
}

}  // namespace authcached
