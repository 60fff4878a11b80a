// A table image read by the letter of shm/FORMAT.md, slowly and on one thread, without the code that is under
// test: whether any answer `valid` could be right for it. Offsets are written out here a second time on
// purpose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/layout.hpp"

namespace authcache_fuzz {

struct Asked {
  std::string profile;
  std::string token;
  std::vector<std::string> scopes{};
  std::vector<std::string> permissions{};
  std::vector<std::string> audiences{};
  std::string confirmation{};  // kind byte and thumbprint; empty: none
};

class Image {
 public:
  Image(const std::byte* bytes, const authcache::shm::Geometry& geometry)
      : bytes_(bytes), geometry_(geometry) {}

  // True if some record, with everything around it, permits `valid` at some moment in [from_ns, to_ns].
  [[nodiscard]] bool permits_valid(const Asked& asked, std::uint64_t from_ns, std::uint64_t to_ns) const;

  [[nodiscard]] std::uint64_t word(std::uint64_t offset) const;

 private:
  struct Profile {
    std::uint64_t id = 0;
    bool current = false;
    std::vector<std::string> audiences{};
  };
  [[nodiscard]] std::optional<Profile> profile(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint32_t> bit(char kind, std::string_view text) const;
  [[nodiscard]] bool covered_by_bits(std::uint64_t grants, const std::string& permission) const;
  [[nodiscard]] std::optional<std::string> text(std::uint64_t slot) const;
  [[nodiscard]] bool slot_permits(std::uint64_t slot, const Asked& asked, const Profile& of) const;
  [[nodiscard]] std::string bytes(std::uint64_t offset, std::uint64_t size) const;

  const std::byte* bytes_;
  const authcache::shm::Geometry& geometry_;
};

}  // namespace authcache_fuzz
