// The one writer of a table file. Writer thread only: every store into the file, published or not, is made here.
//
// Invariants
// 1. At most one live copy of a key, but for the moment of a move, when two equal ones stand (the new one is published
//    before the old one is killed); killing kills every copy.
// 2. A text's room is freed only after the record that points at it was killed, and reused only for a later record.
// 3. Negative records never evict positive ones, and never number more than the header's negative_max.
// 4. Full means evict: of the slots under the hand an expired one first, then a negative one, then whom eviction.hpp
//    names. A positive record is never refused.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/dictionary.hpp"
#include "shm/eviction.hpp"
#include "shm/place.hpp"
#include "shm/profile_directory.hpp"
#include "shm/table_file.hpp"
#include "shm/table_reader.hpp"
#include "shm/text_area.hpp"

namespace authcache::shm {

using PrincipalId = std::array<std::uint64_t, 4>;  // SHA-256 of an issuer's name, or an RFC 7638 thumbprint

[[nodiscard]] inline PrincipalId load_principal(const PrincipalEntry& entry) {
  PrincipalId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = StdAtomics::load_relaxed(entry.id[i]);
  return id;
}

// One record before it is laid out for a generation: the writer turns names into that generation's indices and bits.
// Views must outlive the call.
struct RecordSpec {
  Key key{};
  std::uint64_t deadline = 0;  // CLOCK_MONOTONIC_COARSE ns; the writer takes the one tick off
  std::uint64_t epoch = 0;     // epoch() when the flight began
  Verdict verdict = Verdict::kValid;
  Reason reason = Reason::kNone;
  bool has_confirmation = false;
  bool is_jws = false;          // token is the hash of a signing input
  bool text_too_large = false;  // text is empty because the daemon keeps it
  std::optional<PrincipalId> issuer;
  std::optional<PrincipalId> signing_key;
  std::span<const std::string> scopes;
  std::span<const std::string> permissions;
  // What roles grant beside them: permissions and patterns. Each that has no bit (intern_role_grant) stands in the text.
  std::span<const std::string> role_grants = {};
  std::span<const std::string> audience;
  std::string_view text;  // text.hpp
  std::int64_t expires_wall_ns = 0;
  std::int64_t issued_wall_ns = INT64_MIN;
  std::uint64_t profile_id = 0;
  Key token{};
};

// Told of every slot that becomes live or stops being live, so that private indices can follow. Called after the store.
class SlotObserver {
 public:
  virtual ~SlotObserver() = default;
  virtual void placed(std::uint64_t slot) = 0;
  virtual void removed(std::uint64_t slot) = 0;
  // A record stepped from one slot to another.
  virtual void moved(std::uint64_t from, std::uint64_t to) {
    removed(from);
    placed(to);
  }
};

struct AdoptionReport {
  std::uint64_t kept = 0;
  std::uint64_t dropped_busy = 0;
  std::uint64_t dropped_checksum = 0;
  std::uint64_t dropped_duplicate = 0;
  std::uint64_t dropped_policy = 0;  // expired, too long-lived, of a profile no longer there, under a rule
};

class TableWriter {
 public:
  // For a fresh or an adopted file. Of an adopted one, adopt() must be called before anything else.
  explicit TableWriter(TableFile file);
  TableWriter(TableWriter&&) noexcept;
  TableWriter& operator=(TableWriter&&) noexcept;
  ~TableWriter();

  // --- records
  std::optional<Place> insert(const RecordSpec& spec, std::uint64_t now_ns);  // empty only for a refused negative
  bool kill(const Key& key, SlotState dead);             // every copy; true if there was one
  void kill_at(std::uint64_t slot, SlotState dead);
  [[nodiscard]] bool find(const Key& key, Found& out) const;
  [[nodiscard]] HotRecord peek(std::uint64_t slot) const;  // the words as they stand
  // Stores a later deadline (the writer takes the one tick off) into the record that stands at this place. False if another
  // stands there now, or its deadline is later already.
  bool extend(const Place& place, std::uint64_t deadline_ns);
  // Whether clients said that they used the record since it was placed, or since its uses were forgotten last.
  [[nodiscard]] bool used_since_proof(std::uint64_t slot) const { return used_lately(slot) || used_since_proof_[slot]; }
  void forget_uses(std::uint64_t slot);
  // How long ago that was, as the eviction counts it; 0: since the hand last came by.
  [[nodiscard]] std::uint16_t unused_for(std::uint64_t slot) const;
  // Every negative record: something became known that may have made them wrong. Returns kills.
  std::uint64_t kill_negatives();
  // The oldest of them, so many at most; false once none is left. For slices.
  bool kill_oldest_negatives(std::uint64_t at_most);
  // Kills what is past its deadline or void, slot by slot from a hand that survives between calls. Returns kills.
  std::uint64_t sweep(std::uint64_t now_ns, std::uint64_t slots,
                      const std::function<bool(std::uint64_t slot)>& spares = {});

  // --- epochs; raising voids every record admitted before
  [[nodiscard]] std::uint64_t epoch() const;
  // So that the next raise is above every epoch that another generation has given out.
  void advance_epoch(std::uint64_t at_least);
  void raise_all();
  void raise_issuer(const PrincipalId& issuer);
  void raise_key(const PrincipalId& signing_key);
  // Makes this fresh table a successor: epochs, principals and the durable change go on where `old` stands.
  void inherit(const TableWriter& old);

  // --- dictionary. Gives each a bit while there are any; false: this one has none, so a record's text must say it
  bool intern_role_grant(std::string_view grant);
  // The bits that a record of these facts has in this table now.
  [[nodiscard]] std::uint64_t bits_of(const RecordSpec& spec) const;

  // --- header
  void beat(std::uint64_t now_ns);
  void set_state(TableState state);
  void set_profiles(const std::vector<ProfileDescription>& profiles);
  void set_profile_state(std::string_view name, ProfileState state);
  void set_durable_change(std::uint64_t change);
  void set_clock_offsets(std::int64_t wall_offset_ns, std::int64_t boot_offset_ns);

  // --- adoption of a predecessor's file: structure, checksums, duplicates; `keep` decides on the rest
  using Keep = std::function<bool(std::uint64_t slot, const HotRecord&, const ColdRecord&, std::string_view text)>;
  AdoptionReport adopt(std::uint64_t now_ns, const Keep& keep);

  // --- surroundings
  void set_observer(SlotObserver* observer);
  // One byte a slot, written by clients: 1 means used lately. Untrusted; may be null.
  void set_recency(std::uint8_t* bytes);

  [[nodiscard]] const TableView& view() const { return file_.view; }
  [[nodiscard]] const TableFile& file() const { return file_; }
  [[nodiscard]] std::uint64_t live() const { return live_; }
  [[nodiscard]] std::uint64_t negative() const { return negative_; }

 private:
  struct Laid;  // a record as words
  Laid lay_out(const RecordSpec& spec);
  std::uint64_t lay_grants(const RecordSpec& spec, std::uint16_t& flags);
  std::uint16_t lay_audience(const RecordSpec& spec, std::uint16_t& flags);
  std::optional<std::uint32_t> intern(DictionaryKind kind, std::string_view text);
  std::uint32_t issuer_index(const PrincipalId& id);
  std::uint32_t key_index(const PrincipalId& id);
  struct PrincipalTable;
  using EpochAt = StdAtomics::Word& (TableView::*)(std::uint32_t) const;
  using EntryAt = PrincipalEntry& (TableView::*)(std::uint32_t) const;
  std::uint32_t principal_index(PrincipalTable& table, const PrincipalId& id, std::uint32_t max, EpochAt epoch_at, EntryAt entry_at);

  // placement.cpp
  std::optional<std::uint64_t> slot_for(const BucketPair& pair, bool negative, std::uint64_t now_ns);
  // A free slot among the choices of one bucket: those from first_choice on.
  std::optional<std::uint64_t> free_slot_in(const BucketPair& pair, unsigned first_choice, std::uint64_t now_ns);
  std::optional<std::uint64_t> open_path(const BucketPair& pair, std::uint64_t now_ns);
  void move(std::uint64_t from, std::uint64_t to);
  std::optional<std::uint64_t> victim_in(const BucketPair& pair, bool negative) const;
  bool make_room(bool negative, std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t step_hand();
  void take_hint(std::uint64_t slot);
  void evict(std::uint64_t slot);
  [[nodiscard]] std::optional<Eviction::History> history_of(const Key& key);
  void enforce_negative_quota();
  void queue_negative(std::uint64_t slot);  // without memory for it, the record ends

  [[nodiscard]] bool is_live(std::uint64_t slot) const;
  [[nodiscard]] bool is_negative(std::uint64_t slot) const;
  [[nodiscard]] bool is_spent(std::uint64_t slot, std::uint64_t now_ns) const;  // past its deadline, or void
  bool adopt_slot(std::uint64_t slot, std::uint64_t now_ns, const Keep& keep, AdoptionReport& report);
  [[nodiscard]] bool is_displaced_or_double(std::uint64_t slot, const Key& key) const;
  void adopt_principals();
  [[nodiscard]] bool used_lately(std::uint64_t slot) const;
  void count_dead(SlotState dead);
  [[nodiscard]] std::uint64_t checksum(const HotRecord& hot, const ColdRecord& cold, std::string_view text) const;

  TableFile file_;
  TextArea text_area_;
  Eviction eviction_;
  SlotObserver* observer_ = nullptr;
  std::uint8_t* recency_ = nullptr;
  std::vector<bool> used_since_proof_;  // by slot: what the hand took the byte of
  std::uint64_t live_ = 0;
  std::uint64_t negative_ = 0;
  std::uint64_t sweep_hand_ = 0;
  std::uint64_t evict_hand_ = 0;
  struct NegativeSlot {
    std::uint64_t slot;
    std::uint64_t control;
  };
  std::deque<NegativeSlot> negative_order_;  // oldest first; entries of slots reused since are stale
  struct PrincipalTable {
    std::map<PrincipalId, std::uint32_t> index;
    std::uint32_t used = 1;  // index 0 stands for none
    std::uint32_t hand = 1;  // next to be reused once all are in use
  };
  PrincipalTable issuers_;
  PrincipalTable keys_;
};

}  // namespace authcache::shm
