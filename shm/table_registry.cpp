// The numbers that records use instead of names: dictionary bits, issuer and key indices, epochs, profiles.
#include "shm/record_writer.hpp"
#include "shm/table_writer.hpp"

namespace authcache::shm {
namespace {

using A = StdAtomics;

bool is_free(const PrincipalEntry& entry) {
  return (A::load_relaxed(entry.id[0]) | A::load_relaxed(entry.id[1]) | A::load_relaxed(entry.id[2]) |
          A::load_relaxed(entry.id[3])) == 0;
}

void store_id(PrincipalEntry& entry, const PrincipalId& id) {
  for (std::size_t i = 0; i < id.size(); ++i) A::store_release(entry.id[i], id[i]);
}

}  // namespace

std::optional<std::uint32_t> TableWriter::intern(DictionaryKind kind, std::string_view text) {
  if (text.size() > kDictionaryTextMax) return std::nullopt;
  Header& header = view().header();
  const std::uint64_t word = A::load_relaxed(header.dictionary);
  if (const auto bit = find_bit(view(), word, kind, text)) return bit;
  DictionarySizes sizes = unpack_dictionary(word);
  const bool audience = kind == DictionaryKind::kAudience;
  std::uint32_t& used = audience ? sizes.audiences : sizes.grants;
  if (used == (audience ? kAudienceBits : kGrantBits)) return std::nullopt;
  const std::uint32_t bit = used++;
  write_entry(view(), kind, bit, text);
  A::store_release(header.dictionary, pack_dictionary(sizes));  // pairs with the reader's acquire: the entry is whole
  return bit;
}

std::uint64_t TableWriter::epoch() const { return A::load_relaxed(view().header().epoch_counter); }

void TableWriter::inherit(const TableWriter& old) {
  const auto copy = [](A::Word& to, const A::Word& from) { A::store_release(to, A::load_relaxed(from)); };
  for (std::uint32_t i = 0; i < kIssuersMax; ++i) {
    copy(view().issuer_epoch(i), old.view().issuer_epoch(i));
    for (std::size_t word = 0; word < 4; ++word) copy(view().issuer(i).id[word], old.view().issuer(i).id[word]);
  }
  for (std::uint32_t i = 0; i < kKeysMax; ++i) {
    copy(view().key_epoch(i), old.view().key_epoch(i));
    for (std::size_t word = 0; word < 4; ++word) copy(view().key(i).id[word], old.view().key(i).id[word]);
  }
  issuers_ = old.issuers_;
  keys_ = old.keys_;
  copy(view().header().epoch_counter, old.view().header().epoch_counter);
  copy(view().header().all_epoch, old.view().header().all_epoch);
  copy(view().header().durable_change, old.view().header().durable_change);
  copy(view().header().wall_offset_ns, old.view().header().wall_offset_ns);
  copy(view().header().boot_offset_ns, old.view().header().boot_offset_ns);
  set_profiles(read_profiles(old.view()));
  beat(A::load_relaxed(old.view().header().heartbeat_ns));
}

void TableWriter::advance_epoch(std::uint64_t at_least) {
  if (epoch() < at_least) A::store_release(view().header().epoch_counter, at_least);
}

void TableWriter::raise_all() { raise_epoch(view().header(), view().header().all_epoch); }

void TableWriter::raise_issuer(const PrincipalId& issuer) {
  const std::uint32_t index = issuer_index(issuer);
  raise_epoch(view().header(), view().issuer_epoch(index));
}

void TableWriter::raise_key(const PrincipalId& signing_key) {
  const std::uint32_t index = key_index(signing_key);
  raise_epoch(view().header(), view().key_epoch(index));
}

// When all indices are in use, the oldest is taken: raising its epoch first voids every record that it stood in.
std::uint32_t TableWriter::principal_index(PrincipalTable& table, const PrincipalId& id, std::uint32_t max, EpochAt epoch_at,
                                           EntryAt entry_at) {
  // The entry comes first: without memory for it nothing changes. An index in the file that this map does not know would
  // be taken for the name's own by the next daemon, and raised in place of the one that records stand under.
  const auto [entry, fresh] = table.index.try_emplace(id, 0);
  if (!fresh) return entry->second;
  std::uint32_t index = table.used;
  if (table.used < max) {
    ++table.used;
  } else {
    index = table.hand;
    table.hand = table.hand + 1 == max ? 1 : table.hand + 1;
    raise_epoch(view().header(), (view().*epoch_at)(index));
    std::erase_if(table.index, [&](const auto& known) { return known.second == index; });
  }
  entry->second = index;
  store_id((view().*entry_at)(index), id);
  return index;
}

std::uint32_t TableWriter::issuer_index(const PrincipalId& id) {
  return principal_index(issuers_, id, kIssuersMax, &TableView::issuer_epoch, &TableView::issuer);
}

std::uint32_t TableWriter::key_index(const PrincipalId& id) {
  return principal_index(keys_, id, kKeysMax, &TableView::key_epoch, &TableView::key);
}

void TableWriter::adopt_principals() {
  const auto load = [&](auto entry_at, std::uint32_t max, PrincipalTable& table) {
    for (std::uint32_t i = 1; i < max; ++i) {
      const PrincipalEntry& entry = entry_at(i);
      if (is_free(entry)) continue;
      table.index.emplace(load_principal(entry), i);
      table.used = i + 1;
    }
  };
  load([&](std::uint32_t i) -> const PrincipalEntry& { return view().issuer(i); }, kIssuersMax, issuers_);
  load([&](std::uint32_t i) -> const PrincipalEntry& { return view().key(i); }, kKeysMax, keys_);
}

void TableWriter::set_profiles(const std::vector<ProfileDescription>& profiles) {
  // Configured audiences come first into the dictionary, so that the checks made on every hit are bit tests.
  for (const ProfileDescription& profile : profiles) {
    for (const std::string& audience : profile.audience) (void)intern(DictionaryKind::kAudience, audience);
  }
  write_profiles(view(), profiles);
}

void TableWriter::set_profile_state(std::string_view name, ProfileState state) {
  const std::uint64_t config = A::load_relaxed(view().header().config);
  if (const auto found = find_profile(view(), config, name)) {
    A::store_release(view().profile(config, found->entry).state, static_cast<std::uint64_t>(state));
  }
}

}  // namespace authcache::shm
