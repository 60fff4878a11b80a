#include "libclient/requirement.hpp"

#include <bit>
#include <cstring>

namespace authcache::client {
namespace {

using A = shm::StdAtomics;

}  // namespace

Requirement::Requirement(const authcache_client* client, std::string_view profile)
    : authcache_requirement{kPreparedKind, 0}, client_(client), profile_(profile) {}

bool Requirement::add(shm::DictionaryKind kind_of_text, std::string_view text) {
  const bool used = kept_.ever_stored();
  auto& list = kind_of_text == shm::DictionaryKind::kScope        ? scopes_
               : kind_of_text == shm::DictionaryKind::kPermission ? permissions_
                                                                  : audiences_;
  const std::size_t max = kind_of_text == shm::DictionaryKind::kScope        ? kAskedScopesMax
                          : kind_of_text == shm::DictionaryKind::kPermission ? kAskedPermissionsMax
                                                                             : kAskedAudiencesMax;
  if (used || text.empty() || text.size() > kAskedTextMax || list.size() == max) {
    poison();
    return false;
  }
  list.emplace_back(text);
  return true;
}

[[gnu::noinline]] Terms Requirement::compile(const Attachment& table, std::uint64_t config,
                                             std::uint64_t dictionary) const noexcept {
  const shm::TableView& view = table.view;
  Terms terms = shm::compile_terms(view, config, dictionary, {profile_, scopes_, permissions_, audiences_});
  terms.attachment = table.ordinal;
  // A directory that was replaced under these loads may have been read in part; its config word never comes
  // back, so keeping such terms would do no harm, but using the storage for them would cost the next caller a
  // compilation.
  if (A::load_acquire(view.header().config) == config) (void)kept_.try_store(pack_terms(terms));
  return terms;
}

PermissionPlaces Requirement::permission_places(const Attachment& table, std::uint64_t dictionary) const noexcept {
  PermissionPlaces places;
  decltype(places_)::Words words;
  if (places_.load(words) && words[0] == table.ordinal && words[1] == dictionary) {
    std::memcpy(places.data(), words.data() + 2, sizeof places);
    return places;
  }
  places.fill(kPlaceNone);
  for (std::size_t i = 0; i < permissions_.size(); ++i) {
    const shm::PermissionBits bits = shm::permission_bits_of(table.view, dictionary, permissions_[i]);
    const std::uint64_t likeliest = bits.likeliest(table.view);
    if (likeliest == 0) continue;
    places[i] = static_cast<std::uint8_t>(std::countr_zero(likeliest));
    if (bits.any() != likeliest) places[i] |= kPlacePatternsToo;
  }
  words[0] = table.ordinal;
  words[1] = dictionary;
  std::memcpy(words.data() + 2, places.data(), sizeof places);
  (void)places_.try_store(words);
  return places;
}

}  // namespace authcache::client
