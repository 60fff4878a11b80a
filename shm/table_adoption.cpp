// Taking over a predecessor's file: whatever store it died at, what remains afterwards is whole, single and allowed.
#include "shm/table_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

}  // namespace

AdoptionReport TableWriter::adopt(std::uint64_t now_ns, const Keep& keep) {
  AdoptionReport report;
  adopt_principals();
  for (std::uint64_t slot = 0; slot < view().geometry.slots; ++slot) {
    const std::uint64_t control = A::load_relaxed(view().slot(slot).control);
    if (control_state(control) == SlotState::kBusy) {
      // The sequence stays: a reader that looked before the crash must never meet the same one again.
      A::store_release(view().slot(slot).control, make_control(control_sequence(control), SlotState::kEvicted));
      ++report.dropped_busy;
    } else if (control_state(control) == SlotState::kLive) {
      if (adopt_slot(slot, now_ns, keep, report)) {
        ++report.kept;
      } else {
        kill_slot(view().slot(slot), SlotState::kEvicted);
      }
    }
  }
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
  if (!text || checksum(hot, cold, *text) != cold.checksum) {
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
  if (is_negative(slot)) {
    ++negative_;
    queue_negative(slot);
  }
  if (observer_ != nullptr) observer_->placed(slot);
  return true;
}

bool TableWriter::is_displaced_or_double(std::uint64_t slot, const Key& key) const {
  const BucketPair pair = buckets_of(key, view().secret.data(), view().geometry.buckets);
  const std::uint64_t bucket = slot / kSlotsPerBucket;
  if (bucket != pair.first && bucket != pair.second) return true;
  for (const std::uint64_t other : {pair.first, pair.second}) {
    for (std::uint64_t i = other * kSlotsPerBucket; i < (other + 1) * kSlotsPerBucket; ++i) {
      if (i < slot && is_live(i) && peek(i).key == key) return true;  // the earlier one stays
    }
  }
  return false;
}

}  // namespace authcache::shm
