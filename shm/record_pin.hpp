// A pin: where one record stands and all that a re-check compares, so that the check is ten loads, most of
// them of lines that every check of the process reads. Copied freely; good for as long as the mapping behind
// it. Any thread; no system call, no lock, no allocation.
//
// Invariants
// 1. A pin is made from a record that was just judged under `config`; facts, principals and requirement do
// not change
//    while the control word stands, so they are not compared again.
// 2. A slot's pair {sequence, live} occurs once (slot.hpp): whatever is published in the slot later, under
// the same token
//    too, never passes.
//
// Order of the check: heartbeat - clock - deadline (acquire) - control - epochs, directory, profile - table
// state. The deadline may be a later record's: its release store follows that record's busy store, so the
// control load behind it then sees the pinned record gone. The table state comes last for the same reason as
// in a lookup: a range given up under any load reads as RETIRED from then on.
#pragma once

#include <algorithm>

#include "shm/table_reader.hpp"

namespace authcache::shm {

template <class A>
struct BasicPin {
  using Word = typename A::Word;

  const BasicHeader<A>* header = nullptr;
  const BasicSlot<A>* slot = nullptr;
  const Word* issuer_epoch = nullptr;
  const Word* key_epoch = nullptr;
  const Word* profile_state = nullptr;
  std::uint64_t control = 0;
  std::uint64_t config = 0;
  std::uint64_t epoch = 0;
  std::uint64_t heartbeat_timeout_ns = 0;
};

// `found` was judged under `config`, by the entry `profile` of its directory.
template <class A>
[[nodiscard]] BasicPin<A> make_pin(const BasicTableView<A>& view, const Found& found, std::uint64_t config,
                                   std::uint32_t profile) {
  const Principals principals = unpack_principals(found.record.principals);
  return {.header = &view.header(),
          .slot = &view.slot(found.slot),
          .issuer_epoch = &view.issuer_epoch(principals.issuer),
          .key_epoch = &view.key_epoch(principals.key),
          .profile_state = &view.profile(config, profile).state,
          .control = found.record.control,
          .config = config,
          .epoch = unpack_facts(found.record.facts).epoch,
          .heartbeat_timeout_ns = view.heartbeat_timeout_ns};
}

// True if the record would be found, current and judged as it was when it was pinned. `now_ns` is called
// after the heartbeat is loaded.
template <class A, class Clock>
[[nodiscard, gnu::always_inline]] inline bool pin_holds(const BasicPin<A>& pin, Clock now_ns) {
  const BasicHeader<A>& header = *pin.header;
  const std::uint64_t heartbeat_ns = A::load_acquire(header.heartbeat_ns);
  const std::uint64_t now = now_ns();
  const std::uint64_t deadline = A::load_acquire(pin.slot->deadline);
  const std::uint64_t control = A::load_acquire(pin.slot->control);
  const std::uint64_t raised =
      std::max({A::load_acquire(header.all_epoch), A::load_acquire(*pin.issuer_epoch),
                A::load_acquire(*pin.key_epoch)});
  const std::uint64_t config = A::load_acquire(header.config);
  const std::uint64_t profile = A::load_acquire(*pin.profile_state);
  const std::uint64_t table = A::load_acquire(header.state);
  // One branch for all. A heartbeat ahead of the clock wraps to an age that no timeout reaches.
  const bool same = ((control ^ pin.control) | (config ^ pin.config)) == 0;
  const bool alive = now - heartbeat_ns <= pin.heartbeat_timeout_ns;
  const bool current = (pin.epoch >= raised) & (now < deadline);
  const bool served = (profile == static_cast<std::uint64_t>(ProfileState::kCurrent)) &
                      (table != static_cast<std::uint64_t>(TableState::kRetired));
  return same & alive & current & served;
}

struct PinLoss {
  // kInvalid: this very record was killed by a revocation. kUnavailable: the table must not be believed now,
  // and the pin may hold again later. kMiss, for the token to be validated again: moved, evicted, past its
  // deadline, flushed, in a slot used again, or in a table that was replaced.
  Verdict verdict;
  Reason reason;
};

// Why pin_holds said no; looked at afterwards, so what changed in between counts too. `now_ns` is called
// after the heartbeat is loaded.
template <class A, class Clock>
[[nodiscard]] PinLoss why_lost(const BasicPin<A>& pin, Clock now_ns) {
  const std::uint64_t heartbeat_ns = A::load_acquire(pin.header->heartbeat_ns);
  const Reason dead = liveness(heartbeat_ns, now_ns(), pin.heartbeat_timeout_ns);
  const std::uint64_t control = A::load_acquire(pin.slot->control);
  const std::uint64_t profile = A::load_acquire(*pin.profile_state);
  const bool same_directory = A::load_acquire(pin.header->config) == pin.config;
  if (A::load_acquire(pin.header->state) == static_cast<std::uint64_t>(TableState::kRetired))
    return {Verdict::kMiss, Reason::kNone};
  if (control == make_control(control_sequence(pin.control), SlotState::kRevoked))
    return {Verdict::kInvalid, Reason::kRevoked};
  if (dead != Reason::kNone) return {Verdict::kUnavailable, dead};
  if (same_directory && profile != static_cast<std::uint64_t>(ProfileState::kCurrent))
    return {Verdict::kUnavailable, Reason::kCatchingUp};
  return {Verdict::kMiss, Reason::kNone};
}

using Pin = BasicPin<StdAtomics>;

}  // namespace authcache::shm
