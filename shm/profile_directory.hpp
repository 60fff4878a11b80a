// The profiles as clients see them: name, id, state and default audience. Two copies lie in the file; the header's
// config word says which one is current (its parity) and rises with every change, so a reader that finds the same
// word before and after its loads read one directory, whole. Writing: the writer thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/table_view.hpp"

namespace authcache::shm {

struct ProfileDescription {
  std::string name;
  std::uint64_t id = 0;
  ProfileState state = ProfileState::kCurrent;
  std::vector<std::string> audience;
};

struct ProfileFound {
  std::uint64_t id = 0;
  std::uint32_t entry = 0;
  std::uint32_t audience_count = 0;
};

// Looks a name up in the directory of `config`. Allocates nothing. The caller compares the config word afterwards.
[[nodiscard]] std::optional<ProfileFound> find_profile(const TableView& view, std::uint64_t config, std::string_view name);

// One default audience of an entry, into a buffer of 256 bytes.
[[nodiscard]] std::string_view profile_audience(const TableView& view, std::uint64_t config, std::uint32_t entry,
                                                std::uint32_t index, char (&buffer)[256]);

// Fills the copy that is not current and makes it current by one store. A profile beyond the limits is left out, so
// that clients find it unknown.
void write_profiles(const TableView& view, const std::vector<ProfileDescription>& profiles);

// For tools and adoption.
[[nodiscard]] std::vector<ProfileDescription> read_profiles(const TableView& view);

}  // namespace authcache::shm
