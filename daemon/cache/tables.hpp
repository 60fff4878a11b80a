// The generations that the daemon writes: the current one and, while it is being replaced, its successor. Every store
// goes to the successor first and to its predecessor second, so that whichever file a reader has, it misses nothing.
//
// Replacement: a new file without a name; the old one MOVING; live records copied in slices, each copy an admission;
// the new name; wait one heartbeat_timeout (a reader that has not looked since then finds the old one retired when it
// does); the old one RETIRED and its name removed. Loop thread only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "daemon/cache/name_index.hpp"
#include "daemon/cache/recency.hpp"
#include "daemon/cache/refresh_queue.hpp"
#include "daemon/cache/token_index.hpp"
#include "shm/place.hpp"
#include "shm/table_writer.hpp"

namespace authcached {

// Told of records that end, after the store that ended them. Called from within stores: it must neither throw nor store.
class EndObserver {
 public:
  virtual ~EndObserver() = default;
  // A live record of this key was killed in one of the generations written; a move is no end.
  virtual void ended(const authcache::shm::Key& key, authcache::shm::SlotState dead) noexcept = 0;
  // Any record may have ended: an epoch was raised, or a generation that held records is gone.
  virtual void any_may_have_ended() noexcept = 0;
};

// One table file with what the daemon keeps beside it.
class Generation final : private authcache::shm::SlotObserver {
 public:
  Generation(authcache::shm::TableFile file, std::optional<Recency> hints);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Every slot in turn while the table is at work: a record that steps from a slot still to come to one that is past is
  // given out after all. What is placed behind the scan is not.
  using ScanId = std::uint64_t;
  [[nodiscard]] ScanId begin_scan();
  [[nodiscard]] std::optional<std::uint64_t> scan_next(ScanId scan);
  void end_scan(ScanId scan) { scans_.erase(scan); }

  void set_end_observers(const std::vector<EndObserver*>* observers) { ends_ = observers; }

  authcache::shm::TableWriter writer;
  TokenIndex index;
  NameIndex names;
  RefreshQueue refresh;
  std::optional<Recency> recency;

 private:
  struct Scan {
    std::uint64_t hand = 0;
    std::vector<std::uint64_t> stepped_behind;
  };
  void placed(std::uint64_t slot) override;
  void removed(std::uint64_t slot) override;
  void moved(std::uint64_t from, std::uint64_t to) override;

  std::map<ScanId, Scan> scans_;
  ScanId last_scan_ = 0;
  const std::vector<EndObserver*>* ends_ = nullptr;
};

struct Places {
  std::uint8_t count = 0;
  std::array<authcache::shm::Place, 2> items{};

  [[nodiscard]] std::span<const authcache::shm::Place> all() const { return {items.data(), count}; }
  bool operator==(const Places& other) const { return std::ranges::equal(all(), other.all()); }
};

class Tables {
 public:
  // Whether a record may be copied; fills what its roles grant by now.
  using Admit = std::function<bool(const authcache::shm::HotRecord&, const authcache::shm::ColdRecord&, std::string_view text,
                                   std::vector<std::string>& role_grants)>;

  Tables(std::filesystem::path dir, std::unique_ptr<Generation> current);

  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  // Of every generation written, now and later. It must outlive this object, or be taken back.
  void add_end_observer(EndObserver* observer);
  void remove_end_observer(EndObserver* observer) { std::erase(ends_, observer); }

  // names: those of a text that is not in the spec, because the daemon keeps it.
  Places insert(const authcache::shm::RecordSpec& spec, std::uint64_t now_ns, const RecordNames* names = nullptr);
  // A later deadline for one record, in all of its places: what it says was proven anew, or (not proven) is relied on for a
  // while longer. False, and the record is to be killed, if it no longer stands at one of them.
  // keep_uses: those that clients told of lately were not looked at for this, and are not forgotten.
  bool extend(const Places& places, std::uint64_t deadline_ns, bool proven, bool keep_uses = false);
  // Whether clients used the record at these places since it was proven.
  [[nodiscard]] bool used_since_proof(const Places& places) const;
  // Gives each of them a bit in every generation written, now and in those to come, while there are any. Those that have
  // none in some generation: the text of a record with such a grant must say it.
  void set_role_grants(std::vector<std::string> all);
  [[nodiscard]] std::vector<std::string> without_bits(std::span<const std::string> role_grants);
  std::uint64_t kill(const authcache::shm::Key& key, authcache::shm::SlotState dead);             // records killed
  std::uint64_t kill_token(const authcache::shm::Key& token, authcache::shm::SlotState dead);     // by token hash
  std::uint64_t kill_negatives();
  bool kill_oldest_negatives(std::uint64_t at_most);  // for slices: true while some are left
  [[nodiscard]] bool find(const authcache::shm::Key& key, authcache::shm::Found& out) const;      // in the newest
  [[nodiscard]] bool text_is_elsewhere(const authcache::shm::Place& place) const;  // kTextOnSocket
  [[nodiscard]] Places places_of(const authcache::shm::Key& key) const;

  [[nodiscard]] std::uint64_t epoch() const { return newest().writer.epoch(); }
  void raise_all();
  void raise_issuer(const authcache::shm::PrincipalId& issuer);
  void raise_key(const authcache::shm::PrincipalId& key);
  void advance_epoch();  // so that flights under way can be told from those to come; voids nothing
  void beat(std::uint64_t now_ns);
  // A good record whose time is over stays for the window of its profile behind its last proof: its upstream may fail, and
  // it is what may be relied on then.
  using Window = std::function<std::uint64_t(std::uint64_t profile_id)>;  // ns; 0: none
  void sweep(std::uint64_t now_ns, std::uint64_t slots, const Window& window = {});
  void set_profiles(const std::vector<authcache::shm::ProfileDescription>& profiles);
  void set_profile_state(std::string_view name, authcache::shm::ProfileState state);
  // While held, every profile is "unavailable" to whoever reads a table, whatever its own state says.
  void hold(bool held);
  [[nodiscard]] bool held() const { return held_; }
  // Runs before each sign of life, so that a table never looks alive in a state that it should have left.
  void set_before_beat(std::function<void()> look) { before_beat_ = std::move(look); }
  void set_durable_change(std::uint64_t change);
  void set_clock_offsets(std::int64_t wall_offset_ns, std::int64_t boot_offset_ns);

  // Begins a replacement; the successor is ready to be filled. Only one at a time.
  void begin_replacement(std::unique_ptr<Generation> successor);
  // Copies up to `slots` slots of the old table; true once all were seen.
  bool copy_slice(std::uint64_t slots, std::uint64_t now_ns, const Admit& admit);
  authcache::shm::Result<void> name_successor();
  std::uint64_t abandon_successor();  // it could not be named. Returns its generation number
  // Ends it: the old table is RETIRED, unlinked and unmapped. Returns its generation number.
  std::uint64_t retire_predecessor();
  [[nodiscard]] bool replacing() const { return successor_ != nullptr; }

  // The generation that whoever opens the name finds; a successor is told of only once it has the name.
  [[nodiscard]] std::uint64_t named_generation() const { return (successor_named_ ? *successor_ : *current_).writer.view().generation; }
  [[nodiscard]] std::vector<std::uint64_t> generations() const;  // that are written, the oldest first
  [[nodiscard]] Generation* generation(std::uint64_t number) const;  // null unless it is written
  [[nodiscard]] Generation& newest() const { return successor_ ? *successor_ : *current_; }
  [[nodiscard]] Generation& current() const { return *current_; }

 private:
  template <class Fn>
  void each(Fn fn) {
    if (successor_) fn(*successor_);
    fn(*current_);
  }

  // Flights are given the newest generation's epoch and inserted into both. Were its counter ahead of the other's (an
  // index was reused there), a raise in the other would not be above such a record, and not void it.
  void level_epochs();
  void doubt_all() const;

  std::filesystem::path dir_;
  std::unique_ptr<Generation> current_;
  std::unique_ptr<Generation> successor_;
  bool successor_named_ = false;
  std::uint64_t copy_hand_ = 0;
  std::vector<EndObserver*> ends_;
  std::vector<std::string> role_grants_;
  std::vector<authcache::shm::ProfileDescription> profiles_;
  bool held_ = false;
  std::function<void()> before_beat_;
};

}  // namespace authcached
