// How a record that stands lives on: the part of Admission that stores a deadline and nothing else (D3).
#include <algorithm>
#include <limits>

#include "daemon/cache/admission.hpp"
#include "daemon/cache/principal_id.hpp"
#include "daemon/cache/ttl.hpp"
#include "daemon/upstream/key_set_source.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::Verdict;

namespace {

// One instant told by the wall clock at two times comes out so far apart on the coarse clock at most.
constexpr std::uint64_t kSameInstantTicks = 4;

std::optional<shm::PrincipalId> issuer_of(const shm::TableView& view, const shm::HotRecord& hot) {
  const std::uint32_t index = shm::unpack_principals(hot.principals).issuer;
  return index == 0 ? std::nullopt : std::optional(shm::load_principal(view.issuer(index)));
}

std::optional<shm::PrincipalId> key_of(const shm::TableView& view, const shm::HotRecord& hot) {
  const std::uint32_t index = shm::unpack_principals(hot.principals).key;
  return index == 0 ? std::nullopt : std::optional(shm::load_principal(view.key(index)));
}

}  // namespace

struct Admission::Standing {
  shm::HotRecord hot;
  shm::ColdRecord cold;
  std::uint64_t proven_until;
};

// Scopes, permissions and audiences are not compared as bits: the text holds each of them.
bool Admission::says_the_same(const shm::Place& place, const shm::RecordSpec& spec,
                              std::string_view text) const {
  const Generation* generation = tables_.generation(place.generation);
  if (generation == nullptr) return false;
  const shm::TableView& view = generation->writer.view();
  const shm::HotRecord hot = generation->writer.peek(place.slot);
  if (!shm::is_current(view, hot, static_cast<std::uint64_t>(clock_.monotonic_ns()))) return false;
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto beside = shm::read_text(view, place.slot, hot.control, buffer, cold);
  if (!beside) return false;
  const shm::Facts facts = shm::unpack_facts(hot.facts);
  const bool elsewhere = (facts.flags & shm::kTextOnSocket) != 0;
  return facts.verdict == spec.verdict && facts.reason == spec.reason &&
         ((facts.flags & shm::kHasConfirmation) != 0) == spec.has_confirmation &&
         ((facts.flags & shm::kIsJws) != 0) == spec.is_jws && issuer_of(view, hot) == spec.issuer &&
         key_of(view, hot) == spec.signing_key && cold.profile_id == spec.profile_id &&
         cold.token == spec.token && cold.expires_wall_ns == spec.expires_wall_ns &&
         cold.issued_wall_ns == spec.issued_wall_ns && (elsewhere ? texts_.get(place) : *beside) == text;
}

bool Admission::confirm(const Candidate& candidate, const shm::RecordSpec& spec, std::string_view text,
                        bool ends_with_token) {
  // A negative record is short-lived by intent, and nobody is let in by it: it is made anew.
  if (spec.verdict != Verdict::kValid || tables_.places_of(spec.key) != candidate.standing) return false;
  std::uint64_t standing_deadline = 0;
  for (const shm::Place& place : candidate.standing.all()) {
    if (!says_the_same(place, spec, text)) return false;
    const shm::TableWriter& writer = tables_.generation(place.generation)->writer;
    standing_deadline = std::max(standing_deadline, writer.peek(place.slot).deadline + writer.view().tick_ns);
  }
  // Both deadlines stand for the token's end, told by clocks that tick apart: the record that has it keeps
  // it.
  // So it is with a session that was not used since: both stand for its last use.
  const std::uint64_t apart = standing_deadline - std::min(spec.deadline, standing_deadline);
  const bool same_use = candidate.profile->config.slides() && apart <= kSameInstantTicks * tables_.newest().writer.view().tick_ns;
  if (apart > 0 && !ends_with_token && !same_use) return false;
  return tables_.extend(candidate.standing, std::max(spec.deadline, standing_deadline), true, candidate.keep_uses);
}

std::optional<Admission::Standing> Admission::look_at(const Profile& profile, const Places& places,
                                                      bool past_deadline_too) const {
  if (places.count == 0) return std::nullopt;
  const shm::Place& place = places.items[0];
  const Generation* generation = tables_.generation(place.generation);
  if (generation == nullptr) return std::nullopt;
  const shm::TableView& view = generation->writer.view();
  const shm::HotRecord hot = generation->writer.peek(place.slot);
  if (hot.control != shm::make_control(place.sequence, shm::SlotState::kLive) ||
      tables_.places_of(hot.key) != places)
    return std::nullopt;
  const auto now = past_deadline_too ? std::uint64_t{0} : static_cast<std::uint64_t>(clock_.monotonic_ns());
  const shm::Facts facts = shm::unpack_facts(hot.facts);
  if (facts.verdict != Verdict::kValid || !shm::is_current(view, hot, now)) return std::nullopt;
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto beside = shm::read_text(view, place.slot, hot.control, buffer, cold);
  if (!beside || cold.profile_id != profile.id) return std::nullopt;
  const bool elsewhere = (facts.flags & shm::kTextOnSocket) != 0;
  const std::string_view text = elsewhere ? texts_.get(place) : *beside;
  if (text.empty() && elsewhere)
    return std::nullopt;  // whom it names cannot be told any more, so no rule can be asked
  const std::uint32_t key = shm::unpack_principals(hot.principals).key;
  if (key != 0 && !profile.upstream->has_key(principal_hash(shm::load_principal(view.key(key)))))
    return std::nullopt;
  if (!allows(view, profile, hot, cold, text)) return std::nullopt;
  return Standing{hot, cold, generation->refresh.proven_until(place.slot)};
}

Admission::Renewed Admission::renew(const Profile& profile, const Places& places) {
  const auto standing = look_at(profile, places, false);
  const KeySetSource* keys = profile.upstream->key_set();
  if (!standing || keys == nullptr || shm::unpack_principals(standing->hot.principals).key == 0)
    return Renewed::kRefused;
  Proof proof;  // what the record says of itself, for as long as it may be kept
  proof.verdict = Verdict::kValid;
  if (standing->cold.expires_wall_ns != 0) proof.expires_wall_ns = standing->cold.expires_wall_ns;
  proof.keep_until_wall_ns = keys->keep_until_wall_ns();
  const std::int64_t life = record_life_ns(proof, profile.config, wall_.now_ns());
  if (life <= least_life_ns()) return Renewed::kNoGain;
  const auto deadline = static_cast<std::uint64_t>(clock_.monotonic_ns() + life);
  const std::uint64_t tick = tables_.newest().writer.view().tick_ns;
  if (deadline <= standing->hot.deadline + 2 * tick) return Renewed::kNoGain;
  return tables_.extend(places, deadline, true) ? Renewed::kYes : Renewed::kRefused;
}

std::uint64_t Admission::prolong(const Profile& profile, const Places& places, std::int64_t step_ns) {
  const auto window =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(profile.config.stale_if_error).count());
  const auto standing = look_at(profile, places, true);
  if (window == 0 || !standing || standing->proven_until == 0) return 0;
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  const std::uint64_t tick = tables_.newest().writer.view().tick_ns;
  std::uint64_t deadline =
      std::min(now + static_cast<std::uint64_t>(step_ns), standing->proven_until + window) + tick;
  const auto bound = [&](std::int64_t end_wall_ns) {
    std::int64_t left = 0;
    if (__builtin_sub_overflow(end_wall_ns, wall_.now_ns(), &left))
      left = end_wall_ns < 0 ? INT64_MIN : INT64_MAX;
    if (left < std::int64_t{1} << 62)
      deadline = std::min(deadline, left <= 0 ? 0 : now + static_cast<std::uint64_t>(left));
  };
  if (standing->cold.expires_wall_ns != 0) bound(standing->cold.expires_wall_ns);
  const KeySetSource* keys =
      shm::unpack_principals(standing->hot.principals).key == 0 ? nullptr : profile.upstream->key_set();
  if (const auto until = keys == nullptr ? std::nullopt : keys->keep_until_wall_ns()) bound(*until);
  // What would be past before anybody can look is no life.
  if (deadline <= now + static_cast<std::uint64_t>(least_life_ns()) ||
      deadline <= standing->hot.deadline + tick)
    return 0;
  return tables_.extend(places, deadline, false) ? deadline - tick : 0;
}

}  // namespace authcached
