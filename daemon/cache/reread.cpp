#include "daemon/cache/reread.hpp"

#include <algorithm>

#include "shm/facts.hpp"
#include "shm/text.hpp"

namespace authcached {

namespace shm = authcache::shm;

void reread(const shm::TableView& view, const shm::HotRecord& hot, const shm::ColdRecord& cold, std::string_view text, Reread& out) {
  const shm::Facts facts = shm::unpack_facts(hot.facts);
  const shm::Principals principals = shm::unpack_principals(hot.principals);
  shm::TextBuilder builder(text.size());
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == shm::TextField::kRoleGrant) {
      out.told_grants.emplace_back(item->value);
      continue;
    }
    builder.add(item->field, item->value);
    if (item->field == shm::TextField::kScopes) out.scopes.emplace_back(item->value);
    if (item->field == shm::TextField::kPermissions) out.permissions.emplace_back(item->value);
    if (item->field == shm::TextField::kAudience) out.audience.emplace_back(item->value);
  }
  out.text = builder.bytes();
  out.spec = {.key = hot.key,
              .deadline = hot.deadline + view.tick_ns,
              .epoch = facts.epoch,
              .verdict = facts.verdict,
              .reason = facts.reason,
              .has_confirmation = (facts.flags & shm::kHasConfirmation) != 0,
              .is_jws = (facts.flags & shm::kIsJws) != 0,
              .issuer = {},
              .signing_key = {},
              .scopes = out.scopes,
              .permissions = out.permissions,
              .audience = out.audience,
              .text = {},
              .expires_wall_ns = cold.expires_wall_ns,
              .issued_wall_ns = cold.issued_wall_ns,
              .profile_id = cold.profile_id,
              .token = cold.token};
  if (principals.issuer != 0) out.spec.issuer = shm::load_principal(view.issuer(principals.issuer));
  if (principals.key != 0) out.spec.signing_key = shm::load_principal(view.key(principals.key));
}
std::optional<std::string> with_grants(std::string_view text, std::span<const std::string> grants, std::size_t bytes_max) {
  shm::TextBuilder added(bytes_max - std::min(text.size(), bytes_max));
  for (const std::string& grant : grants) {
    if (!added.add(shm::TextField::kRoleGrant, grant)) return std::nullopt;
  }
  std::string all(text);
  return all.append(added.bytes());
}

}  // namespace authcached
