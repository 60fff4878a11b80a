// The keys of a profile that say how its database tells of changes, and what must hold among them. Internal
// to the configuration's parser; one thread at a time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/config_reader.hpp"

namespace authcached {

// Those that mean something only where changes are heard.
inline constexpr std::array<std::string_view, 2> kChangesKeys{"changes_max_lag", "changes_lost"};
inline constexpr std::array<std::string_view, 1> kListenKeys{"changes_table"};

void read_changes(KeyReader& key, ProfileConfig& profile);
void read_changes_lost(KeyReader& key, ProfileConfig& profile);
void read_changes_table(KeyReader& key, ProfileConfig& profile);

struct ChangesFault {
  std::string what, remedy;
};
// Nothing, or what is wrong with changes = "listen" in this profile of a PostgreSQL database.
[[nodiscard]] std::optional<ChangesFault> listen_fault(const ProfileConfig& profile);

}  // namespace authcached
