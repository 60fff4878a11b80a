#include "shm/profile_directory.hpp"

#include <algorithm>

#include "shm/word_bytes.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;
constexpr std::size_t kAudienceWords = 32;
constexpr std::size_t kNameWords = 8;

std::size_t name_bytes(std::uint64_t sizes) { return std::min<std::size_t>(sizes & 0xff, kProfileNameMax); }
std::uint32_t audience_count(std::uint64_t sizes) {
  return std::min<std::uint32_t>((sizes >> 8) & 0xff, kProfileAudiencesMax);
}

// The configuration's limits are these; what does not fit would be written over the next entry.
bool fits(const ProfileDescription& profile) {
  return profile.name.size() <= kProfileNameMax && profile.audience.size() <= kProfileAudiencesMax &&
         std::ranges::all_of(profile.audience, [](const auto& text) { return text.size() <= kDictionaryTextMax; });
}

void write_profile_entry(ProfileEntry& entry, const ProfileDescription& profile) {
  A::store_release(entry.id, profile.id);
  A::store_release(entry.state, static_cast<std::uint64_t>(profile.state));
  A::store_release(entry.sizes, profile.name.size() | (std::uint64_t{profile.audience.size()} << 8));
  store_bytes<A>(entry.name, kNameWords, profile.name);
  for (std::size_t i = 0; i < profile.audience.size(); ++i) {
    std::string bytes(1, static_cast<char>(profile.audience[i].size()));
    bytes += profile.audience[i];
    store_bytes<A>(entry.audiences + i * kAudienceWords, kAudienceWords, bytes);
  }
}

}  // namespace

std::optional<ProfileFound> find_profile(const TableView& view, std::uint64_t config, std::string_view name) {
  for (std::uint32_t i = 0; i < kProfilesMax; ++i) {
    const ProfileEntry& entry = view.profile(config, i);
    const std::uint64_t id = A::load_acquire(entry.id);
    if (id == 0) return std::nullopt;
    const std::uint64_t sizes = A::load_acquire(entry.sizes);
    char bytes[kNameWords * 8];
    load_bytes<A>(entry.name, name_bytes(sizes), bytes);
    if (std::string_view(bytes, name_bytes(sizes)) == name) return ProfileFound{id, i, audience_count(sizes)};
  }
  return std::nullopt;
}

std::string_view profile_audience(const TableView& view, std::uint64_t config, std::uint32_t entry, std::uint32_t index,
                                  char (&buffer)[256]) {
  load_bytes<A>(view.profile(config, entry).audiences + index * kAudienceWords, sizeof buffer, buffer);
  return {buffer + 1, static_cast<std::uint8_t>(buffer[0])};
}

void write_profiles(const TableView& view, const std::vector<ProfileDescription>& profiles) {
  const std::uint64_t next = A::load_relaxed(view.header().config) + 1;
  std::uint32_t used = 0;
  for (const ProfileDescription& profile : profiles) {
    if (used < kProfilesMax && fits(profile)) write_profile_entry(view.profile(next, used++), profile);
  }
  for (; used < kProfilesMax; ++used) A::store_release(view.profile(next, used).id, 0);
  A::store_release(view.header().config, next);
}

std::vector<ProfileDescription> read_profiles(const TableView& view) {
  const std::uint64_t config = A::load_acquire(view.header().config);
  std::vector<ProfileDescription> profiles;
  for (std::uint32_t i = 0; i < kProfilesMax; ++i) {
    const ProfileEntry& entry = view.profile(config, i);
    if (A::load_acquire(entry.id) == 0) break;
    const std::uint64_t sizes = A::load_acquire(entry.sizes);
    char name[kNameWords * 8];
    load_bytes<A>(entry.name, name_bytes(sizes), name);
    ProfileDescription profile{std::string(name, name_bytes(sizes)), A::load_acquire(entry.id),
                               static_cast<ProfileState>(A::load_acquire(entry.state)), {}};
    for (std::uint32_t a = 0; a < audience_count(sizes); ++a) {
      char buffer[256];
      profile.audience.emplace_back(profile_audience(view, config, i, a, buffer));
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

}  // namespace authcache::shm
