// The texts that did not fit beside their records: kept here, asked for over the miss socket. Bounded: the oldest go
// first, and whoever asks for one that went validates again. Loop thread only.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "shm/place.hpp"

namespace authcached {

class OversizeTexts {
 public:
  static constexpr std::size_t kTextMax = 64 * 1024;      // claims of the longest token, each stored twice
  static constexpr std::size_t kBytesMax = 64 << 20;      // a thousand of the largest; typical ones are far smaller
  static constexpr std::size_t kEntryBytes = 160;         // what keeping one costs besides: or small ones were unbounded

  void put(const authcache::shm::Place& place, std::string text);
  [[nodiscard]] std::string_view get(const authcache::shm::Place& place) const;  // empty if it is not here
  // The oldest go until no more than this is left.
  void shrink_to(std::size_t bytes);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  using Name = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
  std::map<Name, std::string> texts_;
  std::deque<Name> order_;
  std::size_t bytes_ = 0;
};

}  // namespace authcached
