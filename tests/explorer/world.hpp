// A table of four slots, one key's two buckets, under the checking policy: writers' steps made of the shipped
// templates, lookups made of the shipped templates, and the oracle that knows what each of them may mean.
//
// The oracle. Each publication is a version: all its words are functions of key and version number. A reader
// carries the set of versions that are void for it: those that an acknowledgement it has heard of ended, and
// those that had ended before a version that it has seen was published. It must accept no void version, no
// mixture, and nothing in more loads than the bound.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/record_pin.hpp"
#include "shm/record_writer.hpp"
#include "tests/explorer/checking_atomics.hpp"

namespace authcache::explorer {

using Slot = shm::BasicSlot<CheckingAtomics>;
using View4 = shm::BasicTableView<CheckingAtomics>;
using Versions = std::uint64_t;  // a set: bit n stands for version n

inline constexpr unsigned kKeys =
    4;  // key 0 and, for each of its three words, one that differs in that word alone
inline constexpr std::uint64_t kTextUnits = 2;
// The likely slot's control load and three key words; find's tries over all choices with a guess, a control
// load and three key words each, the rest of a record and its second control load; three epochs; a text's
// cold part, two words and check; the state.
inline constexpr std::uint64_t kLookupLoadsMax =
    4 + shm::kFindTries * (shm::kChoices * 5 + 5) + 3 + (8 + 2 + 1) + 1;

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Version {
  unsigned key = 0;
  std::uint64_t number = 0;
  std::uint64_t epoch = 0;
  std::optional<std::uint64_t> text_unit;
  std::vector<std::uint64_t> deadlines;  // the first, and those that it was extended to
  Versions void_before = 0;              // what had ended when this was published,
  std::uint64_t floor_before = 0;        // and the least epoch that counted
};

struct Reader {
  View view;
  Versions void_versions = 0;
  std::uint64_t floor = 0;  // versions of a lower epoch are void
  std::size_t heard = 0;    // acknowledgements
};

struct Pin {
  shm::BasicPin<CheckingAtomics> shipped;
  std::uint64_t version = 0;
};

class World {
 public:
  explicit World(const Mutant& mutant);

  // --- the writer's steps. Slots are 0 to 3 in the order in which find looks at them.
  void publish(unsigned slot, unsigned key, std::optional<std::uint64_t> text_unit = std::nullopt);
  // A flight that began before the last raise lands after it.
  void publish_late(unsigned slot, unsigned key);
  void insert(unsigned slot, unsigned key, std::optional<std::uint64_t> text_unit = std::nullopt);
  void kill(unsigned slot, shm::SlotState why);
  void vacate(unsigned slot);  // kills what stands there, if anything does
  // Ends the record of `victim` and gives its text's room to a new one.
  void evict_for(unsigned victim, unsigned slot, unsigned key, std::uint64_t text_unit);
  void move(unsigned from, unsigned to);
  void revoke(unsigned key);  // and acknowledges
  void extend(unsigned slot, std::uint64_t sequence, std::int64_t by);
  enum class Epoch : std::uint8_t { kAll, kIssuer, kKey };
  void raise(Epoch which);  // and acknowledges
  void recover();           // a successor's adoption
  void must_be_found(std::optional<unsigned> key) {
    if (!machine.dead()) kept_key_ = key;
  }
  [[nodiscard]] std::uint64_t sequence_in(unsigned slot);

  // --- a reader's steps; each throws Violation
  void hear(Reader& reader);                  // of an acknowledgement, or of none
  void tell(const Reader& from, Reader& to);  // or not
  std::optional<Pin> look(Reader& reader, unsigned key, bool text = false);
  std::optional<Pin> look_at_slot(Reader& reader, unsigned slot, unsigned key);
  void check(Reader& reader, const Pin& pin);  // at a moment of its life, or when its last deadline has come
  // What a reader that has seen every store finds, where the writer promised that a key stays to be found.
  void check_settled();

  bool any_slot_is_likely = false;  // find is told to begin at any of the four; otherwise at the first
  Machine machine;
  std::uint64_t loads_max = 0;
  std::vector<std::uint64_t> accepted;  // of this run, for comparing explorations

 private:
  struct Acknowledgement {
    View view;
    std::uint64_t stamp;
    Versions void_versions;
    std::uint64_t floor;
  };
  [[nodiscard]] static std::vector<std::byte>& memory_of_table();
  [[nodiscard]] shm::Key key_words(unsigned key) const;
  [[nodiscard]] shm::HotRecord hot_of(const Version& version) const;
  [[nodiscard]] shm::ColdRecord cold_of(const Version& version) const;
  [[nodiscard]] static std::string text_of(const Version& version);
  [[nodiscard]] std::uint64_t at(unsigned slot) const { return pair_.slot(slot); }
  std::uint64_t new_version(unsigned key, std::optional<std::uint64_t> text_unit, std::uint64_t epoch);
  void publish_version(unsigned slot, std::uint64_t number);
  void end_versions_of(unsigned key, std::uint64_t before);
  void acknowledge();
  [[nodiscard]] bool holds(const Pin& pin, std::uint64_t now_ns);
  std::optional<Pin> accept(Reader& reader, unsigned key, const shm::Found& found,
                            const shm::ColdRecord* cold, std::string_view text);
  bool serving_and_current(const shm::HotRecord& record, bool serving_before,
                           const std::optional<std::uint64_t>& epochs_before);

  const Mutant& mutant_;
  View4 view_;
  shm::Key key_{};
  shm::BucketPair pair_{};
  std::vector<Version> versions_;
  Versions void_ = 0;
  std::uint64_t floor_ = 0;
  std::vector<Acknowledgement> acknowledgements_;
  std::optional<unsigned> kept_key_;
};

}  // namespace authcache::explorer
