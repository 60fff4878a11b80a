#include "daemon/cache/resolver.hpp"

#include <openssl/crypto.h>

#include <cstring>
#include <exception>

#include "daemon/base/sha256.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

constexpr auto kNobody = static_cast<uid_t>(-1);  // who asks for a refresh

}  // namespace

struct Resolver::Flight {
  std::shared_ptr<const Profile> profile;
  Sha256 token{};
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;  // a late second answer must not land in a later flight, whose epoch it does not know
  std::vector<Reply> waiters;
  std::int64_t began_ns = 0;
  bool refresh = false;
  Places standing;     // a refresh: the record that it set out to confirm
  std::string sealed;  // the token, for a refresh to come
};

std::size_t Resolver::DigestHash::operator()(const shm::Digest& digest) const {
  std::size_t value;
  std::memcpy(&value, digest.data(), sizeof value);
  return value;
}

Resolver::Resolver(Tables& tables, Admission& admission, const Clock& clock, const LimitsConfig& limits)
    : tables_(tables),
      admission_(admission),
      clock_(clock),
      limits_(limits),
      budget_(limits.misses_per_second_per_uid, limits.miss_burst_per_uid) {}
Resolver::~Resolver() = default;

void Resolver::set_limits(const LimitsConfig& limits) {
  limits_ = limits;
  budget_.set_limits(limits.misses_per_second_per_uid, limits.miss_burst_per_uid);
}

bool Resolver::charge(uid_t uid) {
  const bool has = budget_.take(uid, clock_.monotonic_ns());
  if (!has) ++counters_.over_budget;
  return has;
}

void Resolver::refuse(const shm::Digest& digest, Verdict verdict, Reason reason, Reply& reply) const {
  shm::wire::ValidateReply answer;
  answer.digest = digest;
  answer.verdict = verdict;
  answer.reason = reason;
  answer.newest_generation = tables_.named_generation();
  reply(answer);
}

void Resolver::validate(const std::shared_ptr<const Profile>& profile, std::string_view token, uid_t uid, Reply reply) {
  ++counters_.asked;
  if (token.empty() || token.size() > shm::wire::kTokenMax) {
    ++counters_.rejected;
    return refuse({}, Verdict::kInvalid, token.empty() ? Reason::kMalformed : Reason::kTooLong, reply);
  }
  const shm::Digest digest = shm::token_digest(profile->id, token);
  if (!profile->upstream->well_formed(token)) {
    ++counters_.rejected;
    return refuse(digest, Verdict::kInvalid, Reason::kMalformed, reply);
  }
  // What a predecessor proved by keys that are not known yet is nobody's answer: the record may be of one that went.
  // Nor is anybody's while this host may have missed revocations.
  if (profile->upstream->catching_up() || tables_.held()) return refuse(digest, Verdict::kUnavailable, Reason::kCatchingUp, reply);
  if (answer_from_table(digest, reply)) return;
  if (const auto flight = flights_.find(digest); flight != flights_.end()) {
    return join(*flight->second, digest, reply);
  }
  if (!charge(uid)) {
    return refuse(digest, Verdict::kUnavailable, Reason::kOverBudget, reply);
  }
  if (flights_.size() >= limits_.flights || waiting_ >= kWaitersMax) {
    ++counters_.overloaded;
    return refuse(digest, Verdict::kUnavailable, Reason::kOverloaded, reply);
  }
  depart(profile, token, digest, uid, std::move(reply));
}

void Resolver::join(Flight& flight, const shm::Digest& digest, Reply& reply) {
  if (flight.waiters.size() >= limits_.waiters_per_flight || waiting_ >= kWaitersMax) {
    ++counters_.overloaded;
    return refuse(digest, Verdict::kUnavailable, Reason::kOverloaded, reply);
  }
  ++counters_.coalesced;
  if (flight.refresh && is_good(digest)) ++counters_.waiting_on_refresh;
  flight.waiters.push_back(std::move(reply));
  ++waiting_;
}

bool Resolver::is_good(const shm::Digest& digest) const {
  shm::Found found;
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  return tables_.find(shm::key_of(digest), found) && shm::is_current(tables_.newest().writer.view(), found.record, now);
}

bool Resolver::answer_from_table(const shm::Digest& digest, Reply& reply) {
  const shm::Key key = shm::key_of(digest);
  shm::Found found;
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  if (!tables_.find(key, found) || !shm::is_current(tables_.newest().writer.view(), found.record, now)) return false;
  const Places places = tables_.places_of(key);
  if (places.count == 0 || !admission_.has_text(found.record, places.items[0])) return false;
  ++counters_.hits;
  const shm::Facts facts = shm::unpack_facts(found.record.facts);
  shm::wire::ValidateReply answer;
  answer.digest = digest;
  answer.verdict = facts.verdict;
  answer.reason = facts.reason;
  answer.newest_generation = tables_.named_generation();
  answer.place_count = places.count;
  answer.places = places.items;
  reply(answer);
  return true;
}

void Resolver::depart(const std::shared_ptr<const Profile>& profile, std::string_view token, const shm::Digest& digest, uid_t uid, Reply reply) {
  auto flight = std::make_unique<Flight>();
  flight->profile = profile;
  flight->token = sha256(token);
  if (observer_ != nullptr) flight->sealed = observer_->departing(*profile, digest, token);
  flight->began_ns = clock_.monotonic_ns();
  flight->waiters.push_back(std::move(reply));
  ++waiting_;
  launch(std::move(flight), digest, std::string(token), uid);
}

bool Resolver::refresh(const std::shared_ptr<const Profile>& profile, const shm::Digest& digest, std::string token, const Places& standing,
                       std::int64_t since_ns) {
  if (flights_.contains(digest) || flights_.size() >= limits_.flights) {
    OPENSSL_cleanse(token.data(), token.size());
    return false;
  }
  auto flight = std::make_unique<Flight>();
  flight->profile = profile;
  flight->token = sha256(token);
  flight->began_ns = since_ns;
  flight->refresh = true;
  flight->standing = standing;
  launch(std::move(flight), digest, std::move(token), kNobody);
  return true;
}

void Resolver::launch(std::unique_ptr<Flight> flight, const shm::Digest& digest, std::string token, uid_t uid) {
  flight->epoch = tables_.epoch();
  const std::uint64_t number = flight->number = ++counters_.questions;
  const std::shared_ptr<const Profile> profile = flight->profile;
  flights_.emplace(digest, std::move(flight));
  const auto deadline = clock_.monotonic_ns() + std::chrono::nanoseconds(limits_.upstream_timeout).count();
  try {
    profile->upstream->resolve({std::move(token), static_cast<std::uint64_t>(deadline), uid},
                               [this, digest, number](Proof proof) { land(digest, number, proof); });
  } catch (const std::exception&) {
    Proof nothing;  // a flight that never lands would take every later asker of this token with it
    nothing.reason = Reason::kOverloaded;
    land(digest, number, nothing);
  }
}

Places Resolver::report(Flight& flight, const shm::Digest& digest, const Admitted& admitted) {
  if (observer_ == nullptr) return {};
  try {
    return observer_->landed({.profile = *flight.profile,
                              .digest = digest,
                              .admitted = admitted,
                              .sealed = flight.sealed,
                              .took_ns = clock_.monotonic_ns() - flight.began_ns,
                              .refresh = flight.refresh});
  } catch (const std::exception&) {
    return {};  // no memory: the token is not kept, and the answer is what it is
  }
}

Admitted Resolver::admit(const Candidate& candidate, const Proof& proof) {
  try {
    return admission_.admit(candidate, proof);
  } catch (const std::exception&) {
    return {Verdict::kUnavailable, Reason::kOverloaded, {}};  // the waiters still get their answer
  }
}

void Resolver::land(const shm::Digest& digest, std::uint64_t number, const Proof& proof) {
  reach(FaultPoint::kVerdictBeforeInsert);
  const auto found = flights_.find(digest);
  if (found == flights_.end() || found->second->number != number) return;
  auto node = flights_.extract(found);
  Flight& flight = *node.mapped();
  waiting_ -= flight.waiters.size();
  const Candidate candidate{flight.profile.get(), &digest, &flight.token, flight.epoch, flight.standing};
  Admitted admitted = admit(candidate, proof);
  const Places stale = report(flight, digest, admitted);
  if (stale.count > 0) admitted = {Verdict::kValid, Reason::kNone, stale};
  shm::wire::ValidateReply answer;
  answer.digest = digest;
  answer.verdict = admitted.verdict;
  answer.reason = admitted.reason;
  answer.newest_generation = tables_.named_generation();
  answer.place_count = admitted.places.count;
  answer.places = admitted.places.items;
  // A hook or a reply may let a revocation in between two waiters: each is asked for anew.
  for (Reply& waiter : flight.waiters) {
    reach(FaultPoint::kReplyBeforeSend);
    const bool gone = stale.count > 0 && tables_.places_of(shm::key_of(digest)) != stale;  // killed: by a rule, or a flush
    if (tables_.held()) {
      answer.verdict = Verdict::kUnavailable;
      answer.reason = Reason::kCatchingUp;
      answer.place_count = 0;
    } else if (answer.verdict == Verdict::kValid && (gone || admission_.denied(candidate, proof))) {
      answer.verdict = Verdict::kInvalid;
      answer.reason = Reason::kRevoked;
      answer.place_count = 0;
    }
    try {
      waiter(answer);
    } catch (const std::exception&) {
      continue;  // no memory for this one's frame: it times out, and the others get theirs
    }
  }
}

}  // namespace authcached
