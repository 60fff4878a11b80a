// Taking over a predecessor's file: whatever store it died at, what remains afterwards is whole, single and allowed.
#include "shm/record_writer.hpp"
#include "shm/table_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

// Every epoch in the file was once the counter, which is stored before it. A counter below one of them, or at its end,
// is a stray write: raising it would void nothing.
bool epochs_are_sound(const TableView& view) {
  const std::uint64_t counter = A::load_relaxed(view.header().epoch_counter);
  bool sound = counter > 0 && counter < kEpochMax && A::load_relaxed(view.header().all_epoch) <= counter;
  for (std::uint32_t i = 0; i < kIssuersMax; ++i) sound = sound && A::load_relaxed(view.issuer_epoch(i)) <= counter;
  for (std::uint32_t i = 0; i < kKeysMax; ++i) sound = sound && A::load_relaxed(view.key_epoch(i)) <= counter;
  return sound;
}

// Only once no record is left that could be older than an epoch.
void begin_epochs_anew(const TableView& view) {
  A::store_release(view.header().epoch_counter, 1);
  A::store_release(view.header().all_epoch, 0);
  for (std::uint32_t i = 0; i < kIssuersMax; ++i) A::store_release(view.issuer_epoch(i), 0);
  for (std::uint32_t i = 0; i < kKeysMax; ++i) A::store_release(view.key_epoch(i), 0);
}

}  // namespace

AdoptionReport TableWriter::adopt(std::uint64_t now_ns, const Keep& keep) {
  AdoptionReport report;
  adopt_principals();
  const bool sound = epochs_are_sound(view());
  for (std::uint64_t slot = 0; slot < view().geometry.slots; ++slot) {
    const std::uint64_t control = A::load_relaxed(view().slot(slot).control);
    if (bury_busy_slot(view().slot(slot))) {
      ++report.dropped_busy;
    } else if (control_state(control) == SlotState::kLive) {
      if (!sound) ++report.dropped_checksum;
      if (sound && adopt_slot(slot, now_ns, keep, report)) {
        ++report.kept;
      } else {
        kill_slot(view().slot(slot), SlotState::kEvicted);
      }
    }
  }
  if (!sound) begin_epochs_anew(view());
  Header& header = view().header();
  A::store_relaxed(header.live, live_);
  A::store_relaxed(header.negative, negative_);
  A::store_relaxed(header.text_used_bytes, text_area_.used_bytes());
  return report;
}

bool TableWriter::adopt_slot(std::uint64_t slot, std::uint64_t now_ns, const Keep& keep, AdoptionReport& report) {
  alignas(8) std::uint64_t buffer[kTextMax / 8];
  const HotRecord hot = peek(slot);
  ColdRecord cold;
  const auto text = read_text(view(), slot, hot.control, buffer, cold);
  const bool from_the_future = unpack_facts(hot.facts).epoch > epoch();
  if (!text || from_the_future || checksum(hot, cold, *text) != cold.checksum) {
    ++report.dropped_checksum;
    return false;
  }
  if (is_displaced_or_double(slot, hot.key)) {
    ++report.dropped_duplicate;
    return false;
  }
  // A text that only the predecessor's memory held is gone: such a record asks its upstream again.
  const bool text_lost = (unpack_facts(hot.facts).flags & kTextOnSocket) != 0;
  if (text_lost || is_spent(slot, now_ns) || !keep(slot, hot, cold, *text)) {
    ++report.dropped_policy;
    return false;
  }
  if (!text_area_.claim(cold.text_unit, cold.text_bytes)) {
    ++report.dropped_checksum;
    return false;
  }
  ++live_;
  const bool negative = is_negative(slot);
  if (negative) ++negative_;
  if (observer_ != nullptr) observer_->placed(slot);
  if (negative) queue_negative(slot);
  return true;
}

bool TableWriter::is_displaced_or_double(std::uint64_t slot, const Key& key) const {
  const BucketPair pair = buckets_of(key, view().secret.data(), view().geometry.buckets);
  const std::uint64_t bucket = slot / kSlotsPerBucket;
  if (bucket != pair.first && bucket != pair.second) return true;
  return has_earlier_copy(view(), pair, slot, key);  // the earlier one stays
}

}  // namespace authcache::shm
