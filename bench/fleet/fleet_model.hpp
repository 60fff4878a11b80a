// Many hosts that share revocations over one engine, in simulated time: what daemon/cache/fleet*.cpp and
// daemon/io/redis/redis_stream.cpp do, reduced to messages, their costs and their order. docs/fleet.md
// explains the model. One thread; the same seed gives the same run.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace authcache_fleet {

inline constexpr std::uint64_t kMicrosecond = 1, kMillisecond = 1'000,
                               kSecond = 1'000'000;  // the model's clock

// What the engine's one thread spends on a command, what a network and a disk take.
struct Costs {
  std::uint64_t publish_us = 20;    // one transaction with one rule
  std::uint64_t read_us = 8;        // one XREAD, or one answer to a reader that waits
  std::uint64_t entry_us = 1;       // each entry in it
  std::uint64_t look_us = 30;       // one look, with the host's position
  std::uint64_t connect_us = 60;    // a connection and its greeting
  std::uint64_t copy_page_us = 45;  // a page of the copy
  std::uint64_t network_us = 300;   // one way, with up to as much again
  std::uint64_t commit_us = 2'000;  // to make what was read durable, with up to as much again
};

struct Scenario {
  std::string name;
  std::uint64_t seconds = 60;
  double calm_per_s = 5;                       // revocations of the whole fleet
  std::uint64_t burst_from = 0, burst_to = 0;  // in seconds
  double burst_per_s = 0;
  std::uint64_t cut_from = 0, cut_to = 0;  // some hosts hear nothing
  double cut_part = 0;
  std::uint64_t failover_from = 0, failover_to = 0;  // the engine is gone; another one takes over
  std::uint64_t failover_lost_us = 0;                // and lacks the last of it
  std::uint64_t restart_at = 0;                      // some hosts begin with the copy, all at once
  double restart_part = 0;
};

struct Settings {
  std::uint32_t hosts = 10'000;
  std::uint64_t seed = 1;
  std::uint64_t staleness_us = 15 * kSecond;
  std::uint64_t look_every_us = kSecond;
  std::uint32_t rules = 10'000;  // in the copy at the beginning
  Costs costs;
};

// Counts of durations by size: 32 steps from each power of two to the next, so within 3 %.
class Histogram {
 public:
  void add(std::uint64_t value, std::uint64_t times = 1);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t percentile(double part) const;
  [[nodiscard]] std::uint64_t greatest() const { return greatest_; }

 private:
  std::array<std::uint64_t, 64 * 32> counts_{};
  std::uint64_t count_ = 0, greatest_ = 0;
};

struct SecondOfRun {
  Histogram lag;                  // of rules that became durable at a host in this second
  std::uint64_t commands = 0;     // that the engine ran, answers to waiting readers among them
  std::uint64_t busy_us = 0;      // of its thread
  std::uint32_t unavailable = 0;  // hosts beyond their staleness, at its end
};

struct Outcome {
  Histogram lag;           // acknowledged on one host until durable on another
  Histogram lag_in_reach;  // in the stream until durable on a host that no outage kept away
  Histogram catch_up;      // from the end of a host's outage until it has heard all
  std::uint64_t revocations = 0, told_twice = 0, copy_pages = 0;
  std::uint64_t unheard = 0;  // pairs of a rule and a host at the end of the run
  std::uint64_t overdue = 0;  // pairs where a host served beyond the staleness without the rule
  double unavailable_host_seconds = 0;
  std::vector<SecondOfRun> timeline;
};

[[nodiscard]] Outcome simulate(const Settings& settings, const Scenario& scenario);

}  // namespace authcache_fleet
