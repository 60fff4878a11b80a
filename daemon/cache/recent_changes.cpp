#include "daemon/cache/recent_changes.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "shm/slot.hpp"

namespace authcached {

namespace {

// Of a token as much as records know (token_hash.hpp).
std::uint64_t name_hash(SessionChange::Kind kind, std::string_view value) {
  if (kind == SessionChange::Kind::kToken) value = value.substr(0, sizeof(authcache::shm::Key));
  return XXH3_64bits_withSeed(value.data(), value.size(), static_cast<XXH64_hash_t>(kind));
}

}  // namespace

void RecentChanges::note(std::uint64_t profile_id, const SessionChange& change, std::uint64_t epoch) {
  OfProfile& profile = profiles_[profile_id];
  if (change.kind == SessionChange::Kind::kProfile) {
    profile.all = std::max(profile.all, epoch);
    profile.epochs.clear();
    profile.order.clear();
    return;
  }
  const std::uint64_t name = name_hash(change.kind, change.value);
  // First, so that no memory for the rest leaves a change that reaches too many, and none that is forgotten.
  if (profile.order.size() >= kNamesMax) {
    const Noted oldest = profile.order.front();
    profile.forgotten = std::max(profile.forgotten, oldest.epoch);
    const auto found = profile.epochs.find(oldest.name);
    if (found != profile.epochs.end() && found->second == oldest.epoch) profile.epochs.erase(found);
    profile.order.pop_front();
  }
  profile.epochs[name] = epoch;
  profile.order.push_back({name, epoch});
}

bool RecentChanges::reach_flight(const Proven& proven) const {
  const auto profile = profiles_.find(proven.profile_id);
  return profile != profiles_.end() && (proven.epoch < profile->second.forgotten || reach_record(proven));
}

bool RecentChanges::reach_record(const Proven& proven) const {
  const auto profile = profiles_.find(proven.profile_id);
  if (profile == profiles_.end()) return false;
  const OfProfile& of = profile->second;
  if (proven.epoch < of.all) return true;
  const auto later = [&](SessionChange::Kind kind, std::string_view value) {
    const auto found = of.epochs.find(name_hash(kind, value));
    return found != of.epochs.end() && proven.epoch < found->second;
  };
  const std::string_view bytes(reinterpret_cast<const char*>(proven.token.data()), proven.token.size());
  return later(SessionChange::Kind::kToken, bytes) ||
         (!proven.sid.empty() && later(SessionChange::Kind::kSid, proven.sid)) ||
         (!proven.subject.empty() && later(SessionChange::Kind::kSubject, proven.subject));
}

}  // namespace authcached
