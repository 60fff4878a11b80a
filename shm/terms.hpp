// What a requirement (profile, audiences, scopes, permissions) means in one table: the profile's id and the
// dictionary's bits. Compiled under one directory and one dictionary word, by which whoever keeps terms tells
// whether they still hold. Here, because two programs judge records by them: every process through the SDK,
// and the daemon in its HTTP face.
//
// Compiling allocates nothing and is bounded by the strings asked against the dictionary's 80 entries. Any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shm/table_view.hpp"

namespace authcache::shm {

// A requirement as one table understands it. Bits are those that `dictionary` counts:
// libclient/lookup_steps.hpp says when they may be used.
struct Terms {
  std::uint64_t attachment =
      0;  // names the table to whoever keeps the terms; with config and dictionary the tag
  std::uint64_t config = 0;
  std::uint64_t dictionary = 0;
  std::uint64_t profile_id = 0;
  std::uint64_t scopes = 0;
  std::uint64_t permissions = 0;
  std::uint16_t audiences = 0;
  std::uint8_t profile_entry = 0;
  std::uint8_t default_audiences = 0;  // how many the profile names
  bool profile_known = false;
  bool audience_asked = false;
  bool audience_without_bit = false;  // some asked string has no bit under `dictionary`
  bool scope_without_bit = false;
  bool permission_without_bit = false;
  // Some asked permission is covered by patterns too: `permissions` counts one way of holding it, and a record that lacks
  // those bits may hold it in another.
  bool permission_by_pattern = false;
};

// Terms as the words of one cache line. Here, and inline, because every hit reads them.
using TermsWords = std::array<std::uint64_t, 7>;

inline constexpr std::uint64_t kProfileKnown = 1;
inline constexpr std::uint64_t kAudienceAsked = 2;
inline constexpr std::uint64_t kAudienceWithoutBit = 4;
inline constexpr std::uint64_t kScopeWithoutBit = 8;
inline constexpr std::uint64_t kPermissionWithoutBit = 16;
inline constexpr std::uint64_t kPermissionByPattern = 32;

// audiences 16 | profile entry 8 | default audiences 8 | flags 32
inline std::uint64_t pack_small_terms(const Terms& terms) {
  const std::uint64_t flags = terms.profile_known * kProfileKnown | terms.audience_asked * kAudienceAsked |
                              terms.audience_without_bit * kAudienceWithoutBit |
                              terms.scope_without_bit * kScopeWithoutBit |
                              terms.permission_without_bit * kPermissionWithoutBit |
                              terms.permission_by_pattern * kPermissionByPattern;
  return std::uint64_t{terms.audiences} | std::uint64_t{terms.profile_entry} << 16 |
         std::uint64_t{terms.default_audiences} << 24 | flags << 32;
}

inline TermsWords pack_terms(const Terms& terms) {
  return {terms.attachment, terms.config,      terms.dictionary,       terms.profile_id,
          terms.scopes,     terms.permissions, pack_small_terms(terms)};
}

inline Terms unpack_terms(const TermsWords& words) {
  Terms terms;
  terms.attachment = words[0];
  terms.config = words[1];
  terms.dictionary = words[2];
  terms.profile_id = words[3];
  terms.scopes = words[4];
  terms.permissions = words[5];
  terms.audiences = static_cast<std::uint16_t>(words[6]);
  terms.profile_entry = static_cast<std::uint8_t>(words[6] >> 16);
  terms.default_audiences = static_cast<std::uint8_t>(words[6] >> 24);
  const std::uint64_t flags = words[6] >> 32;
  terms.profile_known = (flags & kProfileKnown) != 0;
  terms.audience_asked = (flags & kAudienceAsked) != 0;
  terms.audience_without_bit = (flags & kAudienceWithoutBit) != 0;
  terms.scope_without_bit = (flags & kScopeWithoutBit) != 0;
  terms.permission_without_bit = (flags & kPermissionWithoutBit) != 0;
  terms.permission_by_pattern = (flags & kPermissionByPattern) != 0;
  return terms;
}

// Terms left packed: a hit needs five of the words, and unpacking all of them costs more than the rest of its
// decisions.
struct PackedTerms {
  TermsWords words;

  [[nodiscard]] std::uint64_t dictionary() const { return words[2]; }
  [[nodiscard]] std::uint64_t profile_id() const { return words[3]; }
  [[nodiscard]] std::uint64_t grants() const { return words[4] | words[5]; }
  [[nodiscard]] std::uint64_t audiences() const { return words[6] & 0xffff; }
  [[nodiscard]] std::uint32_t profile_entry() const { return static_cast<std::uint8_t>(words[6] >> 16); }
  [[nodiscard]] std::uint64_t flags(std::uint64_t of) const { return words[6] >> 32 & of; }
  [[nodiscard]] bool has(std::uint64_t flag) const { return flags(flag) != 0; }
};

// The strings of a requirement.
struct AskedTexts {
  std::string_view profile{};
  std::span<const std::string> scopes{};
  std::span<const std::string> permissions{};
  std::span<const std::string> audiences{};  // none: the profile's own apply
};

// The bits by which a record may hold one permission under a dictionary word.
struct PermissionBits {
  std::uint64_t exact = 0;     // at most one
  std::uint64_t covering = 0;  // of patterns

  [[nodiscard]] std::uint64_t any() const { return exact | covering; }
  // The one to look at first. The daemon gives whoever holds a pattern also the bits of what it covers, as far as roles
  // name it; so the narrowest, which has the fewest stars, is held by the most.
  [[nodiscard]] std::uint64_t likeliest(const TableView& view) const;
};
[[nodiscard]] PermissionBits permission_bits_of(const TableView& view, std::uint64_t dictionary,
                                                std::string_view permission) noexcept;

// All but the attachment. Means something only if the header's config word is still this one afterwards.
[[nodiscard]] Terms compile_terms(const TableView& view, std::uint64_t config, std::uint64_t dictionary,
                                  const AskedTexts& asked) noexcept;

}  // namespace authcache::shm
