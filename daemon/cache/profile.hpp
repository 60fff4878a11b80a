// One profile at work: its configuration, its id and the upstream that proves its tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/upstream/upstream.hpp"

namespace authcached {

struct Profile {
  ProfileConfig config;
  std::uint64_t id = 0;
  std::shared_ptr<Upstream> upstream;
};

// Replaced as a whole by a reload; a flight keeps its own profile alive.
using Profiles = std::vector<std::shared_ptr<const Profile>>;

[[nodiscard]] inline std::shared_ptr<const Profile> profile_named(const Profiles& profiles, std::string_view name) {
  for (const auto& profile : profiles) {
    if (profile->config.name == name) return profile;
  }
  return nullptr;
}

}  // namespace authcached
