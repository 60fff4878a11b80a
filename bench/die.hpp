// How a benchmark gives up: one sentence, exit 1. A benchmark that cannot measure must not print a number.
#pragma once

#include <cstdlib>
#include <iostream>
#include <string>

namespace authcache_bench {

[[noreturn]] inline void die(const std::string& sentence) {
  std::cerr << "bench: " << sentence << '\n';
  std::exit(1);
}

}  // namespace authcache_bench
