#include "libclient/requirement.hpp"

#include "shm/profile_directory.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
// Collects bits under one dictionary word.
struct BitCollector {
  const shm::TableView& view;
  std::uint64_t dictionary;
  std::uint64_t bits = 0;
  bool without_bit = false;

  void add(shm::DictionaryKind kind, std::string_view text) {
    if (const auto bit = shm::find_bit(view, dictionary, kind, text)) {
      bits |= std::uint64_t{1} << *bit;
    } else {
      without_bit = true;
    }
  }
};

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
  Terms terms;
  terms.attachment = table.ordinal;
  terms.config = config;
  terms.dictionary = dictionary;
  if (const auto profile = shm::find_profile(view, config, profile_)) {
    terms.profile_known = true;
    terms.profile_id = profile->id;
    terms.profile_entry = static_cast<std::uint8_t>(profile->entry);
    terms.default_audiences = static_cast<std::uint8_t>(profile->audience_count);
  }
  BitCollector scopes{view, dictionary};
  for (const std::string& scope : scopes_) scopes.add(shm::DictionaryKind::kScope, scope);
  BitCollector permissions{view, dictionary};
  for (const std::string& permission : permissions_)
    permissions.add(shm::DictionaryKind::kPermission, permission);
  BitCollector audiences{view, dictionary};
  for (const std::string& audience : audiences_) audiences.add(shm::DictionaryKind::kAudience, audience);
  if (audiences_.empty()) {
    for (std::uint32_t i = 0; i < terms.default_audiences; ++i) {
      char buffer[256];
      audiences.add(shm::DictionaryKind::kAudience,
                    shm::profile_audience(view, config, terms.profile_entry, i, buffer));
    }
  }
  terms.scopes = scopes.bits;
  terms.scope_without_bit = scopes.without_bit;
  terms.permissions = permissions.bits;
  terms.permission_without_bit = permissions.without_bit;
  terms.audiences = static_cast<std::uint16_t>(audiences.bits);
  terms.audience_without_bit = audiences.without_bit;
  terms.audience_asked = !audiences_.empty() || terms.default_audiences > 0;
  // A directory that was replaced under these loads may have been read in part; its config word never comes
  // back, so keeping such terms would do no harm, but using the storage for them would cost the next caller a
  // compilation.
  if (A::load_acquire(view.header().config) == config) (void)kept_.try_store(pack_terms(terms));
  return terms;
}

}  // namespace authcache::client
