#include "shm/table_writer.hpp"

#include "shm/checksum.hpp"
#include "shm/permission_pattern.hpp"
#include "shm/record_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

DictionaryKind kind_of_role_grant(std::string_view grant) {
  return is_permission_pattern(grant) ? DictionaryKind::kPattern : DictionaryKind::kPermission;
}

void bump(A::Word& counter, std::uint64_t by = 1) {
  A::store_relaxed(counter, A::load_relaxed(counter) + by);
}

}  // namespace

struct TableWriter::Laid {
  HotRecord hot{};
  ColdRecord cold;
  std::string_view text;
};

TableWriter::TableWriter(TableFile file)
    : file_(std::move(file)),
      text_area_(file_.view.geometry.text_bytes),
      eviction_(file_.view.geometry.slots, file_.view.geometry.capacity),
      used_since_proof_(file_.view.geometry.slots) {}
TableWriter::TableWriter(TableWriter&&) noexcept = default;
TableWriter& TableWriter::operator=(TableWriter&&) noexcept = default;
TableWriter::~TableWriter() = default;

std::uint64_t TableWriter::lay_grants(const RecordSpec& spec, std::uint16_t& flags) {
  std::uint64_t grants = 0;
  const auto add = [&](DictionaryKind kind, std::string_view text) {
    if (const auto bit = intern(kind, text)) {
      grants |= std::uint64_t{1} << *bit;
      return;
    }
    flags |= kGrantsInText;
    if (kind == DictionaryKind::kPattern) flags |= kPatternsInText;
  };
  for (const std::string& scope : spec.scopes) add(DictionaryKind::kScope, scope);
  for (const std::string& permission : spec.permissions) add(DictionaryKind::kPermission, permission);
  for (const std::string& grant : spec.role_grants) add(kind_of_role_grant(grant), grant);
  return grants;
}

bool TableWriter::intern_role_grant(std::string_view grant) { return intern(kind_of_role_grant(grant), grant).has_value(); }

std::uint64_t TableWriter::bits_of(const RecordSpec& spec) const {
  const std::uint64_t word = A::load_relaxed(view().header().dictionary);
  std::uint64_t bits = 0;
  const auto add = [&](DictionaryKind kind, std::string_view text) {
    if (const auto bit = find_bit(view(), word, kind, text)) bits |= std::uint64_t{1} << *bit;
  };
  for (const std::string& scope : spec.scopes) add(DictionaryKind::kScope, scope);
  for (const std::string& permission : spec.permissions) add(DictionaryKind::kPermission, permission);
  for (const std::string& grant : spec.role_grants) add(kind_of_role_grant(grant), grant);
  return bits;
}

std::uint16_t TableWriter::lay_audience(const RecordSpec& spec, std::uint16_t& flags) {
  std::uint16_t bits = 0;
  for (const std::string& audience : spec.audience) {
    if (const auto bit = intern(DictionaryKind::kAudience, audience)) {
      bits = static_cast<std::uint16_t>(bits | (1u << *bit));
    } else {
      flags |= kAudienceInText;
    }
  }
  return bits;
}

TableWriter::Laid TableWriter::lay_out(const RecordSpec& spec) {
  Laid laid;
  std::uint16_t flags =
      static_cast<std::uint16_t>((spec.has_confirmation ? kHasConfirmation : 0) | (spec.is_jws ? kIsJws : 0) |
                                 (spec.text_too_large ? kTextOnSocket : 0));
  laid.hot.key = spec.key;
  laid.hot.deadline = spec.deadline > view().tick_ns ? spec.deadline - view().tick_ns : 0;
  laid.hot.grants = lay_grants(spec, flags);
  const std::uint16_t audiences = lay_audience(spec, flags);
  Principals principals{.issuer = spec.issuer ? issuer_index(*spec.issuer) : 0,
                        .key = spec.signing_key ? key_index(*spec.signing_key) : 0,
                        .audiences = audiences};
  if (!spec.text.empty()) {
    if (const auto unit = text_area_.allocate(spec.text.size())) {
      laid.cold.text_unit = *unit;
      laid.cold.text_bytes = spec.text.size();
      laid.text = spec.text;
      principals.text_hint = text_hint_of(*unit);
    } else {
      flags |= kTextOnSocket;
      bump(view().header().text_refused);
    }
  }
  laid.hot.principals = pack_principals(principals);
  laid.hot.facts =
      pack_facts({.epoch = spec.epoch, .verdict = spec.verdict, .reason = spec.reason, .flags = flags});
  laid.cold.expires_wall_ns = spec.expires_wall_ns;
  laid.cold.issued_wall_ns = spec.issued_wall_ns;
  laid.cold.profile_id = spec.profile_id;
  laid.cold.token = spec.token;
  laid.cold.checksum = checksum(laid.hot, laid.cold, laid.text);
  return laid;
}

std::uint64_t TableWriter::checksum(const HotRecord& hot, const ColdRecord& cold,
                                    std::string_view text) const {
  return record_checksum(hot, cold, text, view().secret);
}

std::optional<Place> TableWriter::insert(const RecordSpec& spec, std::uint64_t now_ns) {
  const bool negative = spec.verdict != Verdict::kValid;
  const BucketPair pair = buckets_of(spec.key, view().secret.data(), view().geometry.buckets);
  const std::optional<Eviction::History> before = history_of(spec.key);
  if (kill(spec.key, SlotState::kEvicted)) bump(view().header().replaced);
  if (negative) enforce_negative_quota();
  const bool wanted = !negative || A::load_relaxed(view().header().negative_max) > 0;
  const auto slot = wanted && make_room(negative, now_ns) ? slot_for(pair, negative, now_ns) : std::nullopt;
  if (!slot) {
    bump(view().header().negative_refused);
    return std::nullopt;
  }
  const Laid laid = lay_out(spec);
  publish_record(view(), *slot, laid.hot, laid.cold, laid.text);
  store_way(view(), spec.key, *slot);
  if (recency_ != nullptr) recency_[*slot] = 0;  // what was used here was another record
  used_since_proof_[*slot] = false;
  eviction_.placed(*slot, spec.key, before);
  ++live_;
  A::store_relaxed(view().header().live, live_);
  if (negative) {
    ++negative_;
    A::store_relaxed(view().header().negative, negative_);
  }
  bump(view().header().inserted);
  A::store_relaxed(view().header().text_used_bytes, text_area_.used_bytes());
  if (observer_ != nullptr) observer_->placed(*slot);
  if (negative) queue_negative(*slot);
  if (!is_live(*slot)) return std::nullopt;
  return Place{view().generation, *slot, control_sequence(A::load_relaxed(view().slot(*slot).control))};
}

bool TableWriter::kill(const Key& key, SlotState dead) {
  const BucketPair pair = buckets_of(key, view().secret.data(), view().geometry.buckets);
  return for_each_copy(view(), pair, key, [&](std::uint64_t slot) { kill_at(slot, dead); });
}

void TableWriter::kill_at(std::uint64_t slot, SlotState dead) {
  if (!is_live(slot)) return;
  const bool negative = is_negative(slot);
  kill_slot(view().slot(slot), dead);
  const ColdRecord cold = load_cold(view().cold(slot));
  text_area_.free(cold.text_unit, cold.text_bytes);
  --live_;
  A::store_relaxed(view().header().live, live_);
  if (negative) A::store_relaxed(view().header().negative, --negative_);
  count_dead(dead);
  if (observer_ != nullptr) observer_->removed(slot);
}

void TableWriter::count_dead(SlotState dead) {
  Header& header = view().header();
  if (dead == SlotState::kRevoked) bump(header.killed_revoked);
  if (dead == SlotState::kExpired) bump(header.killed_expired);
  if (dead == SlotState::kEvicted) bump(header.killed_evicted);
}

bool TableWriter::find(const Key& key, Found& out) const {
  const BucketPair pair = buckets_of(key, view().secret.data(), view().geometry.buckets);
  return shm::find(view(), key, pair, likely_slot(view(), key, pair), out);
}

bool TableWriter::extend(const Place& place, std::uint64_t deadline_ns) {
  if (place.generation != view().generation || place.slot >= view().geometry.slots) return false;
  const std::uint64_t deadline = deadline_ns > view().tick_ns ? deadline_ns - view().tick_ns : 0;
  if (!extend_deadline(view().slot(place.slot), place.sequence, deadline)) return false;
  bump(view().header().extended);
  return true;
}

void TableWriter::forget_uses(std::uint64_t slot) {
  take_hint(slot);
  used_since_proof_[slot] = false;
}

std::uint16_t TableWriter::unused_for(std::uint64_t slot) const { return used_lately(slot) ? 0 : eviction_.unused_for(slot); }

std::uint64_t TableWriter::kill_negatives() {
  std::uint64_t kills = 0;
  for (const NegativeSlot& each : std::exchange(negative_order_, {})) {
    if (A::load_relaxed(view().slot(each.slot).control) != each.control) continue;
    kill_at(each.slot, SlotState::kEvicted);
    ++kills;
  }
  return kills;
}

bool TableWriter::kill_oldest_negatives(std::uint64_t at_most) {
  for (std::uint64_t i = 0; i < at_most && !negative_order_.empty(); ++i) {
    const NegativeSlot oldest = negative_order_.front();
    negative_order_.pop_front();
    if (A::load_relaxed(view().slot(oldest.slot).control) == oldest.control)
      kill_at(oldest.slot, SlotState::kEvicted);
  }
  return !negative_order_.empty();
}

std::uint64_t TableWriter::sweep(std::uint64_t now_ns, std::uint64_t slots,
                                 const std::function<bool(std::uint64_t slot)>& spares) {
  std::uint64_t kills = 0;
  for (std::uint64_t i = 0; i < slots; ++i) {
    if (is_live(sweep_hand_) && is_spent(sweep_hand_, now_ns) && !(spares && spares(sweep_hand_))) {
      kill_at(sweep_hand_, SlotState::kExpired);
      ++kills;
    }
    if (++sweep_hand_ == view().geometry.slots) sweep_hand_ = 0;
  }
  return kills;
}

bool TableWriter::is_live(std::uint64_t slot) const { return is_live_slot(view().slot(slot)); }

bool TableWriter::is_negative(std::uint64_t slot) const {
  return unpack_facts(A::load_relaxed(view().slot(slot).facts)).verdict != Verdict::kValid;
}

bool TableWriter::is_spent(std::uint64_t slot, std::uint64_t now_ns) const {
  return !is_current(view(), peek(slot), now_ns);
}

HotRecord TableWriter::peek(std::uint64_t slot) const { return peek_slot(view().slot(slot)); }

void TableWriter::beat(std::uint64_t now_ns) { A::store_release(view().header().heartbeat_ns, now_ns); }

void TableWriter::set_state(TableState state) {
  A::store_release(view().header().state, static_cast<std::uint64_t>(state));
}

void TableWriter::set_durable_change(std::uint64_t change) {
  A::store_release(view().header().durable_change, change);
}

void TableWriter::set_clock_offsets(std::int64_t wall_offset_ns, std::int64_t boot_offset_ns) {
  A::store_relaxed(view().header().wall_offset_ns, static_cast<std::uint64_t>(wall_offset_ns));
  A::store_relaxed(view().header().boot_offset_ns, static_cast<std::uint64_t>(boot_offset_ns));
}

void TableWriter::set_observer(SlotObserver* observer) { observer_ = observer; }
void TableWriter::set_recency(std::uint8_t* bytes) { recency_ = bytes; }

}  // namespace authcache::shm
