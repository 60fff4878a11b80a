// Which record goes when the table is full. Writer thread only; holds nothing that a reader sees.
//
// Three advisers each name a victim among the slots that the hand shows: the one unused for longest; and, of
// those used least often, the one unused for longest or the newest. None of them is best for every load, so
// each is judged by what came of its advice, followed or not: a record that is asked for soon after it was
// named costs it regret. Whoever is regretted least is followed. Why so, and with what success:
// docs/eviction.md.
//
// Hints of use come from clients and are not believed: they can make evictions foolish, nothing else. Work
// and memory are bounded whatever they say: 8 bytes a slot, and 4 bytes a record of capacity for those just
// evicted.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shm/layout.hpp"

namespace authcache::shm {

class Eviction {
 public:
  Eviction(std::uint64_t slots, std::uint64_t capacity);

  using Moment =
      std::uint16_t;  // a thousandth of the time in which as many records come as the table holds; wraps
  struct History {
    Moment placed = 0;
    Moment last_used = 0;
    Moment named_at = 0;
    std::uint8_t uses = 0;
    std::uint8_t named_by = 0;  // a bit for each adviser
  };

  // What became of the slots. A record that replaces one of its key goes on with the history of that one.
  void placed(std::uint64_t slot, const Key& key, const std::optional<History>& before);
  [[nodiscard]] const History& history(std::uint64_t slot) const { return history_[slot]; }
  void moved(std::uint64_t from, std::uint64_t to) { history_[to] = history_[from]; }
  void evicted(std::uint64_t slot, const Key& key);
  void used(std::uint64_t slot);  // the hand found its hint set; the slot may be dead
  [[nodiscard]] Moment unused_for(std::uint64_t slot) const { return age(history_[slot].last_used); }

  // One round: begin, show some slots, ask. Empty if none was shown.
  void begin_round();
  void show(std::uint64_t slot);
  [[nodiscard]] std::optional<std::uint64_t> end_round();
  // Of a few slots, at least one, and outside a round: whom the adviser followed now would name.
  [[nodiscard]] std::uint64_t worst_of(std::span<const std::uint64_t> slots) const;

 private:
  enum Adviser : unsigned { kLongestUnused, kLeastUsedOldest, kLeastUsedNewest, kAdvisers };
  struct Ghost {
    std::uint16_t fingerprint = 0;  // 0 stands for none
    std::uint8_t named_at = 0;      // in kMomentsPerGhostTick
    std::uint8_t uses : 5 = 0;
    std::uint8_t named_by : 3 = 0;
  };
  static_assert(sizeof(History) == 8 && sizeof(Ghost) == 4, "what the daemon's memory is reckoned with");
  static constexpr unsigned kGhostsPerBucket = 4;
  using GhostBucket = std::array<Ghost, kGhostsPerBucket>;  // latest first
  struct Record {
    double regret;
    double advice;
  };
  struct Nominee {
    std::uint64_t slot;
    std::uint64_t rank;
  };
  using Nominees = std::array<Nominee, kAdvisers>;

  [[nodiscard]] Moment now() const { return static_cast<Moment>(placed_ / inserts_per_moment_); }
  [[nodiscard]] Moment age(Moment then) const { return static_cast<Moment>(now() - then); }
  [[nodiscard]] std::uint64_t rank(Adviser adviser, const History& history) const;  // the lowest goes
  [[nodiscard]] unsigned uses_now(const History& history) const;
  [[nodiscard]] Adviser followed() const;
  [[nodiscard]] GhostBucket& ghosts_of(const Key& key);
  void regret(std::uint8_t named_by, Moment since);
  void name_victims();

  std::uint64_t capacity_;
  std::uint64_t inserts_per_moment_;
  std::uint64_t placed_ = 0;
  std::uint64_t rounds_ = 0;
  std::vector<History> history_;  // by slot
  std::vector<GhostBucket> ghosts_;
  std::array<Record, kAdvisers> records_;
  std::uint64_t next_forgetting_;
  Nominees victims_{};
  Nominees unnamed_{};  // of those that the adviser has not named already
};

}  // namespace authcache::shm
