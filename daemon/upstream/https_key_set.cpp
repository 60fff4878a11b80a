#include "daemon/upstream/https_key_set.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <utility>

#include "daemon/base/random.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
// While a set can be used, nobody waits for the next try; while none can, everybody does.
constexpr std::int64_t kRetryFirstNs = kNsPerSecond;
constexpr std::int64_t kRetryUsableMaxNs = 60 * kNsPerSecond;
constexpr std::int64_t kRetryBlindMaxNs = 5 * kNsPerSecond;
constexpr unsigned kDoublingsMax = 6;
// A waiter holds a token of up to 16 KiB.
constexpr std::size_t kWaitersMax = 16 * 1024;
// More uids than this on one host ask at once only in an attack on this map.
constexpr std::size_t kUidsMax = 4'096;

// From 0 to 1. Only spreads requests in time, so that a generator that fails does no harm.
double random_fraction() {
  std::uint8_t bytes[4] = {};
  std::uint32_t number = 0;
  if (!fill_random(bytes)) return 0.5;
  std::memcpy(&number, bytes, sizeof number);
  return static_cast<double>(number) / 4294967296.0;
}

std::int64_t between(double low, double high, std::int64_t of_ns) {
  return static_cast<std::int64_t>(static_cast<double>(of_ns) * (low + (high - low) * random_fraction()));
}

std::int64_t seconds_of(std::int64_t ns) { return std::max<std::int64_t>(ns, 0) / kNsPerSecond; }

}  // namespace

HttpsKeySet::HttpsKeySet(const ProfileConfig& profile, std::shared_ptr<HttpClient> client, Executor& reader, TimedExecutor& loop,
                         const Clock& clock)
    : max_stale_ns_(std::chrono::nanoseconds(profile.jwks_max_stale).count()),
      loop_(loop),
      clock_(clock),
      fetcher_(std::make_shared<KeySetFetcher>(profile.issuer, profile.jwks_url, std::move(client), reader, loop, clock)) {}

std::shared_ptr<HttpsKeySet> HttpsKeySet::open(const ProfileConfig& profile, std::shared_ptr<HttpClient> client, Executor& reader,
                                               TimedExecutor& loop, const Clock& clock) {
  std::shared_ptr<HttpsKeySet> source(new HttpsKeySet(profile, std::move(client), reader, loop, clock));
  source->start();
  return source;
}

std::shared_ptr<const KeySet> HttpsKeySet::keys() const {
  return keys_ && clock_.boot_ns() < usable_until_ns() ? keys_ : nullptr;
}

std::optional<std::int64_t> HttpsKeySet::keep_until_wall_ns() const {
  return clock_.wall_ns() + (usable_until_ns() - clock_.boot_ns());
}

void HttpsKeySet::poll(Changed changed) {
  if (!fetching_ && due()) start();
  if (!pending_.added && !pending_.failed && pending_.removed.empty()) return;
  const KeySetChange change = std::exchange(pending_, {});
  changed(change);
}

bool HttpsKeySet::due() const {
  const std::int64_t now = clock_.boot_ns();
  // The longer wait was for as long as the last good set could be used.
  return now >= next_ns_ || (!keys() && now - failed_ns_ >= kRetryBlindMaxNs);
}

void HttpsKeySet::start() {
  fetching_ = true;
  started_ns_ = clock_.boot_ns();
  ++counters_.fetches;
  fetcher_->fetch([weak = weak_from_this()](shm::Result<FetchedKeys> result) {
    if (const auto self = weak.lock()) self->fetched(std::move(result));
  });
}

void HttpsKeySet::fetched(shm::Result<FetchedKeys> result) {
  fetching_ = false;
  const bool failed = !result;
  if (failed) {
    fail(std::move(result.error().message));
  } else {
    take(std::move(*result));
  }
  asked_by_ = static_cast<uid_t>(-1);
  wake_waiters(failed);
}

void HttpsKeySet::take(FetchedKeys fetched) {
  const std::int64_t now = clock_.boot_ns();
  if (fetched.keys) {
    if (const auto usable = keys()) fetched.keys->keep_missing(*usable);
    replace(std::move(*fetched.keys));
    loaded_wall_ns_ = clock_.wall_ns();
  } else {
    ++counters_.unchanged;
    if (!keys_->kept().empty()) replace(keys_->without_kept());  // gone for the second time
  }
  failures_in_a_row_ = 0;
  error_.clear();
  fetched_ns_ = now;
  fresh_until_ns_ = now + fetched.fresh_ns;
  const bool unconfirmed = !keys_->kept().empty();
  next_ns_ = now + between(0.8, 0.9, unconfirmed ? std::min(fetched.fresh_ns, kCooldownNs) : fetched.fresh_ns);
}

void HttpsKeySet::replace(KeySet next) {
  // What a set proved that may not be relied on any more has ended with it: nothing is left to withdraw, and its keys were
  // perhaps only not heard of.
  const auto before = keys();
  keys_ = std::make_shared<const KeySet>(std::move(next));
  const KeySetChange change = before ? compare_sets(*before, *keys_) : KeySetChange{.removed = {}, .added = true};
  if (change.added) {
    pending_.added = true;
    spent_until_ns_.erase(asked_by_);  // it asked for something that was there
  }
  pending_.removed.insert(pending_.removed.end(), change.removed.begin(), change.removed.end());
}

void HttpsKeySet::fail(std::string sentence) {
  const std::int64_t now = clock_.boot_ns();
  ++counters_.failures;
  failed_ns_ = now;
  if (error_ != sentence) pending_.failed = true;
  error_ = last_error_ = std::move(sentence);
  const std::int64_t most = keys() ? kRetryUsableMaxNs : kRetryBlindMaxNs;
  const std::int64_t wait_ns = kRetryFirstNs << std::min(failures_in_a_row_, kDoublingsMax);
  ++failures_in_a_row_;
  next_ns_ = now + between(0.75, 1.25, std::min(wait_ns, most));
}

void HttpsKeySet::seek(const KeySet* seen, uid_t uid, std::uint64_t deadline_ns, Found found) {
  const auto current = keys();
  const std::int64_t now = clock_.boot_ns();
  if (current && current.get() != seen) return reply_later(std::move(found), Sought::kChanged, 0);
  if (fetching_) return wait(seen, deadline_ns, std::move(found));
  if (!current) {
    if (!due()) return reply_later(std::move(found), Sought::kFailed, 0);
    wait(seen, deadline_ns, std::move(found));
    return start();
  }
  if (now < cooldown_until_ns_) {
    const Sought outcome = failures_in_a_row_ > 0 ? Sought::kFailed : Sought::kNotThere;
    return reply_later(std::move(found), outcome, cooldown_until_ns_ - now);
  }
  if (!spend(uid)) {
    ++counters_.over_budget;
    return reply_later(std::move(found), Sought::kOverBudget, 0);
  }
  ++counters_.out_of_turn;
  asked_by_ = uid;
  cooldown_until_ns_ = now + kCooldownNs;
  wait(seen, deadline_ns, std::move(found));
  start();
}

bool HttpsKeySet::spend(uid_t uid) {
  const std::int64_t now = clock_.boot_ns();
  if (spent_until_ns_.size() >= kUidsMax) std::erase_if(spent_until_ns_, [&](const auto& spent) { return spent.second <= now; });
  const auto spent = spent_until_ns_.find(uid);
  if (spent != spent_until_ns_.end() && now < spent->second) return false;
  if (spent == spent_until_ns_.end() && spent_until_ns_.size() >= kUidsMax) return false;
  spent_until_ns_[uid] = now + 2 * kCooldownNs;
  return true;
}

// For how long the set that was asked for last is taken as the issuer's last word on a key that it lacks.
std::int64_t HttpsKeySet::absence_lasts_ns() const {
  return std::max<std::int64_t>(std::max(cooldown_until_ns_, started_ns_ + kCooldownNs) - clock_.boot_ns(), 0);
}

void HttpsKeySet::reply_later(Found found, Sought sought, std::int64_t for_ns) const {
  loop_.post([found = std::move(found), sought, for_ns]() mutable { found(sought, for_ns); });
}

void HttpsKeySet::wait(const KeySet* seen, std::uint64_t deadline_ns, Found found) {
  if (waiters_.size() >= kWaitersMax) return reply_later(std::move(found), Sought::kOverloaded, 0);
  waiters_.push_back({seen, deadline_ns, std::move(found)});
  arm(deadline_ns);
}

void HttpsKeySet::arm(std::uint64_t deadline_ns) {
  if (armed_for_ns_ != 0 && armed_for_ns_ <= deadline_ns) return;
  armed_for_ns_ = deadline_ns;
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  const auto delay = static_cast<std::int64_t>(deadline_ns > now ? deadline_ns - now : 0);
  loop_.after(std::chrono::nanoseconds(delay), [weak = weak_from_this(), deadline_ns] {
    const auto self = weak.lock();
    if (!self || self->armed_for_ns_ != deadline_ns) return;  // an earlier one was armed meanwhile, or all were answered
    self->armed_for_ns_ = 0;
    self->expire_waiters();
  });
}

// The clock that tells is coarse: a timer may fire a tick before it shows the deadline, and is armed again.
void HttpsKeySet::expire_waiters() {
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  const auto late = std::ranges::stable_partition(waiters_, [&](const Waiter& waiter) { return waiter.deadline_ns > now; });
  std::vector<Waiter> expired(std::make_move_iterator(late.begin()), std::make_move_iterator(late.end()));
  waiters_.erase(late.begin(), late.end());
  if (!waiters_.empty()) arm(std::ranges::min_element(waiters_, {}, &Waiter::deadline_ns)->deadline_ns);
  for (Waiter& waiter : expired) waiter.found(Sought::kTimeout, 0);
}

void HttpsKeySet::wake_waiters(bool failed) {
  std::vector<Waiter> waiters = std::exchange(waiters_, {});
  armed_for_ns_ = 0;
  const auto current = keys();
  for (Waiter& waiter : waiters) {
    if (current && current.get() != waiter.seen) {
      waiter.found(Sought::kChanged, 0);
    } else if (failed || !current) {
      waiter.found(Sought::kFailed, 0);
    } else {
      waiter.found(Sought::kNotThere, absence_lasts_ns());
    }
  }
}

std::string HttpsKeySet::complaint() const {
  if (error_.empty()) return {};
  if (!keys_) return "has no key set yet: " + error_;
  if (keys()) return "goes on with its last good key set: " + error_;
  return "has no key set that may still be relied on: " + error_;
}

std::string HttpsKeySet::state_json() const {
  const std::int64_t now = clock_.boot_ns();
  boost::json::object state;
  state["state"] = !keys() ? (error_.empty() && !keys_ ? "starting" : "failed") : now < fresh_until_ns_ ? "fresh" : "stale";
  state["url"] = fetcher_->url();
  state["keys"] = keys_ ? keys_->keys().size() : 0;
  state["kept"] = keys_ ? keys_->kept().size() : 0;
  state["skipped"] = keys_ ? keys_->skipped().size() : 0;
  state["loaded_wall_ns"] = loaded_wall_ns_;
  if (keys_) {
    state["age_s"] = seconds_of(now - fetched_ns_);
    state["fresh_for_s"] = seconds_of(fresh_until_ns_ - now);
    state["usable_for_s"] = seconds_of(usable_until_ns() - now);
  }
  state["next_fetch_s"] = seconds_of(next_ns_ - now);
  state["cooldown_s"] = seconds_of(cooldown_until_ns_ - now);
  state["fetching"] = fetching_;
  state["waiting"] = waiters_.size();
  state["fetches"] = counters_.fetches;
  state["unchanged"] = counters_.unchanged;
  state["out_of_turn"] = counters_.out_of_turn;
  state["over_budget"] = counters_.over_budget;
  state["failures"] = counters_.failures;
  state["failures_in_a_row"] = failures_in_a_row_;
  state["error"] = error_;
  if (counters_.failures > 0) {
    state["last_error"] = last_error_;
    state["last_error_age_s"] = seconds_of(now - failed_ns_);
  }
  boost::json::error_code unreadable;
  const auto http = boost::json::parse(fetcher_->client().state_json(), unreadable);
  if (!unreadable) state["http"] = http;
  return boost::json::serialize(state);
}

}  // namespace authcached
