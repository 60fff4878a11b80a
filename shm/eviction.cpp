#include "shm/eviction.hpp"

#include <algorithm>
#include <utility>

namespace authcache::shm {
namespace {

constexpr std::uint64_t kMomentsPerLifetime = 1000;
// Advice counts once in so many rounds. Whom an adviser has named it cannot name again, and he stays while
// another adviser is followed: asked every time, it would run out of good names and be judged by bad ones.
constexpr std::uint64_t kRoundsPerAdvice = 2;
// After so long a name given was right, and may be given again.
constexpr std::uint16_t kAdviceMoments = 500;
// A use at once is eleven times as bad as one just before the name is forgotten.
constexpr std::uint16_t kSoonMoments = 50;
// New records are spared for so long by the advisers who count uses, so that there is time for a second use:
// a twentieth of the table by the one who would name the newest.
constexpr std::uint16_t kSparedByOldestMoments = 10;
constexpr std::uint16_t kSparedByNewestMoments = 50;
constexpr unsigned kUsesMax = 15;
// A use counts half after so long without another.
constexpr std::uint16_t kHalfLifeMoments = 4 * kMomentsPerLifetime;
// Older than this is as old as this: half the range of a Moment, so that no age wraps before the hand comes
// by again, some fifty times a lifetime.
constexpr std::uint16_t kAgeMaxMoments = 32'000;
// A ghost's clock: 256 ticks are two lifetimes, more than most ghosts stay.
constexpr std::uint16_t kMomentsPerGhostTick = 8;
constexpr std::uint64_t kNobody = ~std::uint64_t{0};
// Nobody departs from the plain order of use without evidence: so many names count as given, and as regretted
// as most names are, before there are any, and another adviser must do better by a tenth.
constexpr double kAdviceAtFirst = 64;
constexpr double kRegretAtFirst = 4;
constexpr double kMustBeBetterBy = 0.9;

std::uint16_t fingerprint_of(const Key& key) { return static_cast<std::uint16_t>(key[2] | 1); }

}  // namespace

Eviction::Eviction(std::uint64_t slots, std::uint64_t capacity)
    : capacity_(capacity),
      inserts_per_moment_(std::max<std::uint64_t>(capacity / kMomentsPerLifetime, 1)),
      history_(slots),
      ghosts_(capacity / kGhostsPerBucket + 1),
      next_forgetting_(capacity) {
  records_.fill({kAdviceAtFirst * kRegretAtFirst, kAdviceAtFirst});
}

void Eviction::placed(std::uint64_t slot, const Key& key, const std::optional<History>& before) {
  History& history = history_[slot];
  if (before) {
    history = *before;
    return;
  }
  ++placed_;
  history = {.placed = now(), .last_used = now()};
  const std::uint16_t fingerprint = fingerprint_of(key);
  for (Ghost& ghost : ghosts_of(key)) {
    if (ghost.fingerprint != fingerprint) continue;
    const auto ticks = static_cast<std::uint8_t>(now() / kMomentsPerGhostTick - ghost.named_at);
    regret(ghost.named_by, static_cast<Moment>(ticks * kMomentsPerGhostTick));
    history.uses = static_cast<std::uint8_t>(std::min<unsigned>(ghost.uses + 1U, kUsesMax));
    ghost = {};
  }
}

void Eviction::evicted(std::uint64_t slot, const Key& key) {
  const History& history = history_[slot];
  GhostBucket& bucket = ghosts_of(key);
  std::ranges::rotate(bucket, bucket.end() - 1);
  bucket[0] = {.fingerprint = fingerprint_of(key),
               .named_at = static_cast<std::uint8_t>(history.named_at / kMomentsPerGhostTick),
               .uses = static_cast<std::uint8_t>(uses_now(history) & 0x1f),
               .named_by = static_cast<std::uint8_t>(history.named_by & 0x7)};
}

void Eviction::used(std::uint64_t slot) {
  History& history = history_[slot];
  regret(std::exchange(history.named_by, std::uint8_t{0}), age(history.named_at));
  history.uses = static_cast<std::uint8_t>(std::min(uses_now(history) + 1, kUsesMax));
  history.last_used = now();
}

void Eviction::begin_round() {
  ++rounds_;
  victims_.fill({kNobody, kNobody});
  unnamed_.fill({kNobody, kNobody});
}

void Eviction::show(std::uint64_t slot) {
  History& history = history_[slot];
  if (age(history.named_at) > kAdviceMoments) history.named_by = 0;
  for (Moment* moment : {&history.placed, &history.last_used}) {
    if (age(*moment) > kAgeMaxMoments) *moment = static_cast<Moment>(now() - kAgeMaxMoments);
  }
  for (unsigned i = 0; i < kAdvisers; ++i) {
    const std::uint64_t rank_here = rank(static_cast<Adviser>(i), history);
    if (rank_here < victims_[i].rank) victims_[i] = {slot, rank_here};
    if ((history.named_by >> i & 1) == 0 && rank_here < unnamed_[i].rank) unnamed_[i] = {slot, rank_here};
  }
}

std::optional<std::uint64_t> Eviction::end_round() {
  if (placed_ >= next_forgetting_) {
    next_forgetting_ = placed_ + capacity_;
    for (Record& record : records_) record = {record.regret / 2, record.advice / 2};
  }
  const std::uint64_t victim = victims_[followed()].slot;
  if (rounds_ % kRoundsPerAdvice == 0) name_victims();
  if (victim == kNobody) return std::nullopt;
  return victim;
}

void Eviction::name_victims() {
  for (unsigned i = 0; i < kAdvisers; ++i) {
    if (unnamed_[i].slot == kNobody) continue;
    History& history = history_[unnamed_[i].slot];
    if (history.named_by == 0) history.named_at = now();
    history.named_by = static_cast<std::uint8_t>(history.named_by | 1U << i);
    records_[i].advice += 1;
  }
}

void Eviction::regret(std::uint8_t named_by, Moment since) {
  if (named_by == 0 || since > kAdviceMoments) return;
  const double cost = static_cast<double>(kMomentsPerLifetime) / (kSoonMoments + since);
  for (unsigned i = 0; i < kAdvisers; ++i) {
    if ((named_by >> i & 1) != 0) records_[i].regret += cost;
  }
}

Eviction::Adviser Eviction::followed() const {
  Adviser best = kLongestUnused;
  double least = records_[best].regret / records_[best].advice * kMustBeBetterBy;
  for (const Adviser other : {kLeastUsedOldest, kLeastUsedNewest}) {
    const double regret = records_[other].regret / records_[other].advice;
    if (regret < least) {
      best = other;
      least = regret;
    }
  }
  return best;
}

std::uint64_t Eviction::worst_of(std::span<const std::uint64_t> slots) const {
  const Adviser adviser = followed();
  return *std::ranges::min_element(slots, {},
                                   [&](std::uint64_t slot) { return rank(adviser, history_[slot]); });
}

// Ages are below 2^16, uses below 2^4.
std::uint64_t Eviction::rank(Adviser adviser, const History& history) const {
  const std::uint64_t youth = 0xffffU - age(history.last_used);
  if (adviser == kLongestUnused) return youth;
  const bool newest = adviser == kLeastUsedNewest;
  const bool spared = age(history.placed) < (newest ? kSparedByNewestMoments : kSparedByOldestMoments);
  if (spared) return std::uint64_t{1} << 32 | youth;
  return std::uint64_t{uses_now(history)} << 16 | (newest ? age(history.placed) : youth);
}

unsigned Eviction::uses_now(const History& history) const {
  return static_cast<unsigned>(history.uses) >> age(history.last_used) / kHalfLifeMoments;
}

Eviction::GhostBucket& Eviction::ghosts_of(const Key& key) {
  __extension__ using Wide = unsigned __int128;
  return ghosts_[static_cast<std::size_t>(static_cast<Wide>(key[0]) * ghosts_.size() >> 64)];
}

}  // namespace authcache::shm
