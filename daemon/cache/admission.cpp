#include "daemon/cache/admission.hpp"

#include <algorithm>
#include <cstring>

#include "daemon/cache/identity_text.hpp"
#include "daemon/cache/principal_id.hpp"
#include "daemon/cache/token_hash.hpp"
#include "daemon/cache/ttl.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

bool is_own_session(const ProfileConfig& config) { return config.upstream == UpstreamKind::kSqlite && config.query.empty(); }

RecordNames names_of(const Identity& identity) { return {identity.subject, identity.sid, identity.client_id, identity.jti}; }

}  // namespace

Admission::Admission(Tables& tables, OversizeTexts& texts, const RuleSet& rules, const Clock& clock, WallClock& wall)
    : tables_(tables), texts_(texts), rules_(rules), clock_(clock), wall_(wall) {}

// A token may say that it was issued after the moment of a rule that it came before: an issuer's clock may run ahead by
// the leeway. Our own sessions bear our own clock's time, which is ahead only while a step back is being bridged.
std::optional<std::int64_t> Admission::surely_issued_before(std::optional<std::int64_t> issued_wall_ns, const ProfileConfig& profile) const {
  if (!issued_wall_ns) return std::nullopt;
  const std::int64_t ahead =
      is_own_session(profile) ? wall_.now_ns() - wall_.kernel_now_ns() : std::chrono::nanoseconds(profile.leeway).count();
  std::int64_t earliest = 0;
  const bool below = __builtin_sub_overflow(*issued_wall_ns, std::max<std::int64_t>(ahead, 0), &earliest);
  return below ? INT64_MIN : earliest;
}

AdmissionFacts Admission::facts_of(const Candidate& candidate, const Proof& proof, const Sha256& token,
                                   const std::optional<Sha256>& signing_input) const {
  const Identity& identity = proof.identity;
  return {.token = &token,
          .signing_input = signing_input ? &*signing_input : nullptr,
          .key = proof.key_thumbprint ? &*proof.key_thumbprint : nullptr,
          .profile = candidate.profile->config.name,
          .issuer = identity.issuer,
          .subject = identity.subject,
          .client_id = identity.client_id,
          .sid = identity.sid,
          .jti = identity.jti,
          .issued_wall_ns = surely_issued_before(proof.issued_wall_ns, candidate.profile->config)};
}

bool Admission::denied(const Candidate& candidate, const Proof& proof) const {
  const Sha256 token = token_hash(*candidate.token);
  std::optional<Sha256> signing_input;
  if (proof.signing_input) signing_input = token_hash(*proof.signing_input);
  return rules_.match(facts_of(candidate, proof, token, signing_input)) != nullptr;
}

void Admission::disregard_flights() {
  tables_.advance_epoch();
  flights_from_ = tables_.epoch();
}

void Admission::note_changes(std::uint64_t profile_id, std::span<const SessionChange> changes) {
  tables_.advance_epoch();
  for (const SessionChange& change : changes) changes_.note(profile_id, change, tables_.epoch());
}

// Rules are kept for the profile's maximum lifetime; a token that outlives it would outlive its revocation.
bool Admission::lives_too_long(const Proof& proof, const ProfileConfig& profile, std::int64_t wall_now_ns) {
  if (!proof.expires_wall_ns) return false;  // rules of such profiles last until lifted
  const std::int64_t from = std::min(proof.issued_wall_ns.value_or(wall_now_ns), wall_now_ns);
  std::int64_t life = 0;
  if (__builtin_sub_overflow(*proof.expires_wall_ns, from, &life)) return true;
  const auto max = std::chrono::nanoseconds(profile.max_token_lifetime + profile.leeway).count();
  return life > max;
}

// A deadline is stored one tick early, and a reader's clock may be one tick on by the time it looks: a record with less
// to live would be named to a waiter that can only find it past.
std::int64_t Admission::least_life_ns() const { return 2 * static_cast<std::int64_t>(tables_.newest().writer.view().tick_ns); }

Admitted Admission::admit(const Candidate& candidate, const Proof& proof) {
  if (proof.verdict != Verdict::kValid && proof.verdict != Verdict::kInvalid) {
    return {Verdict::kUnavailable, proof.reason, {}};
  }
  Proof judged;
  const Proof* stored = &proof;
  const ProfileConfig& config = candidate.profile->config;
  const auto refuse = [&](Reason reason) {
    judged = Proof{};
    judged.verdict = Verdict::kInvalid;
    judged.reason = reason;
    judged.signing_input = proof.signing_input;
    stored = &judged;
  };
  if (proof.verdict == Verdict::kValid) {
    if (denied(candidate, proof)) {
      refuse(Reason::kRevoked);
    } else if (lives_too_long(proof, config, wall_.now_ns())) {
      refuse(Reason::kLifetime);
    } else if (record_life_ns(proof, config, wall_.now_ns()) <= least_life_ns()) {
      // Where not the token ends but what we know of its issuer, nothing is known about the token.
      const bool relied_on = !proof.keep_until_wall_ns || *proof.keep_until_wall_ns - wall_.now_ns() > least_life_ns();
      if (!relied_on) return {Verdict::kUnavailable, Reason::kUpstream, {}};
      refuse(Reason::kExpired);
    } else if (is_own_session(config)) {
      // Our own sessions are issued for the profile that created them; every other token must say whom it is for.
      judged = proof;
      judged.identity.audience = config.audience;
      stored = &judged;
    }
  }
  return store(candidate, *stored);
}

Admitted Admission::store(const Candidate& candidate, const Proof& proof) {
  Admitted admitted{.verdict = proof.verdict, .reason = proof.reason, .places = {}};
  if (proof.verdict == Verdict::kValid) admitted.reason = Reason::kNone;
  const Identity& who = proof.identity;
  const bool changed = changes_.reach_flight({candidate.profile->id, *candidate.token, who.sid, who.subject, candidate.epoch});
  if (candidate.epoch < flights_from_ || changed) return admitted;  // valid at no place: the client asks again
  const std::int64_t life = record_life_ns(proof, candidate.profile->config, wall_.now_ns());
  if (life <= 0) {
    // Nothing to keep, and nothing older may stay: it said something else.
    tables_.kill(shm::key_of(*candidate.digest), shm::SlotState::kEvicted);
    return admitted;
  }
  shm::TextBuilder text(OversizeTexts::kTextMax);
  std::vector<std::string> role_grants;
  bool whole = proof.verdict != Verdict::kValid || build_text(proof.identity, text);
  if (whole && proof.verdict == Verdict::kValid) {
    role_grants = grants_of_roles(candidate.profile->id, proof.identity.permissions);
    for (const std::string& grant : tables_.without_bits(role_grants)) whole = text.add(shm::TextField::kRoleGrant, grant) && whole;
  }
  if (!whole) {  // nothing that is cut may stand for an identity, nor what was known before
    tables_.kill(shm::key_of(*candidate.digest), shm::SlotState::kEvicted);
    return {Verdict::kUnavailable, Reason::kOverloaded, {}};
  }
  const bool text_fits = text.bytes().size() <= shm::kTextMax;
  shm::RecordSpec spec;
  spec.key = shm::key_of(*candidate.digest);
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  spec.deadline = now + static_cast<std::uint64_t>(life);
  spec.epoch = candidate.epoch;
  spec.verdict = proof.verdict;
  spec.reason = admitted.reason;
  spec.profile_id = candidate.profile->id;
  spec.expires_wall_ns = proof.expires_wall_ns.value_or(0);
  spec.issued_wall_ns = proof.issued_wall_ns.value_or(INT64_MIN);
  spec.token = token_key(proof.signing_input ? *proof.signing_input : *candidate.token);
  spec.is_jws = proof.signing_input.has_value();
  if (proof.verdict == Verdict::kValid) {
    spec.has_confirmation = proof.identity.confirmation.has_value();
    if (!proof.identity.issuer.empty()) spec.issuer = principal_id(sha256(proof.identity.issuer));
    if (proof.key_thumbprint) spec.signing_key = principal_id(*proof.key_thumbprint);
    spec.scopes = proof.identity.scopes;
    spec.permissions = proof.identity.permissions;
    spec.role_grants = role_grants;
    spec.audience = proof.identity.audience;
    if (text_fits) spec.text = text.bytes();
    spec.text_too_large = !text_fits;
  }
  if (candidate.standing.count > 0) {
    const bool ends_with_token = proof.expires_wall_ns && life == *proof.expires_wall_ns - wall_.now_ns();
    if (confirm(candidate, spec, text.bytes(), ends_with_token)) {
      admitted.places = candidate.standing;
      admitted.standing = Admitted::Standing::kExtended;
      return admitted;
    }
    admitted.standing = Admitted::Standing::kReplaced;
  }
  const RecordNames names = proof.verdict == Verdict::kValid ? names_of(proof.identity) : RecordNames{};
  admitted.places = tables_.insert(spec, now, &names);
  for (std::uint8_t i = 0; i < admitted.places.count; ++i) {
    if (tables_.text_is_elsewhere(admitted.places.items[i])) texts_.put(admitted.places.items[i], std::string(text.bytes()));
  }
  return admitted;
}

bool Admission::has_text(const shm::HotRecord& record, const shm::Place& place) const {
  const bool elsewhere = (shm::unpack_facts(record.facts).flags & shm::kTextOnSocket) != 0;
  return !elsewhere || !texts_.get(place).empty();
}

bool Admission::may_keep(const shm::TableView& view, const Profiles& profiles, const shm::HotRecord& hot,
                         const shm::ColdRecord& cold, std::string_view text) const {
  const auto profile = std::ranges::find_if(profiles, [&](const auto& each) { return each->id == cold.profile_id; });
  if (profile == profiles.end()) return false;
  const auto longest = std::chrono::nanoseconds(std::max((*profile)->config.ttl_max, (*profile)->config.negative_ttl)).count();
  if (hot.deadline > static_cast<std::uint64_t>(clock_.monotonic_ns() + longest)) return false;
  return allows(view, **profile, hot, cold, text);
}

bool Admission::allows(const shm::TableView& view, const Profile& profile, const shm::HotRecord& hot, const shm::ColdRecord& cold,
                       std::string_view text) const {
  AdmissionFacts facts;
  facts.profile = profile.config.name;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == shm::TextField::kIssuer) facts.issuer = item->value;
    if (item->field == shm::TextField::kSubject) facts.subject = item->value;
    if (item->field == shm::TextField::kClientId) facts.client_id = item->value;
    if (item->field == shm::TextField::kSid) facts.sid = item->value;
    if (item->field == shm::TextField::kJti) facts.jti = item->value;
  }
  if (!cursor.whole()) return false;
  const shm::Facts packed = shm::unpack_facts(hot.facts);
  if (cold.issued_wall_ns != INT64_MIN) facts.issued_wall_ns = surely_issued_before(cold.issued_wall_ns, profile.config);
  const Sha256 token = token_hash(cold.token);
  ((packed.flags & shm::kIsJws) != 0 ? facts.signing_input : facts.token) = &token;
  // A job that forgets them may have passed the place from where this one is moved.
  if (changes_.reach_record({profile.id, token, facts.sid, facts.subject, packed.epoch})) return false;
  Sha256 key{};
  if (const std::uint32_t index = shm::unpack_principals(hot.principals).key; index != 0) {
    key = principal_hash(shm::load_principal(view.key(index)));
    facts.key = &key;
    const Upstream& upstream = *profile.upstream;
    if (upstream.ready() && !upstream.has_key(key)) return false;
  }
  return rules_.match(facts) == nullptr;
}

}  // namespace authcached
