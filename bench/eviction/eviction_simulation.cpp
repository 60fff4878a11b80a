// Hit ratios of the table beside reference policies, and how much of the way from LRU to the optimum it goes:
//   gap = (table - LRU) / (optimum - LRU)
// over the traces where there is such a way: optimum - LRU above 1 %.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "bench/eviction/policy.hpp"
#include "bench/eviction/table_policy.hpp"
#include "bench/eviction/trace.hpp"

namespace authcache_eviction {
namespace {

constexpr double kWayMin = 0.01;
constexpr const char* kUsage =
    "usage: eviction_simulation [--seed N] [--capacity N] [--requests N] [--traces DIRECTORY] [--tmpfs "
    "DIRECTORY] "
    "[--json FILE]\n"
    "  --seed, --capacity, --requests   of the generated traces (1, 10000, 1000000)\n"
    "  --traces  recorded ones beside them: every *.trace there, one key a line\n"
    "  --tmpfs   where the table is made (/dev/shm)\n"
    "  --json    writes the ratios and the keys hit_ratio_gap_min, hit_ratio_gap_mean\n";

struct Arguments {
  GeneratedSpec generated;
  std::string traces;
  std::string tmpfs = "/dev/shm";
  std::string json;
};

Arguments parse(int count, char** words) {
  Arguments arguments;
  const std::map<std::string_view, std::function<void(const char*)>> options = {
      {"--seed", [&](const char* word) { arguments.generated.seed = std::strtoull(word, nullptr, 10); }},
      {"--capacity",
       [&](const char* word) { arguments.generated.capacity = std::strtoull(word, nullptr, 10); }},
      {"--requests",
       [&](const char* word) { arguments.generated.requests = std::strtoull(word, nullptr, 10); }},
      {"--traces", [&](const char* word) { arguments.traces = word; }},
      {"--tmpfs", [&](const char* word) { arguments.tmpfs = word; }},
      {"--json", [&](const char* word) { arguments.json = word; }}};
  for (int i = 1; i < count; i += 2) {
    const auto option = options.find(words[i]);
    if (option == options.end() || i + 1 == count) {
      std::fputs(kUsage, stderr);
      std::exit(2);
    }
    option->second(words[i + 1]);
  }
  return arguments;
}

// The optimum is the last.
constexpr std::array<const char*, 6> kNames = {"lru", "clock", "sieve", "s3_fifo", "table", "optimum"};
constexpr std::size_t kLru = 0;
constexpr std::size_t kTable = 4;
constexpr std::size_t kOptimum = 5;
using Ratios = std::array<double, kNames.size()>;

Ratios replay(const Trace& trace, const std::string& tmpfs) {
  const Size size{trace.capacity, trace.distinct};
  const std::array<std::unique_ptr<Policy>, kOptimum> policies = {
      make_lru(size), make_clock(size), make_sieve(size), make_s3_fifo(size), make_table(size, tmpfs)};
  const auto all = static_cast<double>(trace.requests.size());
  Ratios ratios;
  for (std::size_t i = 0; i < kOptimum; ++i)
    ratios[i] = static_cast<double>(count_hits(*policies[i], trace)) / all;
  ratios[kOptimum] = static_cast<double>(count_optimal_hits(trace)) / all;
  return ratios;
}

struct Summary {
  double min = 1;
  double sum = 0;
  int traces = 0;
  void add(double gap) {
    min = std::min(min, gap);
    sum += gap;
    ++traces;
  }
  [[nodiscard]] double mean() const { return traces > 0 ? sum / traces : 0; }
};

void run(const Arguments& arguments) {
  std::vector<std::string> left_out;
  std::vector<Trace> traces = generated_traces(arguments.generated);
  if (!arguments.traces.empty())
    std::ranges::move(recorded_traces(arguments.traces, left_out), std::back_inserter(traces));
  std::map<std::string, double> report;
  Summary summary;
  std::printf("generated traces: seed %llu\n%-22s %9s %8s %8s",
              static_cast<unsigned long long>(arguments.generated.seed), "trace", "requests", "keys",
              "records");
  for (const char* name : kNames) std::printf(" %8s", name);
  std::printf(" %8s\n", "gap");
  for (const Trace& trace : traces) {
    const Ratios ratios = replay(trace, arguments.tmpfs);
    std::printf("%-22s %9zu %8u %8llu", trace.name.c_str(), trace.requests.size(), trace.distinct,
                static_cast<unsigned long long>(trace.capacity));
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      std::printf(" %8.4f", ratios[i]);
      report["hit_ratio_" + trace.name + "_" + kNames[i]] = ratios[i];
    }
    const double way = ratios[kOptimum] - ratios[kLru];
    if (way > kWayMin) {
      const double gap = (ratios[kTable] - ratios[kLru]) / way;
      report["hit_ratio_gap_" + trace.name] = gap;
      summary.add(gap);
      std::printf(" %8.3f\n", gap);
    } else {
      std::printf(" %8s\n", "-");
    }
    std::fflush(stdout);
  }
  for (const std::string& name : left_out)
    std::printf("%-22s left out: too few keys for a table\n", name.c_str());
  if (summary.traces == 0)
    throw std::runtime_error("on none of these traces is the optimum above LRU by 1 %: ask for more");
  report["hit_ratio_gap_min"] = summary.min;
  report["hit_ratio_gap_mean"] = summary.mean();
  report["hit_ratio_gap_traces"] = summary.traces;
  std::printf("hit_ratio_gap_min %.3f, hit_ratio_gap_mean %.3f over %d traces\n", summary.min, summary.mean(),
              summary.traces);
  if (arguments.json.empty()) return;
  std::ofstream out(arguments.json);
  out << "{";
  for (const char* separator = "\n"; const auto& [key, value] : report)
    out << std::exchange(separator, ",\n") << "  \"" << key << "\": " << value;
  if (!(out << "\n}\n").flush()) throw std::runtime_error("cannot write " + arguments.json);
}

}  // namespace
}  // namespace authcache_eviction

int main(int count, char** words) {
  try {
    authcache_eviction::run(authcache_eviction::parse(count, words));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "eviction_simulation: %s\n", error.what());
    return 1;
  }
}
