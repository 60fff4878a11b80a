#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <unordered_map>

#include "bench/eviction/trace.hpp"
#include "shm/layout.hpp"

namespace authcache_eviction {
namespace {

constexpr std::uint64_t kKeysPerRecord = 10;

Trace read_trace(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  Trace trace{file.stem().string(), 0, 0, {}};
  std::unordered_map<std::string, KeyNumber> numbers;
  for (std::string word; in >> word;) {
    const auto [at, is_new] = numbers.try_emplace(word, trace.distinct);
    if (is_new) ++trace.distinct;
    trace.requests.push_back(at->second);
  }
  trace.capacity = std::max(authcache::shm::kCapacityMin, trace.distinct / kKeysPerRecord);
  return trace;
}

}  // namespace

std::vector<Trace> recorded_traces(const std::filesystem::path& directory,
                                   std::vector<std::string>& left_out) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".trace") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<Trace> traces;
  for (const auto& file : files) {
    Trace trace = read_trace(file);
    if (trace.distinct < 2 * authcache::shm::kCapacityMin) {
      left_out.push_back(trace.name);
    } else {
      traces.push_back(std::move(trace));
    }
  }
  return traces;
}

}  // namespace authcache_eviction
