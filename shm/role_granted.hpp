// What roles grant the holder of a record beside what its token says: in part in the record's bits, in part in its text.
// For whoever shows an identity; no verdict rests on it. Any thread; allocates nothing.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "shm/dictionary.hpp"
#include "shm/text.hpp"

namespace authcache::shm {

// Runs fn(std::string_view) for each permission and pattern; the view's bytes end with the call. `dictionary` must have been
// loaded after the record's words.
template <class Fn>
void each_role_grant(const TableView& view, std::uint64_t dictionary, std::uint64_t grants, std::string_view text, Fn fn) {
  for (std::uint64_t left = grants; left != 0; left &= left - 1) {
    char buffer[kDictionaryTextMax];
    const GrantText grant = grant_text(view, static_cast<std::uint32_t>(std::countr_zero(left)), buffer);
    const bool told = grant.kind == DictionaryKind::kPermission && text_holds(text, TextField::kPermissions, grant.text);
    if (grant.kind == DictionaryKind::kPattern || (grant.kind == DictionaryKind::kPermission && !told)) fn(grant.text);
  }
  TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field != TextField::kRoleGrant) continue;
    // It has no bit in some table; in this one it may have one, and then it was told above.
    const auto bit = [&](DictionaryKind kind) { return find_bit(view, dictionary, kind, item->value); };
    const auto own = bit(DictionaryKind::kPermission), pattern = bit(DictionaryKind::kPattern);
    const std::uint64_t mask = (own ? std::uint64_t{1} << *own : 0) | (pattern ? std::uint64_t{1} << *pattern : 0);
    if ((mask & grants) == 0) fn(item->value);
  }
}

}  // namespace authcache::shm
