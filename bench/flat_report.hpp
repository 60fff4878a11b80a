// The results of a program that measures by itself: a JSON object of number lists and texts, as bench/table
// reads it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace authcache_bench {

struct FlatReport {
  std::map<std::string, std::vector<double>> numbers;

  void add(const std::string& name, double value) { numbers[name].push_back(value); }
  void write(const std::string& file) const;
};

}  // namespace authcache_bench
