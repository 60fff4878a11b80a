// Where a record goes: a two-choice cuckoo table with buckets of two. A record lives in one of its key's two
// buckets; when both are full, a breadth-first search finds the shortest chain of records that can each step
// to its other bucket, and the chain is moved from its far end, each step published before the old copy is
// killed. So a reader may miss a record that moves under its look (slow, never wrong) and never sees it twice
// with different facts.
#include <array>
#include <new>
#include <span>

#include "shm/record_writer.hpp"
#include "shm/table_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

// At 85 % load a free slot is almost always within three steps; in a full table of 1e6 two records in a
// million are not placed by 256 slots looked at, none by this many.
constexpr std::size_t kSearchMax = 2048;
// Live records that the hand shows for one eviction, whatever their hints say. Slots are chosen by a hash, so
// these are a random sample: the worst of 64 is, nine times in ten, among the worst 4 % of the table.
constexpr int kHandStepsMax = 64;
// Entries of negative records that moved or died, kept beyond twice the live ones: 16 KiB, so that small
// tables do not tidy at every insert.
constexpr std::size_t kStaleNegativesMax = 1024;

}  // namespace

std::optional<std::uint64_t> TableWriter::slot_for(const BucketPair& pair, bool negative,
                                                   std::uint64_t now_ns) {
  for (const unsigned choice : {0u, kSlotsPerBucket}) {
    if (const auto slot = free_slot_in(pair, choice, now_ns)) return slot;
  }
  if (const auto slot = open_path(pair, now_ns)) return slot;
  const auto victim = victim_in(pair, negative);
  if (victim) evict(*victim);
  return victim;
}

std::optional<std::uint64_t> TableWriter::free_slot_in(const BucketPair& pair, unsigned first_choice,
                                                       std::uint64_t now_ns) {
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
    for (std::uint64_t slot = bucket * kSlotsPerBucket;
         slot < (bucket + 1) * kSlotsPerBucket && count < kSearchMax; ++slot) {
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
      if (!on_path(other * kSlotsPerBucket, i) && !on_path(other * kSlotsPerBucket + 1, i))
        add_bucket(other, i);
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
  store_way(view(), peek(to).key, to);
  if (recency_ != nullptr) recency_[to] = recency_[from];
  used_since_proof_[to] = used_since_proof_[from];
  eviction_.moved(from, to);
  A::store_relaxed(view().header().moved, A::load_relaxed(view().header().moved) + 1);
  if (observer_ != nullptr) observer_->moved(from, to);
  if (is_negative(to)) queue_negative(to);
}

std::optional<std::uint64_t> TableWriter::victim_in(const BucketPair& pair, bool negative) const {
  std::array<std::uint64_t, kChoices> unused;
  std::array<std::uint64_t, kChoices> all;
  std::size_t unused_count = 0;
  for (unsigned i = 0; i < kChoices; ++i) {
    all[i] = pair.slot(i);
    if (is_negative(all[i])) return all[i];
    if (!used_lately(all[i])) unused[unused_count++] = all[i];
  }
  if (negative) return std::nullopt;
  return eviction_.worst_of(unused_count > 0 ? std::span(unused).first(unused_count) : std::span(all));
}

// Brings the live count under the capacity. While there is room the hand only learns who is used when, so
// that it knows by the time there is none. What the hand shows is looked at to the end before a live record
// goes, so that an expired one among it saves that one.
bool TableWriter::make_room(bool negative, std::uint64_t now_ns) {
  if (live_ < view().geometry.capacity) {
    if (!negative && recency_ != nullptr) {
      for (int steps = 0; steps < kHandStepsMax; ++steps) take_hint(step_hand());
    }
    return true;
  }
  std::optional<std::uint64_t> other_negative;
  eviction_.begin_round();
  for (std::uint64_t looked = 0, steps = 0; steps < kHandStepsMax && looked < view().geometry.slots;
       ++looked) {
    const std::uint64_t slot = step_hand();
    if (!is_live(slot)) continue;
    ++steps;
    if (is_spent(slot, now_ns)) {
      kill_at(slot, SlotState::kExpired);
      return true;
    }
    if (is_negative(slot)) {
      other_negative = slot;
    } else if (!negative) {
      take_hint(slot);
      eviction_.show(slot);
    }
  }
  const auto victim = other_negative ? other_negative : eviction_.end_round();  // a negative shows it none
  if (!victim) return false;
  evict(*victim);
  return true;
}

std::uint64_t TableWriter::step_hand() {
  const std::uint64_t slot = evict_hand_;
  if (++evict_hand_ == view().geometry.slots) evict_hand_ = 0;
  return slot;
}

void TableWriter::take_hint(std::uint64_t slot) {
  if (!used_lately(slot)) return;
  recency_[slot] = 0;
  used_since_proof_[slot] = true;
  eviction_.used(slot);
}

void TableWriter::evict(std::uint64_t slot) {
  eviction_.evicted(slot, peek(slot).key);
  kill_at(slot, SlotState::kEvicted);
}

// A refresh replaces a record: what is known of its use stays with the key.
std::optional<Eviction::History> TableWriter::history_of(const Key& key) {
  Found old;
  if (!find(key, old)) return std::nullopt;
  take_hint(old.slot);
  return eviction_.history(old.slot);
}

void TableWriter::enforce_negative_quota() {
  const std::uint64_t max = A::load_relaxed(view().header().negative_max);
  while (!negative_order_.empty() && negative_ >= max) {
    const NegativeSlot oldest = negative_order_.front();
    negative_order_.pop_front();
    if (A::load_relaxed(view().slot(oldest.slot).control) == oldest.control)
      kill_at(oldest.slot, SlotState::kEvicted);
  }
}

void TableWriter::queue_negative(std::uint64_t slot) {
  try {
    negative_order_.push_back({slot, A::load_relaxed(view().slot(slot).control)});
  } catch (const std::bad_alloc&) {
    // A negative record that the queue does not know would pass its quota by, and outlive what ends all of
    // them.
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
