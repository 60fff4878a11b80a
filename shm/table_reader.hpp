// Reading the table: what a lookup does between the digest and the verdict. Any thread of any process; no
// lock, no system call, no allocation, a bounded number of steps.
//
// A record counts only if it is live, whole, before its deadline, and admitted at or after the last raise of
// every epoch that covers it; and a table counts only while its writer is alive and it is not retired.
// Callers ask in this order: heartbeat - clock - find - is_current - (evaluate) - still_serving. The state is
// loaded again after the last record load, because a range may be given up (zeros, state RETIRED) at any
// time.
#pragma once

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <string_view>

#include "shm/buckets.hpp"
#include "shm/table_view.hpp"
#include "shm/text.hpp"
#include "shm/ways.hpp"

namespace authcache::shm {

inline constexpr int kFindTries =
    3;  // a slot that changes under three looks is being rewritten: a miss is cheaper

struct Found {
  HotRecord record;
  std::uint64_t slot;
};

template <class A>
[[gnu::always_inline]] inline void prefetch_bucket(const BasicSlot<A>* bucket) {
  for (unsigned i = 0; i < kSlotsPerBucket; ++i) __builtin_prefetch(bucket + i);
  // Keeps the compiler from asking for the second bucket first, which costs a hit at a million records 10 ns.
  asm volatile("" ::: "memory");
}

// All four lines, although a lookup mostly needs one: the guess may itself be on its way from memory.
template <class A>
[[gnu::always_inline]] inline void prefetch_buckets(const BasicTableView<A>& view, const BucketPair& pair) {
  prefetch_bucket(&view.slot(pair.slot(0)));
  prefetch_bucket(&view.slot(pair.slot(kSlotsPerBucket)));
}

// Where a live record of a key stands, and its control word: 0 if there is none.
struct Standing {
  std::uint64_t slot;
  std::uint64_t control;
};

// All four slots, one after the other. Apart and by value, so that a lookup that never needs it keeps its
// words in registers.
template <class A>
[[gnu::noinline]] Standing search(const BasicSlot<A>* slots, Key key, BucketPair pair) {
  for (unsigned i = 0; i < kChoices; ++i) {
    const std::uint64_t slot = pair.slot(i);
    // A guess, before the order of loads that decides: most slots looked at hold another key, and one word
    // tells.
    if (A::load_relaxed(slots[slot].key[0]) != key[0]) continue;
    if (const std::uint64_t control = control_if_live(slots[slot], key)) return {slot, control};
  }
  return {0, 0};
}

// Looks first at the slot `likely`, whichever of the pair's that is, then at all four.
template <class A>
[[gnu::always_inline]] inline bool find(const BasicTableView<A>& view, const Key& key, const BucketPair& pair,
                                        std::uint64_t likely, Found& out) {
  // Once: behind each acquire load the compiler would load the view's offsets again.
  const BasicSlot<A>* const slots = &view.slot(0);
  Standing at{likely, control_if_live(slots[likely], key)};
  for (int attempt = 0; attempt < kFindTries; ++attempt) {
    if (at.control == 0) at = search(slots, key, pair);
    if (at.control == 0) return false;
    out.slot = at.slot;
    if (read_rest(slots[at.slot], at.control, key, out.record)) [[likely]]
      return true;
    at.control = 0;
  }
  return false;
}

template <class A>
[[gnu::always_inline]] inline bool is_current(const BasicTableView<A>& view, const HotRecord& record,
                                              std::uint64_t now_ns) {
  const Facts facts = unpack_facts(record.facts);
  const Principals principals = unpack_principals(record.principals);
  const auto& header = view.header();
  const auto& issuer_epoch = view.issuer_epoch(principals.issuer);
  const auto& key_epoch = view.key_epoch(principals.key);
  // One branch for all: each of them holds on nearly every hit.
  const std::uint64_t newest_raise = std::max(
      {A::load_acquire(header.all_epoch), A::load_acquire(issuer_epoch), A::load_acquire(key_epoch)});
  return facts.epoch >= newest_raise && now_ns < record.deadline;
}

// heartbeat_ns must have been loaded before now_ns was read.
constexpr Reason liveness(std::uint64_t heartbeat_ns, std::uint64_t now_ns, std::uint64_t timeout_ns) {
  if (heartbeat_ns > now_ns) return Reason::kTimeNamespace;
  if (now_ns - heartbeat_ns > timeout_ns) return Reason::kHeartbeatStale;
  return Reason::kNone;
}
template <class A>
[[gnu::always_inline]] inline Reason liveness(const BasicTableView<A>& view, std::uint64_t heartbeat_ns,
                                              std::uint64_t now_ns) {
  return liveness(heartbeat_ns, now_ns, view.heartbeat_timeout_ns);
}

template <class A>
bool still_serving(const BasicTableView<A>& view) {
  return A::load_acquire(view.header().state) != static_cast<std::uint64_t>(TableState::kRetired);
}

// What a slot's cold part says, copied.
struct ColdRecord {
  std::uint64_t text_unit = 0;
  std::uint64_t text_bytes = 0;
  std::int64_t expires_wall_ns = 0;
  std::int64_t issued_wall_ns = INT64_MIN;
  std::uint64_t profile_id = 0;
  Key token{};
  std::uint64_t checksum = 0;
};

constexpr std::uint64_t pack_text(std::uint64_t unit, std::uint64_t bytes) { return unit | (bytes << 40); }

template <class A>
ColdRecord load_cold(const BasicCold<A>& cold) {
  const std::uint64_t text = A::load_acquire(cold.text);
  return {.text_unit = text & ((std::uint64_t{1} << 40) - 1),
          .text_bytes = text >> 40,
          .expires_wall_ns = static_cast<std::int64_t>(A::load_acquire(cold.expires_wall_ns)),
          .issued_wall_ns = static_cast<std::int64_t>(A::load_acquire(cold.issued_wall_ns)),
          .profile_id = A::load_acquire(cold.profile_id),
          .token = {A::load_acquire(cold.token[0]), A::load_acquire(cold.token[1]),
                    A::load_acquire(cold.token[2])},
          .checksum = A::load_acquire(cold.checksum)};
}

// True if the text of this cold part lies within the text area.
constexpr bool text_in_bounds(const Geometry& geometry, const ColdRecord& cold) {
  const std::uint64_t units = geometry.text_bytes / kTextUnitBytes;
  return cold.text_bytes <= kTextMax && cold.text_unit < units &&
         cold.text_bytes <= (units - cold.text_unit) * kTextUnitBytes;
}

// Copies the text into buffer (kTextMax bytes, 8-aligned); the bytes mean something only if the slot's
// control word is unchanged afterwards.
template <class A>
void copy_text(const BasicTableView<A>& view, const ColdRecord& cold, std::uint64_t* buffer) {
  const std::uint64_t first = cold.text_unit * (kTextUnitBytes / 8);
  for (std::uint64_t i = 0; i * 8 < cold.text_bytes; ++i)
    buffer[i] = A::load_acquire(view.text_word(first + i));
}

// Asks for the cold part and for the text it will point at, at once: by the record's hint, on which nothing
// rests.
template <class A>
void prefetch_text(const BasicTableView<A>& view, std::uint64_t slot) {
  __builtin_prefetch(&view.cold(slot));
  const std::uint64_t hint = unpack_principals(A::load_relaxed(view.slot(slot).principals)).text_hint;
  const std::uint64_t lines = view.geometry.text_bytes / kTextUnitBytes;
  for (std::uint64_t unit = hint; hint != 0 && unit <= hint + 1 && unit <= lines; ++unit)
    __builtin_prefetch(&view.text_word((unit - 1) * (kTextUnitBytes / 8)));
}

// The text of the record that `control` stands for, or nothing if it changed meanwhile or points outside the
// file. buffer holds kTextMax bytes.
template <class A>
std::optional<std::string_view> read_text(const BasicTableView<A>& view, std::uint64_t slot,
                                          std::uint64_t control, std::uint64_t* buffer, ColdRecord& cold) {
  cold = load_cold(view.cold(slot));
  if (!text_in_bounds(view.geometry, cold)) return std::nullopt;
  copy_text(view, cold, buffer);
  if (!still_live(view.slot(slot), control)) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(buffer), cold.text_bytes);
}

}  // namespace authcache::shm
