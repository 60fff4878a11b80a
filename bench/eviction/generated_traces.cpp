#include <algorithm>
#include <cmath>
#include <queue>
#include <random>

#include "bench/eviction/trace.hpp"

namespace authcache_eviction {
namespace {

// Numbers of the standard's own engine, by means that the standard fixes too: its distributions differ by
// library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  double exponential(double mean) { return -mean * std::log1p(-unit()); }
  // At least one; each further one with the same chance.
  std::uint64_t geometric(double mean) {
    return 1 + static_cast<std::uint64_t>(std::log1p(-unit()) / std::log1p(-1.0 / mean));
  }

 private:
  std::mt19937_64 engine_;
};

class Zipf {
 public:
  Zipf(std::size_t keys, double skew) : cumulated_(keys) {
    double sum = 0;
    for (std::size_t rank = 0; rank < keys; ++rank) {
      sum += std::pow(static_cast<double>(rank + 1), -skew);
      cumulated_[rank] = sum;
    }
  }
  std::uint64_t rank(Dice& dice) const {
    const double at = dice.unit() * cumulated_.back();
    return static_cast<std::uint64_t>(std::ranges::upper_bound(cumulated_, at) - cumulated_.begin());
  }

 private:
  std::vector<double> cumulated_;
};

// Numbers whatever a generator calls its keys from 0, in the order of the first request.
class Numbering {
 public:
  explicit Numbering(Trace& trace) : trace_(trace) {}
  void request(std::uint64_t name) {
    if (name >= numbers_.size()) numbers_.resize(2 * name + 1, kNone);
    if (numbers_[name] == kNone) numbers_[name] = trace_.distinct++;
    trace_.requests.push_back(numbers_[name]);
  }

 private:
  static constexpr KeyNumber kNone = ~KeyNumber{0};
  Trace& trace_;
  std::vector<KeyNumber> numbers_;
};

constexpr std::uint64_t kZipfKeysPerRecord = 10;

Trace zipf(const GeneratedSpec& spec, const std::string& name, double skew) {
  Trace trace{name, spec.capacity, 0, {}};
  Numbering numbering(trace);
  Dice dice(spec.seed);
  const Zipf ranks(kZipfKeysPerRecord * spec.capacity, skew);
  for (std::uint64_t i = 0; i < spec.requests; ++i) numbering.request(ranks.rank(dice));
  return trace;
}

// Ten times through the work on twice as many keys as fit, somebody comes by with 1.5 x the capacity of keys
// that nobody asks for again: a crawler, a load test, a guesser.
Trace scan(const GeneratedSpec& spec) {
  Trace trace{"scan", spec.capacity, 0, {}};
  Numbering numbering(trace);
  Dice dice(spec.seed);
  const std::uint64_t working_set = 2 * spec.capacity;
  const Zipf ranks(working_set, 0.99);
  std::uint64_t passer_by = working_set;
  for (int pass = 0; pass < 10; ++pass) {
    for (std::uint64_t i = 0; i < spec.requests / 10; ++i) numbering.request(ranks.rank(dice));
    for (std::uint64_t i = 0; i < spec.capacity * 3 / 2; ++i) numbering.request(passer_by++);
  }
  return trace;
}

// Round and round through a fifth more than fits: a job that polls with all its tokens.
Trace loop(const GeneratedSpec& spec) {
  Trace trace{"loop", spec.capacity, 0, {}};
  Numbering numbering(trace);
  for (std::uint64_t i = 0; i < spec.requests; ++i) numbering.request(i % (spec.capacity * 6 / 5));
  return trace;
}

// Sessions are born, work in bursts with pauses, and die; half as many again are alive as fit. Seconds are
// arbitrary.
Trace session_churn(const GeneratedSpec& spec) {
  constexpr double kBursts = 4;
  constexpr double kRequestsPerBurst = 5;
  constexpr double kPause = 300;
  constexpr double kWithinBurst = 1;
  struct Event {
    double when;
    std::uint64_t session;
    std::uint64_t requests_left;  // of this burst
    std::uint64_t bursts_left;    // after it
    bool operator>(const Event& other) const { return when > other.when; }
  };
  Trace trace{"session_churn", spec.capacity, 0, {}};
  Numbering numbering(trace);
  Dice dice(spec.seed);
  const double life = kBursts * (kPause + kRequestsPerBurst * kWithinBurst);
  const double between_births = life / (1.5 * static_cast<double>(spec.capacity));
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  std::uint64_t born = 0;
  double next_birth = 0;
  while (trace.requests.size() < spec.requests) {
    if (events.empty() || next_birth < events.top().when) {
      events.push({next_birth, born++, dice.geometric(kRequestsPerBurst), dice.geometric(kBursts) - 1});
      next_birth += dice.exponential(between_births);
      continue;
    }
    Event event = events.top();
    events.pop();
    numbering.request(event.session);
    if (--event.requests_left > 0) {
      event.when += dice.exponential(kWithinBurst);
    } else if (event.bursts_left > 0) {
      --event.bursts_left;
      event.requests_left = dice.geometric(kRequestsPerBurst);
      event.when += dice.exponential(kPause);
    } else {
      continue;
    }
    events.push(event);
  }
  return trace;
}

}  // namespace

std::vector<Trace> generated_traces(const GeneratedSpec& spec) {
  std::vector<Trace> traces;
  traces.push_back(zipf(spec, "zipf_0.70", 0.70));
  traces.push_back(zipf(spec, "zipf_0.99", 0.99));
  traces.push_back(zipf(spec, "zipf_1.20", 1.20));
  traces.push_back(scan(spec));
  traces.push_back(loop(spec));
  traces.push_back(session_churn(spec));
  return traces;
}

}  // namespace authcache_eviction
