// Where a record goes: a two-choice cuckoo table with buckets of two. A record lives in one of its key's two buckets;
// when both are full, a breadth-first search finds the shortest chain of records that can each step to its other
// bucket, and the chain is moved from its far end, each step published before the old copy is killed. So a reader
// may miss a record that moves under its look (slow, never wrong) and never sees it twice with different facts.
#include <array>
#include <new>

#include "shm/record_writer.hpp"
#include "shm/table_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

// At 85 % load a free slot is almost always within three steps; in a full table of 1e6 two records in a million are not
// placed by 256 slots looked at, none by this many.
constexpr std::size_t kSearchMax = 2048;
// Hints come from clients and may all say "used": the hand stops here and takes what it stands on.
constexpr int kHandStepsMax = 64;
// Entries of negative records that moved or died, kept beyond twice the live ones: 16 KiB, so that small tables do not
// tidy at every insert.
constexpr std::size_t kStaleNegativesMax = 1024;

}  // namespace

std::optional<std::uint64_t> TableWriter::slot_for(const BucketPair& pair, bool negative, std::uint64_t now_ns) {
  for (const unsigned choice : {0u, kSlotsPerBucket}) {
    if (const auto slot = free_slot_in(pair, choice, now_ns)) return slot;
  }
  if (const auto slot = open_path(pair, now_ns)) return slot;
  const auto victim = victim_in(pair, negative);
  if (victim) kill_at(*victim, SlotState::kEvicted);
  return victim;
}

std::optional<std::uint64_t> TableWriter::free_slot_in(const BucketPair& pair, unsigned first_choice, std::uint64_t now_ns) {
  for (unsigned i = first_choice; i < first_choice + kSlotsPerBucket; ++i) {
    const std::uint64_t slot = pair.slot(i);
    if (!is_live(slot)) return slot;
    if (is_spent(slot, now_ns)) {
      kill_at(slot, SlotState::kExpired);
      return slot;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> TableWriter::open_path(const BucketPair& pair, std::uint64_t now_ns) {
  struct Step {
    std::uint64_t slot;
    std::size_t parent;  // index into steps; kSearchMax for a root
  };
  std::array<Step, kSearchMax> steps;
  std::size_t count = 0;
  const auto add_bucket = [&](std::uint64_t bucket, std::size_t parent) {
    for (std::uint64_t slot = bucket * kSlotsPerBucket; slot < (bucket + 1) * kSlotsPerBucket && count < kSearchMax; ++slot) {
      steps[count++] = {slot, parent};
    }
  };
  const auto on_path = [&](std::uint64_t slot, std::size_t at) {
    for (; at != kSearchMax; at = steps[at].parent) {
      if (steps[at].slot == slot) return true;
    }
    return false;
  };
  add_bucket(pair.first, kSearchMax);
  add_bucket(pair.second, kSearchMax);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t from = steps[i].slot;
    const BucketPair both = buckets_of(peek(from).key, view().secret.data(), view().geometry.buckets);
    const bool stands_in_first = both.first == from / kSlotsPerBucket;
    const std::uint64_t other = stands_in_first ? both.second : both.first;
    const auto free = free_slot_in(both, stands_in_first ? kSlotsPerBucket : 0, now_ns);
    if (!free) {
      if (!on_path(other * kSlotsPerBucket, i) && !on_path(other * kSlotsPerBucket + 1, i)) add_bucket(other, i);
      continue;
    }
    std::uint64_t to = *free;
    for (std::size_t at = i; at != kSearchMax; at = steps[at].parent) {
      if (is_live(steps[at].slot)) move(steps[at].slot, to);
      to = steps[at].slot;
    }
    return to;
  }
  return std::nullopt;
}

void TableWriter::move(std::uint64_t from, std::uint64_t to) {
  move_record(view(), from, to);
  if (recency_ != nullptr) recency_[to] = recency_[from];
  A::store_relaxed(view().header().moved, A::load_relaxed(view().header().moved) + 1);
  if (observer_ != nullptr) observer_->moved(from, to);
  if (is_negative(to)) queue_negative(to);
}

std::optional<std::uint64_t> TableWriter::victim_in(const BucketPair& pair, bool negative) const {
  std::optional<std::uint64_t> any;
  std::optional<std::uint64_t> unused;
  for (const std::uint64_t bucket : {pair.first, pair.second}) {
    for (std::uint64_t slot = bucket * kSlotsPerBucket; slot < (bucket + 1) * kSlotsPerBucket; ++slot) {
      if (is_negative(slot)) return slot;
      if (!used_lately(slot)) unused = slot;
      any = slot;
    }
  }
  if (negative) return std::nullopt;
  return unused ? unused : any;
}

// Brings the live count under the capacity. SIEVE's hand: a record that was used since the hand last came by is
// passed over once.
bool TableWriter::make_room(bool negative, std::uint64_t now_ns) {
  if (live_ < view().geometry.capacity) return true;
  std::optional<std::uint64_t> fallback;
  for (std::uint64_t looked = 0, steps = 0; steps < kHandStepsMax && looked < view().geometry.slots; ++looked) {
    const std::uint64_t slot = evict_hand_;
    if (++evict_hand_ == view().geometry.slots) evict_hand_ = 0;
    if (!is_live(slot)) continue;
    ++steps;
    const bool spent = is_spent(slot, now_ns);
    const bool takes = spent || is_negative(slot) || (!negative && !used_lately(slot));
    if (takes) {
      kill_at(slot, spent ? SlotState::kExpired : SlotState::kEvicted);
      return true;
    }
    if (recency_ != nullptr && !negative) recency_[slot] = 0;
    if (!negative) fallback = slot;
  }
  if (!fallback) return false;
  kill_at(*fallback, SlotState::kEvicted);
  return true;
}

void TableWriter::enforce_negative_quota() {
  const std::uint64_t max = A::load_relaxed(view().header().negative_max);
  while (!negative_order_.empty() && negative_ >= max) {
    const NegativeSlot oldest = negative_order_.front();
    negative_order_.pop_front();
    if (A::load_relaxed(view().slot(oldest.slot).control) == oldest.control) kill_at(oldest.slot, SlotState::kEvicted);
  }
}

void TableWriter::queue_negative(std::uint64_t slot) {
  try {
    negative_order_.push_back({slot, A::load_relaxed(view().slot(slot).control)});
  } catch (const std::bad_alloc&) {
    // A negative record that the queue does not know would pass its quota by, and outlive what ends all of them.
    return kill_at(slot, SlotState::kEvicted);
  }
  // Moves and kills leave entries behind that no quota would ever pop.
  if (negative_order_.size() > 2 * negative_ + kStaleNegativesMax) {
    std::erase_if(negative_order_, [&](const NegativeSlot& each) {
      return A::load_relaxed(view().slot(each.slot).control) != each.control;
    });
  }
}

bool TableWriter::used_lately(std::uint64_t slot) const { return recency_ != nullptr && recency_[slot] != 0; }

}  // namespace authcache::shm
