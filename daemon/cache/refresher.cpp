#include "daemon/cache/refresher.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <span>
#include <tuple>

#include "daemon/base/random.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

// The upstream's failure; not a bound of our own.
bool is_outage(const Admitted& admitted) {
  return admitted.verdict == Verdict::kUnavailable &&
         (admitted.reason == Reason::kUpstream || admitted.reason == Reason::kTimeout);
}

constexpr std::uint64_t kLooksPerRest = 8;  // the next look comes after such a part of what is left

std::uint64_t last_look_ns(std::uint64_t deadline) {
  return deadline - std::min<std::uint64_t>(deadline, Refresher::kLastLookNs);
}

// A record that cannot be asked about at its first look gets so many more, closer and closer to its deadline.
std::uint64_t next_look_ns(std::uint64_t now_ns, std::uint64_t deadline) {
  const auto interval = static_cast<std::uint64_t>(std::chrono::nanoseconds(Refresher::kInterval).count());
  const std::uint64_t next = now_ns + std::max(interval, (deadline - now_ns) / kLooksPerRest);
  return std::min(next, std::max(last_look_ns(deadline), now_ns + 1));
}

std::uint64_t window_ns(const ProfileConfig& config) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(config.stale_if_error).count());
}

}  // namespace

Refresher::Refresher(Tables& tables, Admission& admission, Resolver& resolver, const Profiles& profiles,
                     const Clock& clock, WallClock& wall, std::size_t sealed_max)
    : tables_(tables),
      admission_(admission),
      resolver_(resolver),
      profiles_(profiles),
      clock_(clock),
      wall_(wall),
      sealed_(tables, clock, sealed_max) {
  // Without randomness jitter is the same at every start, which spreads records as well.
  (void)fill_random(std::span(reinterpret_cast<std::uint8_t*>(&random_), sizeof random_));
  resolver_.set_observer(this);
}

Refresher::~Refresher() { resolver_.set_observer(nullptr); }

// splitmix64: spreads records, decides nothing.
std::uint64_t Refresher::random() {
  std::uint64_t word = random_ += 0x9e37'79b9'7f4a'7c15;
  word = (word ^ (word >> 30)) * 0xbf58'476d'1ce4'e5b9;
  word = (word ^ (word >> 27)) * 0x94d0'49bb'1331'11eb;
  return word ^ (word >> 31);
}

std::shared_ptr<const Profile> Refresher::profile_of(std::uint64_t id) const {
  const auto found = std::ranges::find_if(profiles_, [id](const auto& profile) { return profile->id == id; });
  return found == profiles_.end() ? nullptr : *found;
}

bool Refresher::needs_token(const ProfileConfig& config) {
  return config.refreshes() && config.upstream != UpstreamKind::kJwks;
}

void Refresher::tick() {
  sealed_.review();
  forget_old_profiles();
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  wanted_.clear();
  std::size_t looks = 0;
  for (const std::uint64_t number : tables_.generations())
    look_through(*tables_.generation(number), now, looks);
  ask_upstreams(now);
}

void Refresher::forget_old_profiles() {
  if (states_.size() <= profiles_.size()) return;
  std::erase_if(states_, [this](const auto& state) {
    return state.second.in_flight == 0 && profile_of(state.first) == nullptr;
  });
}

void Refresher::look_through(Generation& generation, std::uint64_t now_ns, std::size_t& looks) {
  for (; looks < kLooksPerTurn; ++looks) {
    const auto due = generation.refresh.pop(now_ns);
    if (!due) return;
    look_at(generation, *due, now_ns);
  }
}

// True if a later deadline would lie behind the token's end.
bool Refresher::ends_with_token(const Generation& generation, std::uint64_t slot, std::uint64_t now_ns,
                                std::uint64_t deadline) {
  const shm::TableView& view = generation.writer.view();
  const std::int64_t expires = shm::load_cold(view.cold(slot)).expires_wall_ns;
  std::int64_t left = 0;
  if (expires == 0 || __builtin_sub_overflow(expires, wall_.now_ns(), &left)) return expires < 0;
  return left <= static_cast<std::int64_t>(deadline + 2 * view.tick_ns - now_ns);
}

void Refresher::look_at(Generation& generation, const RefreshQueue::Due& due_now, std::uint64_t now_ns) {
  const shm::HotRecord hot = generation.writer.peek(due_now.slot);
  const shm::TableView& view = generation.writer.view();
  if (shm::control_state(hot.control) != shm::SlotState::kLive) return;
  if (!shm::is_current(view, hot, now_ns)) return sealed_.forget(hot.key);
  auto profile = profile_of(shm::load_cold(view.cold(due_now.slot)).profile_id);
  if (profile == nullptr || profile->upstream->catching_up())
    return generation.refresh.put(due_now.slot, hot.deadline);
  const ProfileConfig& config = profile->config;
  const bool has_window = config.stale_if_error.count() > 0;
  if (!config.refreshes() && !has_window) return;
  if (ends_with_token(generation, due_now.slot, now_ns, hot.deadline))
    return generation.refresh.put(due_now.slot, hot.deadline);
  if (due_now.look_ns == RefreshQueue::kNew) {
    const std::uint64_t last = last_look_ns(hot.deadline);
    const std::uint64_t look =
        config.refreshes() ? states_[profile->id].lead.look_ns(now_ns, hot.deadline, random()) : last;
    return generation.refresh.put(due_now.slot, std::max(look, now_ns + 1));
  }
  due({.generation = &generation,
       .slot = due_now.slot,
       .due_ns = due_now.look_ns,
       .deadline = hot.deadline,
       .key = hot.key,
       .profile = std::move(profile),
       .places = tables_.places_of(hot.key),
       .unused_for = generation.writer.unused_for(due_now.slot)},
      now_ns);
}

void Refresher::due(Look look, std::uint64_t now_ns) {
  const Profile& profile = *look.profile;
  const bool last = now_ns >= last_look_ns(look.deadline);
  if (last && states_[profile.id].outage.failing() && prolong(profile, look.places)) return;
  if (!profile.config.refreshes() || !tables_.used_since_proof(look.places)) return wait(look, now_ns);
  if (profile.config.upstream != UpstreamKind::kJwks) {
    wanted_.push_back(std::move(look));
    return;
  }
  if (admission_.renew(profile, look.places) != Admission::Renewed::kYes) return wait(look, now_ns);
  ++counters_.refreshed;
  ++counters_.extended;
}

void Refresher::ask_upstreams(std::uint64_t now_ns) {
  const auto order = [](const Look& look) {
    return std::tuple(look.deadline / kSameDeadlineNs, look.unused_for, look.deadline);
  };
  std::ranges::sort(wanted_, {}, order);
  for (const Look& look : wanted_) {
    if (!ask(look)) {
      wait(look, now_ns);
      continue;
    }
    // While the question is under way, the record's last look still comes.
    const std::uint64_t last = last_look_ns(look.deadline);
    look.generation->refresh.put(look.slot, std::max(last, now_ns + 1));
  }
  wanted_.clear();
}

bool Refresher::ask(const Look& look) {
  State& state = states_[look.profile->id];
  if (state.in_flight >= kInFlightMax) return false;
  shm::Digest digest;
  auto token = sealed_.open(look.key, digest);
  if (!token) {
    ++counters_.no_token;
    return false;
  }
  ++state.in_flight;
  if (!resolver_.refresh(look.profile, digest, std::move(*token), look.places,
                         static_cast<std::int64_t>(look.due_ns))) {
    --state.in_flight;
    return false;
  }
  ++counters_.refreshed;
  return true;
}

// Another look in a while, the last one shortly before the deadline; and one behind it, so that its token
// goes with it.
void Refresher::wait(const Look& look, std::uint64_t now_ns) {
  RefreshQueue& queue = look.generation->refresh;
  if (now_ns < last_look_ns(look.deadline)) return queue.put(look.slot, next_look_ns(now_ns, look.deadline));
  queue.put(look.slot, look.deadline);
}

bool Refresher::prolong(const Profile& profile, const Places& places) {
  const auto step =
      std::min<std::int64_t>(kStaleStepNs, std::chrono::nanoseconds(profile.config.ttl_max).count());
  if (admission_.prolong(profile, places, step) == 0) return false;
  ++counters_.stale;
  Outage& outage = states_[profile.id].outage;
  ++outage.stale;
  const shm::Place& place = places.items[0];
  const std::uint64_t proven = tables_.generation(place.generation)->refresh.proven_until(place.slot);
  outage.stale_until_ns = std::max(outage.stale_until_ns, proven + window_ns(profile.config));
  return true;
}

std::string Refresher::departing(const Profile& profile, const shm::Digest& digest, std::string_view token) {
  return needs_token(profile.config) ? sealed_.seal(digest, token) : std::string();
}

void Refresher::note_health(const Landing& landing, State& state) {
  if (is_outage(landing.admitted)) {
    if (!state.outage.failing()) state.outage.failing_since_wall_ns = wall_.now_ns();
  } else if (landing.admitted.verdict != Verdict::kUnavailable) {
    state.outage.failing_since_wall_ns = 0;
    state.outage.stale_until_ns = 0;
  }
  // A circuit that is open answers at once, which says nothing of how long an answer takes.
  if (landing.admitted.verdict != Verdict::kUnavailable || landing.admitted.reason == Reason::kTimeout)
    state.lead.measured(landing.took_ns);
}

void Refresher::count(const Landing& landing) {
  const Admitted& admitted = landing.admitted;
  if (admitted.verdict == Verdict::kUnavailable) {
    ++counters_.failed;
  } else if (admitted.verdict == Verdict::kInvalid) {
    ++counters_.dropped;
  } else if (admitted.standing == Admitted::Standing::kExtended) {
    ++counters_.extended;
  } else {
    ++counters_.changed;
  }
}

Places Refresher::landed(const Landing& landing) {
  const Profile& profile = landing.profile;
  State& state = states_[profile.id];
  const shm::Key key = shm::key_of(landing.digest);
  if (landing.refresh) {
    --state.in_flight;
    count(landing);
    if (landing.admitted.verdict == Verdict::kUnavailable) try_again(key);
  }
  note_health(landing, state);
  Places stand_in;
  if (is_outage(landing.admitted) && profile.config.stale_if_error.count() > 0) {
    const Places places = tables_.places_of(key);
    // A record that was prolonged while the question was under way counts as well.
    shm::Found found;
    const bool current = tables_.find(key, found) &&
                         shm::unpack_facts(found.record.facts).verdict == Verdict::kValid &&
                         shm::is_current(tables_.newest().writer.view(), found.record,
                                         static_cast<std::uint64_t>(clock_.monotonic_ns()));
    if (current || prolong(profile, places)) stand_in = places;
  }
  const bool stands = stand_in.count > 0 ||
                      (landing.admitted.verdict == Verdict::kValid && landing.admitted.places.count > 0);
  if (stands && !landing.sealed.empty()) sealed_.keep(landing.digest, std::move(landing.sealed));
  return stand_in;
}

void Refresher::try_again(const shm::Key& key) {
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  for (const shm::Place& place : tables_.places_of(key).all()) {
    Generation* generation = tables_.generation(place.generation);
    const std::uint64_t deadline = generation->writer.peek(place.slot).deadline;
    if (now < deadline) generation->refresh.put(place.slot, next_look_ns(now, deadline));
  }
}

std::size_t Refresher::in_flight(const Profile& profile) const {
  const auto state = states_.find(profile.id);
  return state == states_.end() ? 0 : state->second.in_flight;
}

Outage Refresher::outage(const Profile& profile) const {
  const auto state = states_.find(profile.id);
  return state == states_.end() ? Outage{} : state->second.outage;
}

std::int64_t Refresher::lead_ns(const Profile& profile) const {
  const auto state = states_.find(profile.id);
  const std::int64_t life = std::chrono::nanoseconds(profile.config.ttl_max).count();
  return (state == states_.end() ? RefreshLead() : state->second.lead).lead_ns(life);
}

}  // namespace authcached
