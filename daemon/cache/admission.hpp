// The only way into the table: every proof, whatever brought it (a miss, a created session, a copy), passes the rules
// on the loop thread at the moment of insert, with the epoch that was current when its flight began. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string_view>

#include "daemon/base/proof.hpp"
#include "daemon/base/roles.hpp"
#include "daemon/base/wall_clock.hpp"
#include "daemon/cache/oversize_texts.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/cache/recent_changes.hpp"
#include "daemon/cache/rule_set.hpp"
#include "daemon/cache/tables.hpp"
#include "shm/digest.hpp"

namespace authcached {

struct Candidate {
  const Profile* profile = nullptr;
  const authcache::shm::Digest* digest = nullptr;
  const Sha256* token = nullptr;  // SHA-256 of its bytes
  std::uint64_t epoch = 0;        // at the start of the flight
  Places standing = {};           // a refresh: where the record stood that the flight set out to confirm
  bool keep_uses = false;         // a refresh: what is told of its use by now is news to its store
};

struct Admitted {
  authcache::shm::Verdict verdict = authcache::shm::Verdict::kUnavailable;
  authcache::shm::Reason reason = authcache::shm::Reason::kNone;
  Places places;
  // What became of the record that a refresh set out to confirm.
  enum class Standing : std::uint8_t { kNone, kExtended, kReplaced } standing = Standing::kNone;
};

class Admission {
 public:
  Admission(Tables& tables, OversizeTexts& texts, const RuleSet& rules, const Clock& clock, WallClock& wall);

  // From now on records are given what this book's roles grant. Those that stand say what an earlier one granted until
  // regrant() has been at them.
  // The profiles say which roles they take from their tokens; a flight that began under an earlier one gets no more.
  void set_roles(std::shared_ptr<const RoleBook> roles, const Profiles& profiles);
  [[nodiscard]] const RoleBook& roles() const { return *roles_; }

  Admitted admit(const Candidate& candidate, const Proof& proof);
  // Makes the record in this slot say what its roles grant by now, without asking its upstream: the facts are in it. One
  // that says so already stays as it is; one that may not be admitted any more, or whose facts are not at hand, dies.
  enum class Regranted : std::uint8_t { kSame, kChanged, kKilled };
  Regranted regrant(Generation& generation, std::uint64_t slot, const Profiles& profiles);
  // The same for all of an adopted table, whose records say what its former daemon's roles granted, before anybody may
  // rely on it. Returns how many changed or died.
  std::uint64_t regrant_adopted(Generation& generation, const Profiles& profiles);
  // A record of a profile whose tokens a key proves: it was checked once, and what it says cannot change, so it lives on
  // for as long as its key proves, no rule denies it and its token lasts. Asks nobody.
  enum class Renewed : std::uint8_t {
    kYes,
    kNoGain,   // not beyond the deadline that it has
    kRefused,  // a rule or the key set is against it
  };
  [[nodiscard]] Renewed renew(const Profile& profile, const Places& places);
  // A good record whose upstream cannot be asked lives on for at most step_ns more, within the profile's window
  // (stale_if_error) behind its last proof. The deadline that it has now; 0: it may not.
  [[nodiscard]] std::uint64_t prolong(const Profile& profile, const Places& places, std::int64_t step_ns);
  // Flights that began before this bring an answer to their waiters and no record to the table: what they asked may have
  // been true only before. For a flush that raises no epoch.
  void disregard_flights();
  // The same for flights and records that these changes are about; flights that begin from now on know of them.
  void note_changes(std::uint64_t profile_id, std::span<const SessionChange> changes);
  // True if a rule denies what this candidate proved: asked again for each waiter when a reply is sent.
  [[nodiscard]] bool denied(const Candidate& candidate, const Proof& proof) const;
  // False if the text of this record lies with us no more: then nobody can use the record, and it is to be made anew.
  [[nodiscard]] bool has_text(const authcache::shm::HotRecord& record, const authcache::shm::Place& place) const;
  // The same question as denied() for a record that lies in a table (copies and adoption). Profiles as they are now.
  [[nodiscard]] bool may_keep(const authcache::shm::TableView& view, const Profiles& profiles, const authcache::shm::HotRecord& hot,
                              const authcache::shm::ColdRecord& cold, std::string_view text) const;
  // The same for a copy, with what its roles grant by now.
  [[nodiscard]] bool may_copy(const authcache::shm::TableView& view, const Profiles& profiles, const authcache::shm::HotRecord& hot,
                              const authcache::shm::ColdRecord& cold, std::string_view text, std::vector<std::string>& role_grants) const;

 private:
  Admitted store(const Candidate& candidate, const Proof& proof);
  // The standing record lives on to this deadline if the new proof says of it what it says itself.
  bool confirm(const Candidate& candidate, const authcache::shm::RecordSpec& spec, std::string_view text, bool ends_with_token);
  [[nodiscard]] bool says_the_same(const authcache::shm::Place& place, const authcache::shm::RecordSpec& spec, std::string_view text) const;
  struct Standing;
  // The record at the first of these places, if it still stands at all of them and no rule, key or epoch is against it.
  [[nodiscard]] std::optional<Standing> look_at(const Profile& profile, const Places& places, bool past_deadline_too) const;
  [[nodiscard]] bool allows(const authcache::shm::TableView& view, const Profile& profile, const authcache::shm::HotRecord& hot,
                            const authcache::shm::ColdRecord& cold, std::string_view text) const;
  [[nodiscard]] static bool lives_too_long(const Proof& proof, const ProfileConfig& profile, std::int64_t wall_now_ns);

  [[nodiscard]] std::int64_t least_life_ns() const;

  Tables& tables_;
  OversizeTexts& texts_;
  const RuleSet& rules_;
  [[nodiscard]] std::optional<std::int64_t> surely_issued_before(std::optional<std::int64_t> issued_wall_ns, const ProfileConfig& profile) const;
  [[nodiscard]] AdmissionFacts facts_of(const Candidate& candidate, const Proof& proof, const Sha256& token,
                                        const std::optional<Sha256>& signing_input) const;

  const Clock& clock_;
  WallClock& wall_;
  [[nodiscard]] std::vector<std::string> grants_of_roles(std::uint64_t profile_id, std::span<const std::string> permissions) const;

  std::shared_ptr<const RoleBook> roles_ = std::make_shared<const RoleBook>();
  std::map<std::uint64_t, std::vector<std::string>> taken_;  // by profile id
  std::uint64_t flights_from_ = 0;  // epoch of the first that may store what it brings
  RecentChanges changes_;
};

}  // namespace authcached
