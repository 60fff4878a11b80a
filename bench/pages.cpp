#include "bench/pages.hpp"

#include <fstream>
#include <string>

namespace authcache_bench {

std::uint64_t huge_kib_mapped() {
  std::ifstream smaps("/proc/self/smaps");
  std::uint64_t total = 0;
  for (std::string line; std::getline(smaps, line);) {
    if (line.starts_with("ShmemPmdMapped:"))
      total += std::stoull(line.substr(line.find_first_of("0123456789")));
  }
  return total;
}

}  // namespace authcache_bench
