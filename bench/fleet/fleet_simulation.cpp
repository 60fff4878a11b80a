// Runs a fleet of many hosts through calm, bursts, partitions, failovers and cold starts, and says how late
// they hear, what the engine has to do, and what catching up costs. docs/fleet.md says what is in the model.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "bench/fleet/fleet_chart.hpp"
#include "bench/fleet/fleet_model.hpp"

namespace authcache_fleet {
namespace {

constexpr const char* kUsage =
    "usage: fleet_simulation [--hosts N] [--seed N] [--staleness SECONDS] [--rules N] [--only SCENARIO] "
    "[--svg DIRECTORY]\n"
    "  --hosts, --seed, --staleness   10000, 1, 15\n"
    "  --rules   in the copy that a cold start reads (10000)\n"
    "  --only    calm, burst, partition, failover, restart or flood; else all of them\n"
    "  --svg     writes fleet-SCENARIO.svg there\n"
    "  --publish-us, --read-us, --entry-us, --look-us, --connect-us, --page-us, --network-us, --commit-us   "
    "costs\n";

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all(6);
  all[0].name = "calm";
  all[1].name = "burst";
  all[1].burst_from = 20, all[1].burst_to = 25, all[1].burst_per_s = 200;
  all[2].name = "partition";
  all[2].cut_from = 15, all[2].cut_to = 45, all[2].cut_part = 0.2;
  all[3].name = "failover";
  all[3].failover_from = 20, all[3].failover_to = 26, all[3].failover_lost_us = 500 * kMillisecond;
  all[4].name = "restart";
  all[4].restart_at = 20, all[4].restart_part = 0.01;
  all[5].name = "flood";
  all[5].seconds = 180, all[5].burst_from = 20, all[5].burst_to = 25, all[5].burst_per_s = 2'000;
  return all;
}

std::string duration(std::uint64_t us) {
  char text[32];
  if (us < 10 * kMillisecond) {
    std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1e3);
  } else if (us < 10 * kSecond) {
    std::snprintf(text, sizeof text, "%llu ms", static_cast<unsigned long long>(us / kMillisecond));
  } else {
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(us) / 1e6);
  }
  return text;
}

void print(const Scenario& scenario, const Outcome& outcome) {
  std::uint64_t commands = 0, busiest = 0, most = 0;
  for (const SecondOfRun& second : outcome.timeline) {
    commands += second.commands;
    most = std::max(most, second.commands);
    busiest = std::max(busiest, second.busy_us);
  }
  const auto line = [](const char* what, const Histogram& of) {
    if (of.count() == 0) return;
    std::printf("  %-34s p50 %s, p90 %s, p99 %s, p99.9 %s, greatest %s\n", what,
                duration(of.percentile(0.5)).c_str(), duration(of.percentile(0.9)).c_str(),
                duration(of.percentile(0.99)).c_str(), duration(of.percentile(0.999)).c_str(),
                duration(of.greatest()).c_str());
  };
  std::printf("%s: %llu revocations in %llu s\n", scenario.name.c_str(),
              static_cast<unsigned long long>(outcome.revocations),
              static_cast<unsigned long long>(scenario.seconds));
  line("lag, every host", outcome.lag);
  line("from the stream, hosts in reach", outcome.lag_in_reach);
  line("catch-up after an outage", outcome.catch_up);
  std::printf("  %-34s %llu a second, at most %llu; its core at most %.0f %% busy\n",
              "messages on the engine", static_cast<unsigned long long>(commands / scenario.seconds),
              static_cast<unsigned long long>(most),
              std::min(static_cast<double>(busiest) / 1e4,
                       100.0));  // what was taken in a second may be worked on in the next
  std::printf("  %-34s %.0f host-seconds; told twice %llu; pages of the copy %llu\n", "unavailable",
              outcome.unavailable_host_seconds, static_cast<unsigned long long>(outcome.told_twice),
              static_cast<unsigned long long>(outcome.copy_pages));
  std::printf("  %-34s %llu\n", "served too long without a rule",
              static_cast<unsigned long long>(outcome.overdue));
}

bool run(int count, char** words) {
  Settings settings;
  std::uint64_t hosts = settings.hosts, rules = settings.rules, staleness_s = settings.staleness_us / kSecond;
  std::string only, svg;
  Costs& costs = settings.costs;
  const std::map<std::string_view, std::uint64_t*> numbers{{"--hosts", &hosts},
                                                           {"--seed", &settings.seed},
                                                           {"--staleness", &staleness_s},
                                                           {"--rules", &rules},
                                                           {"--publish-us", &costs.publish_us},
                                                           {"--read-us", &costs.read_us},
                                                           {"--entry-us", &costs.entry_us},
                                                           {"--look-us", &costs.look_us},
                                                           {"--connect-us", &costs.connect_us},
                                                           {"--page-us", &costs.copy_page_us},
                                                           {"--network-us", &costs.network_us},
                                                           {"--commit-us", &costs.commit_us}};
  for (int i = 1; i < count; i += 2) {
    const std::string_view key = words[i];
    if (i + 1 == count) return false;
    const std::string_view value = words[i + 1];
    if (key == "--only") {
      only = value;
    } else if (key == "--svg") {
      svg = value;
    } else {
      const auto number = numbers.find(key);
      if (number == numbers.end()) return false;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), *number->second);
      if (error != std::errc() || end != value.data() + value.size()) return false;
    }
  }
  if (hosts < 2 || hosts > 1'000'000 || staleness_s == 0 || rules > 10'000'000) return false;
  settings.hosts = static_cast<std::uint32_t>(hosts);
  settings.rules = static_cast<std::uint32_t>(rules);
  settings.staleness_us = staleness_s * kSecond;
  std::printf("%u hosts, seed %llu, staleness %llu s\n", settings.hosts,
              static_cast<unsigned long long>(settings.seed), static_cast<unsigned long long>(staleness_s));
  bool ran = false;
  for (const Scenario& scenario : scenarios()) {
    if (!only.empty() && only != scenario.name) continue;
    ran = true;
    const Outcome outcome = simulate(settings, scenario);
    print(scenario, outcome);
    if (!svg.empty())
      std::ofstream(svg + "/fleet-" + scenario.name + ".svg") << draw(settings, scenario, outcome);
  }
  return ran;
}

}  // namespace
}  // namespace authcache_fleet

int main(int count, char** words) {
  if (authcache_fleet::run(count, words)) return EXIT_SUCCESS;
  std::fputs(authcache_fleet::kUsage, stderr);
  return 2;
}
