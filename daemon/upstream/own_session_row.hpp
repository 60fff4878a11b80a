// A row of the daemon's own session database, and what it proves. For upstream/own_sessions.cpp alone.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/base/sqlite.hpp"
#include "daemon/upstream/session_store.hpp"

namespace authcached {

#define SESSION_COLUMNS                                                                                   \
  "token_hash, subject, client_id, sid, scopes, roles, permissions, created_ns, expires_ns, revoked_ns, " \
  "last_seen_ns"
enum OwnSessionColumn : int {
  kTokenHash,
  kSubject,
  kClientId,
  kSid,
  kScopes,
  kRoles,
  kPermissions,
  kCreated,
  kExpires,
  kRevoked,
  kLastSeen,
  kProfile,  // from here on of the list of recent ones only
  kDigest,
  kId
};

// Nothing if the row is not one that we write: then it is damage, and no session lives by it.
[[nodiscard]] std::optional<SessionRow> read_row(const Statement& row);

// Nothing else than its end, its revocation and, with an idle_ns, the time that it was not used for ends a
// session.
[[nodiscard]] Proof proof_of(SessionRow session, std::int64_t wall_now_ns, std::int64_t idle_ns);

}  // namespace authcached
