#include "daemon/base/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace authcached {
namespace {

// The distance takes time in the product of both lengths; no known name is half as long as this.
constexpr std::size_t kNameBytesMax = 64;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

// Levenshtein distance, one row at a time.
std::size_t edits_between(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(left[i]) == lower(right[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> nearest_name(std::string_view name,
                                             std::span<const std::string_view> candidates) {
  if (name.size() > kNameBytesMax) return std::nullopt;
  std::optional<std::string_view> nearest;
  std::size_t fewest = kNameBytesMax;
  for (const std::string_view candidate : candidates) {
    const std::size_t edits = edits_between(name, candidate);
    if (edits < fewest && edits <= std::max<std::size_t>(1, candidate.size() / 3)) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace authcached
