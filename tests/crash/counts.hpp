// How long a suite runs and by which seed: short by itself, long where the environment says so. Both are
// printed, so that a failing run can be made again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <string_view>

namespace crash {

[[nodiscard]] inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::stoull(text);
}

[[nodiscard]] inline std::uint64_t announced_seed(std::string_view what, std::uint64_t count) {
  const std::uint64_t seed = number_from_environment("AUTHCACHE_SEED", std::random_device{}());
  std::cout << what << ": " << count << " (AUTHCACHE_SEED=" << seed << ")\n";
  return seed;
}

}  // namespace crash
