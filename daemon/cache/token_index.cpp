#include "daemon/cache/token_index.hpp"

namespace authcached {

namespace shm = authcache::shm;

static_assert(shm::kCapacityMax * 100 / shm::kLoadPercent < UINT32_MAX, "a slot number fits 32 bits");

TokenIndex::TokenIndex(const shm::TableView& view)
    : view_(view),
      heads_(view.geometry.slots, kNone),
      next_(view.geometry.slots, kNone),
      previous_(view.geometry.slots, kNone) {}

shm::Key TokenIndex::token_at(std::uint64_t slot) const { return shm::load_cold(view_.cold(slot)).token; }

void TokenIndex::placed(std::uint64_t slot) {
  std::uint32_t& head = heads_[chain_of(token_at(slot))];
  next_[slot] = head;
  previous_[slot] = kNone;
  if (head != kNone) previous_[head] = static_cast<std::uint32_t>(slot);
  head = static_cast<std::uint32_t>(slot);
}

void TokenIndex::removed(std::uint64_t slot) {
  const std::uint32_t next = next_[slot];
  const std::uint32_t previous = previous_[slot];
  if (previous != kNone) {
    next_[previous] = next;
  } else {
    // The cold words of a dead slot stay until the slot is reused, so its chain can still be told.
    heads_[chain_of(token_at(slot))] = next;
  }
  if (next != kNone) previous_[next] = previous;
}

std::vector<std::uint64_t> TokenIndex::slots_of(const shm::Key& token) const {
  std::vector<std::uint64_t> slots;
  for (std::uint32_t slot = heads_[chain_of(token)]; slot != kNone; slot = next_[slot]) {
    if (token_at(slot) == token) slots.push_back(slot);
  }
  return slots;
}

}  // namespace authcached
