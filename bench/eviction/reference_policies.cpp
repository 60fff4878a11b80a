#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <set>

#include "bench/eviction/policy.hpp"

namespace authcache_eviction {
namespace {

class Lru : public Policy {
 public:
  explicit Lru(const Size& size) : capacity_(size.capacity), at_(size.distinct, order_.end()) {}
  bool request(KeyNumber key) override {
    if (at_[key] != order_.end()) {
      order_.splice(order_.begin(), order_, at_[key]);
      return true;
    }
    if (order_.size() == capacity_) {
      at_[order_.back()] = order_.end();
      order_.pop_back();
    }
    order_.push_front(key);
    at_[key] = order_.begin();
    return false;
  }

 private:
  std::uint64_t capacity_;
  std::list<KeyNumber> order_;  // latest use first
  std::vector<std::list<KeyNumber>::iterator> at_;
};

class Clock : public Policy {
 public:
  explicit Clock(const Size& size) : capacity_(size.capacity), cached_(size.distinct), used_(size.distinct) {}
  bool request(KeyNumber key) override {
    if (cached_[key]) {
      used_[key] = true;
      return true;
    }
    while (order_.size() == capacity_) {
      const KeyNumber oldest = order_.front();
      order_.pop_front();
      if (used_[oldest]) {
        used_[oldest] = false;
        order_.push_back(oldest);
      } else {
        cached_[oldest] = false;
      }
    }
    order_.push_back(key);
    cached_[key] = true;
    used_[key] = false;
    return false;
  }

 private:
  std::uint64_t capacity_;
  std::deque<KeyNumber> order_;  // the hand stands at the front
  std::vector<bool> cached_;
  std::vector<bool> used_;
};

class Sieve : public Policy {
 public:
  explicit Sieve(const Size& size) : capacity_(size.capacity), cached_(size.distinct), used_(size.distinct) {}
  bool request(KeyNumber key) override {
    if (cached_[key]) {
      used_[key] = true;
      return true;
    }
    if (order_.size() == capacity_) evict();
    order_.push_back(key);
    cached_[key] = true;
    used_[key] = false;
    return false;
  }

 private:
  void evict() {
    if (hand_ == order_.end()) hand_ = order_.begin();
    while (used_[*hand_]) {
      used_[*hand_] = false;
      if (++hand_ == order_.end()) hand_ = order_.begin();
    }
    cached_[*hand_] = false;
    hand_ = order_.erase(hand_);
  }

  std::uint64_t capacity_;
  std::list<KeyNumber> order_;  // oldest first
  std::list<KeyNumber>::iterator hand_ = order_.end();
  std::vector<bool> cached_;
  std::vector<bool> used_;
};

class S3Fifo : public Policy {
 public:
  explicit S3Fifo(const Size& size)
      : capacity_(size.capacity),
        trial_max_(std::max<std::uint64_t>(size.capacity / 10, 1)),
        ghost_max_(size.capacity - trial_max_),
        where_(size.distinct, Where::kOut),
        uses_(size.distinct),
        ghost_number_(size.distinct) {}
  bool request(KeyNumber key) override {
    if (where_[key] == Where::kTrial || where_[key] == Where::kMain) {
      uses_[key] = static_cast<std::uint8_t>(std::min(uses_[key] + 1, 3));
      return true;
    }
    const bool remembered = ghost_number_[key] != 0 && ghosts_ - ghost_number_[key] < ghost_max_;
    while (trial_.size() + main_.size() >= capacity_) {
      if (trial_.size() >= trial_max_) {
        evict_from_trial();
      } else {
        evict_from_main();
      }
    }
    (remembered ? main_ : trial_).push_back(key);
    where_[key] = remembered ? Where::kMain : Where::kTrial;
    uses_[key] = 0;
    return false;
  }

 private:
  enum class Where : std::uint8_t { kOut, kTrial, kMain };

  void evict_from_trial() {
    const KeyNumber key = trial_.front();
    trial_.pop_front();
    if (uses_[key] > 1) {
      uses_[key] = 0;
      where_[key] = Where::kMain;
      main_.push_back(key);
      return;
    }
    where_[key] = Where::kOut;
    ghost_number_[key] = ++ghosts_;
  }

  void evict_from_main() {
    for (;;) {
      const KeyNumber key = main_.front();
      main_.pop_front();
      if (uses_[key] == 0) {
        where_[key] = Where::kOut;
        return;
      }
      --uses_[key];
      main_.push_back(key);
    }
  }

  std::uint64_t capacity_;
  std::uint64_t trial_max_;
  std::uint64_t ghost_max_;
  std::deque<KeyNumber> trial_;
  std::deque<KeyNumber> main_;
  std::vector<Where> where_;
  std::vector<std::uint8_t> uses_;
  std::uint64_t ghosts_ = 0;                 // remembered so far; the latest ghost_max_ of them still are
  std::vector<std::uint64_t> ghost_number_;  // 0 for never
};

}  // namespace

std::unique_ptr<Policy> make_lru(const Size& size) { return std::make_unique<Lru>(size); }
std::unique_ptr<Policy> make_clock(const Size& size) { return std::make_unique<Clock>(size); }
std::unique_ptr<Policy> make_sieve(const Size& size) { return std::make_unique<Sieve>(size); }
std::unique_ptr<Policy> make_s3_fifo(const Size& size) { return std::make_unique<S3Fifo>(size); }

std::uint64_t count_hits(Policy& policy, const Trace& trace) {
  std::uint64_t hits = 0;
  for (const KeyNumber key : trace.requests) hits += policy.request(key) ? 1 : 0;
  return hits;
}

std::uint64_t count_optimal_hits(const Trace& trace) {
  const std::size_t never = trace.requests.size();
  std::vector<std::size_t> next(trace.requests.size());
  std::vector<std::size_t> upcoming(trace.distinct, never);
  for (std::size_t i = trace.requests.size(); i-- > 0;) {
    next[i] = upcoming[trace.requests[i]];
    upcoming[trace.requests[i]] = i;
  }
  std::set<std::pair<std::size_t, KeyNumber>> cached;  // by the next request
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const KeyNumber key = trace.requests[i];
    if (const auto at = cached.find({i, key}); at != cached.end()) {
      ++hits;
      cached.erase(at);
    } else if (cached.size() == trace.capacity) {
      cached.erase(std::prev(cached.end()));
    }
    cached.emplace(next[i], key);
  }
  return hits;
}

}  // namespace authcache_eviction
