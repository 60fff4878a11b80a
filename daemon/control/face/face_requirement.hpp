// What a proxy's configuration asks of each token, from the query of the URI that it calls:
// profile=NAME&scope=A&permission=B&audience=C, each but the profile as often as needed. All scopes and
// permissions must be held, one of the audiences named. A member that is not known is refused: a misspelt one
// that is ignored would let more tokens through. Loop thread only.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/result.hpp"
#include "shm/terms.hpp"

namespace authcached {

struct FaceRequirement {
  std::string profile;
  std::vector<std::string> scopes, permissions, audiences;
  std::string scope_text;  // the scopes as a challenge names them

  // What it means in one generation of the table, kept for the next request. Nothing else of a decision is
  // ever kept.
  mutable authcache::shm::Terms terms;  // attachment: the generation, 0 before the first use
};

[[nodiscard]] authcache::shm::Result<FaceRequirement> parse_requirement(std::string_view query);

// The requirements of the last queries. A proxy's configuration has few, and whoever sends many different
// ones only makes them be read again.
class FaceRequirements {
 public:
  [[nodiscard]] authcache::shm::Result<std::shared_ptr<const FaceRequirement>> of(std::string_view query);

 private:
  struct Entry {
    std::string query;
    std::shared_ptr<const FaceRequirement> requirement;
  };
  static constexpr std::size_t kEntries = 64;
  std::array<Entry, kEntries> entries_;
};

}  // namespace authcached
