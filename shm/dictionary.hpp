// The dictionary of scopes, permissions and audiences: what turns a requirement into a bit test. Append-only within a
// generation; the header's dictionary word, stored with release after an entry is written, says how many are in use.
// Reading: any thread. A bit means nothing without the {generation, dictionary word} that it was looked up under.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shm/table_view.hpp"

namespace authcache::shm {

enum class DictionaryKind : std::uint8_t {
  kScope = 1,
  kPermission = 2,
  kAudience = 3,
  kPattern = 4,  // of a role's definition (permission_pattern.hpp): its bit covers more permissions than one
};

// Scopes, permissions and patterns share the grant bits; audiences have their own.
struct DictionarySizes {
  std::uint32_t grants;
  std::uint32_t audiences;
};
constexpr DictionarySizes unpack_dictionary(std::uint64_t word) {
  const auto grants = static_cast<std::uint32_t>(word);
  const auto audiences = static_cast<std::uint32_t>(word >> 32);
  return {grants < kGrantBits ? grants : kGrantBits, audiences < kAudienceBits ? audiences : kAudienceBits};
}
constexpr std::uint64_t pack_dictionary(DictionarySizes sizes) {
  return sizes.grants | (std::uint64_t{sizes.audiences} << 32);
}

// The bit of this text among the entries that `dictionary_word` counts; empty if it has none.
[[nodiscard]] std::optional<std::uint32_t> find_bit(const TableView& view, std::uint64_t dictionary_word,
                                                    DictionaryKind kind, std::string_view text);

// The bits of all patterns among those entries that cover this permission.
[[nodiscard]] std::uint64_t covering_bits(const TableView& view, std::uint64_t dictionary_word, std::string_view permission);

// An entry in use, for tools.
struct DictionaryText {
  DictionaryKind kind;
  std::string text;
};
[[nodiscard]] DictionaryText dictionary_text(const TableView& view, bool audience, std::uint32_t bit);

// What a grant bit stands for, without allocation: the text lies in the buffer of kDictionaryTextMax bytes.
struct GrantText {
  DictionaryKind kind;
  std::string_view text;
};
[[nodiscard]] GrantText grant_text(const TableView& view, std::uint32_t bit, char* buffer) noexcept;

// Writes an entry. Writer thread only; the caller then stores the dictionary word.
void write_entry(const TableView& view, DictionaryKind kind, std::uint32_t bit, std::string_view text);

}  // namespace authcache::shm
