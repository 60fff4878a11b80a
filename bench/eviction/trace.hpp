// A trace: which keys were asked for, in order, and how many records a cache has for it. Keys are numbered
// from 0 in the order of their first request, so that policies index arrays by them. Generated traces are the
// same on every machine for a seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace authcache_eviction {

using KeyNumber = std::uint32_t;

struct Trace {
  std::string name;
  std::uint64_t capacity = 0;
  KeyNumber distinct = 0;
  std::vector<KeyNumber> requests;
};

struct GeneratedSpec {
  std::uint64_t seed = 1;
  std::uint64_t capacity = 10'000;
  std::uint64_t requests = 1'000'000;
};

// Zipf at three skews, a scan, a loop, sessions that come and go.
[[nodiscard]] std::vector<Trace> generated_traces(const GeneratedSpec& spec);

// Every *.trace of a directory by name: one key a line, any word. A cache of a tenth of its distinct keys,
// but of the least that a table can have; a trace of fewer than twice that many keys is left out and named in
// `left_out`.
[[nodiscard]] std::vector<Trace> recorded_traces(const std::filesystem::path& directory,
                                                 std::vector<std::string>& left_out);

}  // namespace authcache_eviction
