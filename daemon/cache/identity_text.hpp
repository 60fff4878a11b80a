// An identity as the text that lies beside its record. False if it cannot be stored whole.
#pragma once

#include "daemon/base/proof.hpp"
#include "shm/text.hpp"

namespace authcached {

[[nodiscard]] inline bool build_text(const Identity& identity, authcache::shm::TextBuilder& text) {
  using Field = authcache::shm::TextField;
  bool whole = true;
  const auto add = [&](Field field, std::string_view value) {
    if (!value.empty()) whole = text.add(field, value) && whole;
  };
  if (identity.confirmation) {
    std::string bytes(1, static_cast<char>(identity.confirmation->kind));
    bytes.append(reinterpret_cast<const char*>(identity.confirmation->thumbprint.data()), identity.confirmation->thumbprint.size());
    add(Field::kConfirmation, bytes);
  }
  add(Field::kSubject, identity.subject);
  add(Field::kIssuer, identity.issuer);
  add(Field::kClientId, identity.client_id);
  add(Field::kSid, identity.sid);
  add(Field::kJti, identity.jti);
  for (const auto& scope : identity.scopes) add(Field::kScopes, scope);
  for (const auto& permission : identity.permissions) add(Field::kPermissions, permission);
  for (const auto& audience : identity.audience) add(Field::kAudience, audience);
  add(Field::kClaims, identity.claims_json);
  return whole;
}

}  // namespace authcached
