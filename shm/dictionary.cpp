#include "shm/dictionary.hpp"

#include <algorithm>

#include "shm/permission_pattern.hpp"
#include "shm/word_bytes.hpp"

namespace authcache::shm {
namespace {

constexpr std::size_t kHeadBytes = 2;  // kind, length
constexpr std::size_t kEntryWords = sizeof(DictionaryEntry) / 8;
static_assert(kHeadBytes + kDictionaryTextMax <= sizeof(DictionaryEntry));

// The first word of an entry with this text, and which of its bits the text fixes. Of 64 entries nearly all differ in it
// already, and a record with many grants looks each of them up.
struct FirstWord {
  std::uint64_t value = 0;
  std::uint64_t mask = 0;

  FirstWord(DictionaryKind kind, std::string_view text) {
    char bytes[8] = {static_cast<char>(kind), static_cast<char>(text.size())};
    const std::size_t from_text = std::min(text.size(), sizeof bytes - kHeadBytes);
    std::memcpy(bytes + kHeadBytes, text.data(), from_text);
    std::memcpy(&value, bytes, sizeof value);
    const std::size_t bits = 8 * (kHeadBytes + from_text);
    mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  }
};

std::uint32_t entry_index(bool audience, std::uint32_t bit) { return audience ? kGrantBits + bit : bit; }

}  // namespace

std::optional<std::uint32_t> find_bit(const TableView& view, std::uint64_t dictionary_word, DictionaryKind kind,
                                      std::string_view text) {
  if (text.size() > kDictionaryTextMax) return std::nullopt;
  const bool audience = kind == DictionaryKind::kAudience;
  const DictionarySizes sizes = unpack_dictionary(dictionary_word);
  const FirstWord first(kind, text);
  for (std::uint32_t bit = 0; bit < (audience ? sizes.audiences : sizes.grants); ++bit) {
    const auto& words = view.dictionary(entry_index(audience, bit)).words;
    if ((StdAtomics::load_acquire(words[0]) & first.mask) != first.value) continue;
    char bytes[sizeof(DictionaryEntry)];
    load_bytes<StdAtomics>(words, kHeadBytes + text.size(), bytes);
    if (bytes[0] == static_cast<char>(kind) && static_cast<std::uint8_t>(bytes[1]) == text.size() &&
        std::memcmp(bytes + kHeadBytes, text.data(), text.size()) == 0) {
      return bit;
    }
  }
  return std::nullopt;
}

std::uint64_t covering_bits(const TableView& view, std::uint64_t dictionary_word, std::string_view permission) {
  std::uint64_t bits = 0;
  const std::uint32_t used = unpack_dictionary(dictionary_word).grants;
  for (std::uint32_t bit = 0; bit < used; ++bit) {
    char buffer[kDictionaryTextMax];
    const GrantText grant = grant_text(view, bit, buffer);
    if (grant.kind == DictionaryKind::kPattern && covers_permission(grant.text, permission)) bits |= std::uint64_t{1} << bit;
  }
  return bits;
}

DictionaryText dictionary_text(const TableView& view, bool audience, std::uint32_t bit) {
  char bytes[sizeof(DictionaryEntry)];
  load_bytes<StdAtomics>(view.dictionary(entry_index(audience, bit)).words, sizeof bytes, bytes);
  return {static_cast<DictionaryKind>(bytes[0]), std::string(bytes + kHeadBytes, static_cast<std::uint8_t>(bytes[1]))};
}

GrantText grant_text(const TableView& view, std::uint32_t bit, char* buffer) noexcept {
  char bytes[sizeof(DictionaryEntry)];
  load_bytes<StdAtomics>(view.dictionary(bit).words, sizeof bytes, bytes);
  const std::size_t length = std::min<std::size_t>(static_cast<std::uint8_t>(bytes[1]), kDictionaryTextMax);
  std::memcpy(buffer, bytes + kHeadBytes, length);
  return {static_cast<DictionaryKind>(bytes[0]), {buffer, length}};
}

void write_entry(const TableView& view, DictionaryKind kind, std::uint32_t bit, std::string_view text) {
  std::string bytes;
  bytes.push_back(static_cast<char>(kind));
  bytes.push_back(static_cast<char>(text.size()));
  bytes.append(text);
  const bool audience = kind == DictionaryKind::kAudience;
  store_bytes<StdAtomics>(view.dictionary(entry_index(audience, bit)).words, kEntryWords, bytes);
}

}  // namespace authcache::shm
