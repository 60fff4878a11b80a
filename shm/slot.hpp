// One hot record: one cache line, and the protocol by which one writer changes it under any number of readers.
//
// Invariants
// 1. The control word is 56 bits of sequence and 8 bits of state. The pair {sequence, live} occurs at most once in
//    the life of a slot: the sequence rises with each reuse and never goes backwards, not in recovery either. So a
//    reader that sees the same live control word before and after its data loads read one record, whole.
// 2. A live record is never rewritten. It is published by one store and killed by one store. A writer killed between
//    any two stores leaves the slot as it was, or busy (which no reader accepts), or published.
// 3. Only the deadline word of a live slot may be stored in place, and it only grows.
//
// Orders
//   reader: control (acquire) - data (acquire) - control (relaxed), unchanged?
//   writer: control = busy (relaxed) - data (release) - control = live (release)
// The first control load pairs with the live store: data at least as new as that record is read. Each data load pairs
// with the release store of that word: a reader that saw a later record's word has the later busy store happen before
// its second control load, and coherence then forbids the old value there.
//
// Reading: any thread of any process. Writing: the writer thread only.
#pragma once

#include <array>
#include <cstdint>

#include "shm/atomics.hpp"

namespace authcache::shm {

inline constexpr std::size_t kSlotBytes = 64;

enum class SlotState : std::uint8_t {
  kEmpty = 0,
  kBusy = 1,     // being filled
  kLive = 2,
  kRevoked = 3,  // dead, and why
  kExpired = 4,
  kEvicted = 5,
  kMoved = 6,
};

inline constexpr unsigned kStateBits = 8;
constexpr std::uint64_t make_control(std::uint64_t sequence, SlotState state) {
  return (sequence << kStateBits) | static_cast<std::uint64_t>(state);
}
constexpr std::uint64_t control_sequence(std::uint64_t control) { return control >> kStateBits; }
constexpr SlotState control_state(std::uint64_t control) { return static_cast<SlotState>(control & 0xff); }

// The first 192 bits of a token's digest: what a slot is compared by.
using Key = std::array<std::uint64_t, 3>;

template <class A>
struct alignas(kSlotBytes) BasicSlot {
  typename A::Word control;
  typename A::Word deadline;  // CLOCK_MONOTONIC_COARSE ns, one tick early; 0 is past
  typename A::Word key[3];
  typename A::Word facts;       // facts.hpp
  typename A::Word principals;  // facts.hpp
  typename A::Word grants;      // a bit for each scope or permission of the dictionary
};
using Slot = BasicSlot<StdAtomics>;
static_assert(sizeof(Slot) == kSlotBytes);

// A private copy of a slot's words. Members have no initial value by intent: clearing them costs a hit more than reading
// the record does, and nobody may look at them but after a read that succeeded.
struct HotRecord {
  std::uint64_t control;
  std::uint64_t deadline;
  Key key;
  std::uint64_t facts;
  std::uint64_t principals;
  std::uint64_t grants;

  [[nodiscard]] std::uint64_t sequence() const { return control_sequence(control); }
};

enum class SlotRead : std::uint8_t {
  kOther,    // not live, or another key
  kRead,     // out holds one whole record
  kChanged,  // it was ours and changed meanwhile: worth another look
};

// True while the record that `control` stood for is still live. A relaxed load: it follows acquire loads of that
// record's words, which keep it behind them.
template <class A>
bool still_live(const BasicSlot<A>& slot, std::uint64_t control) {
  return A::load_relaxed(slot.control) == control;
}

// The control word of a live slot that holds this key; 0, which no live slot has, for any other.
template <class A>
[[gnu::always_inline]] inline std::uint64_t control_if_live(const BasicSlot<A>& slot, const Key& key) {
  const std::uint64_t control = A::load_acquire(slot.control);
  if (control_state(control) != SlotState::kLive) return 0;
  const Key held = {A::load_acquire(slot.key[0]), A::load_acquire(slot.key[1]), A::load_acquire(slot.key[2])};
  // One branch for all three words: the time does not tell how much of a key matched.
  const bool other = ((held[0] ^ key[0]) | (held[1] ^ key[1]) | (held[2] ^ key[2])) != 0;
  return other ? 0 : control;
}

// The rest of the record that control_if_live found; false if it changed meanwhile, and then `out` means nothing.
template <class A>
[[gnu::always_inline]] inline bool read_rest(const BasicSlot<A>& slot, std::uint64_t control, const Key& key, HotRecord& out) {
  out.control = control;
  out.key = key;
  out.deadline = A::load_acquire(slot.deadline);
  out.facts = A::load_acquire(slot.facts);
  out.principals = A::load_acquire(slot.principals);
  out.grants = A::load_acquire(slot.grants);
  return still_live(slot, control);
}

template <class A>
SlotRead read_slot(const BasicSlot<A>& slot, const Key& key, HotRecord& out) {
  const std::uint64_t control = control_if_live(slot, key);
  if (control == 0) return SlotRead::kOther;
  return read_rest(slot, control, key, out) ? SlotRead::kRead : SlotRead::kChanged;
}

// Step 1 of a publication. The slot must not be live. Returns the sequence of the record to come. Words of the
// record that stand outside the slot are stored (release) between begin_publish and end_publish.
template <class A>
std::uint64_t begin_publish(BasicSlot<A>& slot) {
  const std::uint64_t sequence = control_sequence(A::load_relaxed(slot.control)) + 1;
  A::store_relaxed(slot.control, make_control(sequence, SlotState::kBusy));
  return sequence;
}

// Step 2: the data, then the one store that makes it a record.
template <class A>
void end_publish(BasicSlot<A>& slot, const HotRecord& record, std::uint64_t sequence) {
  A::store_release(slot.deadline, record.deadline);
  for (std::size_t i = 0; i < record.key.size(); ++i) A::store_release(slot.key[i], record.key[i]);
  A::store_release(slot.facts, record.facts);
  A::store_release(slot.principals, record.principals);
  A::store_release(slot.grants, record.grants);
  A::store_release(slot.control, make_control(sequence, SlotState::kLive));
}

// Ends a record by one store. Pairs with the reader's second control load.
template <class A>
void kill_slot(BasicSlot<A>& slot, SlotState dead) {
  const std::uint64_t sequence = control_sequence(A::load_relaxed(slot.control));
  A::store_release(slot.control, make_control(sequence, dead));
}

// Grows the deadline of the record that has this sequence; false if it is no longer that record, or would shrink.
template <class A>
bool extend_deadline(BasicSlot<A>& slot, std::uint64_t sequence, std::uint64_t deadline) {
  if (A::load_relaxed(slot.control) != make_control(sequence, SlotState::kLive)) return false;
  if (deadline < A::load_relaxed(slot.deadline)) return false;
  // Release, for a reader of an older record in this slot that comes upon it: that one must then see its record's end.
  A::store_release(slot.deadline, deadline);
  return true;
}

}  // namespace authcache::shm
