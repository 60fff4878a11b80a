#include "shm/terms.hpp"

#include <algorithm>
#include <bit>

#include "shm/dictionary.hpp"
#include "shm/profile_directory.hpp"

namespace authcache::shm {
namespace {

// Collects bits under one dictionary word.
struct BitCollector {
  const TableView& view;
  std::uint64_t dictionary;
  std::uint64_t bits = 0;
  bool without_bit = false;

  void add(DictionaryKind kind, std::string_view text) {
    if (const auto bit = find_bit(view, dictionary, kind, text)) {
      bits |= std::uint64_t{1} << *bit;
    } else {
      without_bit = true;
    }
  }
};

}  // namespace

PermissionBits permission_bits_of(const TableView& view, std::uint64_t dictionary,
                                  std::string_view permission) noexcept {
  PermissionBits bits;
  if (const auto bit = find_bit(view, dictionary, DictionaryKind::kPermission, permission))
    bits.exact = std::uint64_t{1} << *bit;
  bits.covering = covering_bits(view, dictionary, permission);
  return bits;
}

std::uint64_t PermissionBits::likeliest(const TableView& view) const {
  if (exact != 0 || covering == 0) return exact;
  std::uint64_t narrowest = 0;
  std::ptrdiff_t fewest = 0;
  for (std::uint64_t left = covering; left != 0; left &= left - 1) {
    const auto bit = static_cast<std::uint32_t>(std::countr_zero(left));
    char buffer[kDictionaryTextMax];
    const std::ptrdiff_t stars = std::ranges::count(grant_text(view, bit, buffer).text, '*');
    if (narrowest != 0 && stars >= fewest) continue;
    narrowest = std::uint64_t{1} << bit;
    fewest = stars;
  }
  return narrowest;
}

Terms compile_terms(const TableView& view, std::uint64_t config, std::uint64_t dictionary,
                    const AskedTexts& asked) noexcept {
  Terms terms;
  terms.config = config;
  terms.dictionary = dictionary;
  if (const auto profile = find_profile(view, config, asked.profile)) {
    terms.profile_known = true;
    terms.profile_id = profile->id;
    terms.profile_entry = static_cast<std::uint8_t>(profile->entry);
    terms.default_audiences = static_cast<std::uint8_t>(profile->audience_count);
  }
  BitCollector scopes{view, dictionary};
  for (const std::string& scope : asked.scopes) scopes.add(DictionaryKind::kScope, scope);
  BitCollector permissions{view, dictionary};
  for (const std::string& permission : asked.permissions) {
    const PermissionBits held_by = permission_bits_of(view, dictionary, permission);
    permissions.bits |= held_by.likeliest(view);
    if (held_by.any() == 0) permissions.without_bit = true;
    if (held_by.covering != 0) terms.permission_by_pattern = true;
  }
  BitCollector audiences{view, dictionary};
  for (const std::string& audience : asked.audiences) audiences.add(DictionaryKind::kAudience, audience);
  if (asked.audiences.empty()) {
    for (std::uint32_t i = 0; i < terms.default_audiences; ++i) {
      char buffer[256];
      audiences.add(DictionaryKind::kAudience,
                    profile_audience(view, config, terms.profile_entry, i, buffer));
    }
  }
  terms.scopes = scopes.bits;
  terms.scope_without_bit = scopes.without_bit;
  terms.permissions = permissions.bits;
  terms.permission_without_bit = permissions.without_bit;
  terms.audiences = static_cast<std::uint16_t>(audiences.bits);
  terms.audience_without_bit = audiences.without_bit;
  terms.audience_asked = !asked.audiences.empty() || terms.default_audiences > 0;
  return terms;
}

}  // namespace authcache::shm
