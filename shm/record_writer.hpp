// The stores by which records come, move and go: every step of more than one store, as a template over the
// policy of atomics.hpp. TableWriter decides what to write and keeps the accounts; the order of the stores is
// here, so that the explorer (tests/explorer) drives the very code that ships.
//
// Writer thread only.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "shm/table_reader.hpp"

namespace authcache::shm {

// The words of a slot as they stand; only its one writer may read them so.
template <class A>
HotRecord peek_slot(const BasicSlot<A>& slot) {
  return {.control = A::load_relaxed(slot.control),
          .deadline = A::load_relaxed(slot.deadline),
          .key = {A::load_relaxed(slot.key[0]), A::load_relaxed(slot.key[1]), A::load_relaxed(slot.key[2])},
          .facts = A::load_relaxed(slot.facts),
          .principals = A::load_relaxed(slot.principals),
          .grants = A::load_relaxed(slot.grants)};
}

template <class A>
bool is_live_slot(const BasicSlot<A>& slot) {
  return control_state(A::load_relaxed(slot.control)) == SlotState::kLive;
}

// Between begin_publish and end_publish of the slot that will point at it, into room that no live record
// points at.
template <class A>
void store_text(const BasicTableView<A>& view, std::uint64_t unit, std::string_view text) {
  const std::uint64_t first_word = unit * (kTextUnitBytes / 8);
  for (std::uint64_t i = 0; i * 8 < text.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i * 8, std::min<std::size_t>(8, text.size() - i * 8));
    A::store_release(view.text_word(first_word + i), word);
  }
}

// Between begin_publish and end_publish of the slot.
template <class A>
void store_cold(BasicCold<A>& cold, const ColdRecord& record) {
  A::store_release(cold.text, pack_text(record.text_unit, record.text_bytes));
  A::store_release(cold.expires_wall_ns, static_cast<std::uint64_t>(record.expires_wall_ns));
  A::store_release(cold.issued_wall_ns, static_cast<std::uint64_t>(record.issued_wall_ns));
  A::store_release(cold.profile_id, record.profile_id);
  for (std::size_t i = 0; i < record.token.size(); ++i) A::store_release(cold.token[i], record.token[i]);
  A::store_release(cold.checksum, record.checksum);
}

// A whole record into a slot that is not live.
template <class A>
void publish_record(const BasicTableView<A>& view, std::uint64_t index, const HotRecord& hot,
                    const ColdRecord& cold, std::string_view text) {
  BasicSlot<A>& slot = view.slot(index);
  const std::uint64_t sequence = begin_publish(slot);
  store_text(view, cold.text_unit, text);
  store_cold(view.cold(index), cold);
  end_publish(slot, hot, sequence);
}

// The record of one slot into another that is not live; its text stays where it is. Published before killed:
// a reader between the two finds either copy, and they are equal; a writer that dies there has lost nothing.
template <class A>
void move_record(const BasicTableView<A>& view, std::uint64_t from, std::uint64_t to) {
  publish_record(view, to, peek_slot(view.slot(from)), load_cold(view.cold(from)), {});
  kill_slot(view.slot(from), SlotState::kMoved);
}

// Calls fn(slot) for every live copy of the key.
template <class A, class Fn>
bool for_each_copy(const BasicTableView<A>& view, const BucketPair& pair, const Key& key, Fn fn) {
  bool any = false;
  for (const std::uint64_t bucket : {pair.first, pair.second}) {
    for (std::uint64_t i = bucket * kSlotsPerBucket; i < (bucket + 1) * kSlotsPerBucket; ++i) {
      if (!is_live_slot(view.slot(i)) || peek_slot(view.slot(i)).key != key) continue;
      fn(i);
      any = true;
    }
  }
  return any;
}

// Voids what was admitted under a lower epoch than the one this gives to `epoch`, in its last store.
template <class A>
void raise_epoch(BasicHeader<A>& header, typename A::Word& epoch) {
  const std::uint64_t next = A::load_relaxed(header.epoch_counter) + 1;
  A::store_release(header.epoch_counter, next);
  A::store_release(epoch, next);
}

// Adoption: a slot that a dead writer left half filled is dead. Its sequence stays: a reader that looked
// before the crash must never meet the same pair again.
template <class A>
bool bury_busy_slot(BasicSlot<A>& slot) {
  const std::uint64_t control = A::load_relaxed(slot.control);
  if (control_state(control) != SlotState::kBusy) return false;
  A::store_release(slot.control, make_control(control_sequence(control), SlotState::kEvicted));
  return true;
}

// Adoption: true if a lower slot of the key's buckets holds a copy too, as a move leaves behind that was cut
// short.
template <class A>
bool has_earlier_copy(const BasicTableView<A>& view, const BucketPair& pair, std::uint64_t slot,
                      const Key& key) {
  bool earlier = false;
  for_each_copy(view, pair, key, [&](std::uint64_t i) { earlier = earlier || i < slot; });
  return earlier;
}

}  // namespace authcache::shm
