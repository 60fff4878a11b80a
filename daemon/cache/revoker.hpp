// Revocation, in the order that its promise needs: (0) the rule enters memory, so that no admission passes it; (1) the
// matching records are killed, every copy, every profile, every generation written; (2) the rule is durable; (3) the
// caller is told. If the commit fails, the rule is withdrawn (what older one covered stays), what was killed stays
// killed and revalidates, and the caller gets the error. Loop thread only.
//
// Records of an issuer, a key or everything die by one raised epoch; those of a jti, sid, subject or client are found
// through NameIndex and killed in slices (BulkKill), and the commit waits for the last slice.
//
// At the bound on rules no revocation is forgotten: what is known already is tightened in place; a rule limited to an
// issuer becomes "everything of this issuer issued until now"; any other becomes "everything issued until now". Only a
// signing key cannot be stood for so, because whoever holds it writes any time of issue: once the reserve for issuers
// and keys is used up too, its revocation is an error.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "daemon/base/fault_point.hpp"
#include "daemon/base/wall_clock.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/bulk_kill.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/cache/rule_set.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/io/loop.hpp"

namespace authcached {

struct RevokeReport {
  std::uint64_t change = 0;
  std::uint64_t killed = 0;
  std::int64_t refused_after_ns = 0;  // from the call until the last kill
  std::int64_t durable_after_ns = 0;
  bool everything = false;  // the rule made is on everything, asked for or because of the bound on rules
  bool issuer_instead = false;  // because of the bound on rules the rule made is on the issuer
};

// What to revoke. scope: an issuer that the rule is limited to (required with a jti), or empty.
struct RevokeTarget {
  RuleKind kind = RuleKind::kEverything;
  std::string value;  // of kKey: 32 raw bytes
  std::string scope;
  std::optional<std::int64_t> not_before_wall_ns;  // bulk kinds; never taken as later than now
  bool shared = true;  // with the fleet, where there is one
};

class Revoker {
 public:
  using Done = std::move_only_function<void(authcache::shm::Result<RevokeReport>)>;

  Revoker(Tables& tables, RuleSet& rules, StateWriter& state, Loop& loop, const Clock& clock, std::uint64_t last_change);

  // Rules kept for less long than these profiles now need are lengthened, in slices, and made durable so.
  void set_profiles(Profiles profiles);
  // The RuleSet must have room for kReserve more.
  void set_rules_max(std::size_t rules_max) { rules_max_ = rules_max; }
  // Beyond the bound: issuers and keys, of which few are ever revoked, and one for everything.
  static constexpr std::size_t kReserve = 65;
  // A predecessor's table that could not be reached may still be read until then (CLOCK_MONOTONIC): no
  // acknowledgement before.
  void hold_acknowledgements_until(std::int64_t monotonic_ns) { acknowledge_from_ns_ = monotonic_ns; }
  [[nodiscard]] std::int64_t held_for_ns() const { return acknowledge_from_ns_ - clock_.monotonic_ns(); }

  void revoke_token(std::string_view token, Done done);
  void revoke_session(const Sha256& token, Done done);  // by SHA-256 of its token
  void revoke(RevokeTarget target, Done done);          // every other kind
  // What another host of the fleet revoked: the same promise, and not shared again. Of the rule its kind, scope, value,
  // not-before and life count; it is kept from now on for no less than a rule of this host.
  void adopt(Rule rule, Done done);
  // True if adopting this rule would refuse more than the rules in force do.
  [[nodiscard]] bool tightens(const Rule& rule) const;
  // From now on what is revoked is also put into the fleet's outbox, in the commit that makes it durable: as it was asked
  // for, not as the bound on rules made it. Told after that commit.
  void share_with(std::function<void(std::vector<Rule>)> told) { shared_ = std::move(told); }
  [[nodiscard]] bool shares() const { return shared_ != nullptr; }
  // Takes back the rule that this change made (of a token: both of its rules), durably. Nothing that was killed comes
  // back; what the rule had refused is asked for again. The rules lifted.
  void lift(std::uint64_t change, std::move_only_function<void(authcache::shm::Result<std::vector<Rule>>)> done);
  // Without a rule: each record is asked for again.
  void flush_subject(std::string subject, BulkKill::Done done);
  void flush_negatives(BulkKill::Done done) { bulk_.negatives(std::move(done)); }
  void flush_profile(std::uint64_t profile_id, BulkKill::Done done) { bulk_.by_profile(profile_id, std::move(done)); }
  void flush_unproven(std::uint64_t profile_id, BulkKill::Proves proves, BulkKill::Done done) {
    bulk_.unproven(profile_id, std::move(proves), std::move(done));
  }
  void flush_other_profiles(std::vector<std::uint64_t> kept, BulkKill::Done done) { bulk_.other_profiles(std::move(kept), std::move(done)); }
  // Every record that holds one of these roles, or whose bits do not say which it holds, comes to say what it grants by now
  // (Admission::regrant). The definitions must be in force: afterwards no record says what earlier ones granted.
  void regrant(Admission& admission, const Profiles& profiles, std::set<std::string> roles, BulkKill::Done done);
  // From time to time. Rules whose life both clocks say is past; a slice at a time. None while rules wait to be
  // lengthened. Kills that stopped for want of memory go on.
  void purge();
  // True while some rules are kept for less long than the profiles need; then none is purged.
  [[nodiscard]] bool lengthening() const { return lengthening_; }

  void set_fault_hook(FaultHook hook) { fault_ = std::move(hook); }
  [[nodiscard]] std::uint64_t last_change() const { return last_change_; }

 private:
  struct Pending;
  Rule make_rule(RuleKind kind, std::string value);
  void enter_token(Pending& pending, RuleKind kind, const Sha256& hash);
  // Adds the rule or what stands for it at the bound; the rule in force, or nothing if there is no room for any.
  std::optional<Rule> enter(Pending& pending, Rule rule);
  void share(Pending& pending, const Rule& rule) const;
  [[nodiscard]] bool has_room_for(const Rule& rule) const;
  void kill(std::shared_ptr<Pending> pending, const Rule& rule);
  [[nodiscard]] BulkKill::Doomed doomed_by(const Rule& rule) const;
  [[nodiscard]] std::vector<Rule> revocation_of(std::uint64_t change) const;
  void make_durable(std::shared_ptr<Pending> pending);
  void acknowledge(std::shared_ptr<Pending> pending);
  void lengthen_rules();
  void lengthen_slice(std::uint64_t pass, std::uint64_t after, std::uint64_t up_to);
  [[nodiscard]] std::int64_t token_rule_life_ns() const;
  void reach(FaultPoint point) const {
    if (fault_) fault_(point);
  }

  Tables& tables_;
  RuleSet& rules_;
  StateWriter& state_;
  Loop& loop_;
  const Clock& clock_;
  BulkKill bulk_;
  Profiles profiles_;
  std::uint64_t last_change_;
  std::size_t rules_max_ = SIZE_MAX;
  std::int64_t acknowledge_from_ns_ = 0;
  std::uint64_t pass_ = 0;  // of lengthening; a later one takes over
  bool lengthening_ = false;
  bool lengthening_failed_ = false;
  std::function<void(std::vector<Rule>)> shared_;
  FaultHook fault_;
};

// How long a rule on a token of this profile must be kept; 0: until lifted, because its tokens may never end.
[[nodiscard]] std::int64_t rule_life_ns(const ProfileConfig& profile);
// The longer of two such lives.
[[nodiscard]] std::int64_t longer_life_ns(std::int64_t one, std::int64_t other);
// Refuses everything issued until now, in every profile.
[[nodiscard]] Rule everything_rule(std::uint64_t change, std::int64_t life_ns, const Clock& clock);

}  // namespace authcached
