#include "shm/dictionary.hpp"

#include "shm/word_bytes.hpp"

namespace authcache::shm {
namespace {

constexpr std::size_t kHeadBytes = 2;  // kind, length
constexpr std::size_t kEntryWords = sizeof(DictionaryEntry) / 8;
static_assert(kHeadBytes + kDictionaryTextMax <= sizeof(DictionaryEntry));

std::uint32_t entry_index(bool audience, std::uint32_t bit) { return audience ? kGrantBits + bit : bit; }

}  // namespace

std::optional<std::uint32_t> find_bit(const TableView& view, std::uint64_t dictionary_word, DictionaryKind kind,
                                      std::string_view text) {
  if (text.size() > kDictionaryTextMax) return std::nullopt;
  const bool audience = kind == DictionaryKind::kAudience;
  const DictionarySizes sizes = unpack_dictionary(dictionary_word);
  for (std::uint32_t bit = 0; bit < (audience ? sizes.audiences : sizes.grants); ++bit) {
    char bytes[sizeof(DictionaryEntry)];
    load_bytes<StdAtomics>(view.dictionary(entry_index(audience, bit)).words, kHeadBytes + text.size(), bytes);
    if (bytes[0] == static_cast<char>(kind) && static_cast<std::uint8_t>(bytes[1]) == text.size() &&
        std::memcmp(bytes + kHeadBytes, text.data(), text.size()) == 0) {
      return bit;
    }
  }
  return std::nullopt;
}

DictionaryText dictionary_text(const TableView& view, bool audience, std::uint32_t bit) {
  char bytes[sizeof(DictionaryEntry)];
  load_bytes<StdAtomics>(view.dictionary(entry_index(audience, bit)).words, sizeof bytes, bytes);
  return {static_cast<DictionaryKind>(bytes[0]), std::string(bytes + kHeadBytes, static_cast<std::uint8_t>(bytes[1]))};
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
