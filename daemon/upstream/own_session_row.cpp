#include "daemon/upstream/own_session_row.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/roles.hpp"
#include "daemon/upstream/session_columns.hpp"
#include "daemon/upstream/session_values.hpp"

namespace authcached {

using authcache::shm::Reason;
using authcache::shm::Verdict;

namespace {

// A record vouches for so great a part of idle_timeout behind the last use that is known: hits that nobody
// hears of (of a reader that never met the daemon, or was left behind by a crash) then shorten a session by
// no more than that.
constexpr std::int64_t kUnseenShare = 4;

// A use that is said to be still to come is one of now: the clock was put back.
std::int64_t unused_for_ns(const SessionRow& session, std::int64_t wall_now_ns) {
  return wall_now_ns - std::min(std::max<std::int64_t>(session.last_seen_wall_ns, 0), wall_now_ns);
}

}  // namespace

std::optional<SessionRow> read_row(const Statement& row) {
  SessionRow session;
  const auto hash = row.blob(kTokenHash);
  auto scopes = session_list(row.text(kScopes));
  auto roles = session_list(row.text(kRoles));
  auto permissions = session_list(row.text(kPermissions));
  const bool sound = hash.size() == session.token_hash.size() && scopes && roles && permissions &&
                     !row.text(kSubject).empty() && row.type(kCreated) == ColumnType::kInteger &&
                     row.type(kExpires) == ColumnType::kInteger &&
                     row.type(kLastSeen) == ColumnType::kInteger;
  if (!sound) return std::nullopt;
  std::ranges::copy(hash, session.token_hash.begin());
  session.subject = row.text(kSubject);
  session.client_id = row.text(kClientId);
  session.sid = row.text(kSid);
  session.scopes = std::move(*scopes);
  session.roles = std::move(*roles);
  session.permissions = std::move(*permissions);
  session.created_wall_ns = row.integer(kCreated);
  session.expires_wall_ns = row.integer(kExpires);
  session.last_seen_wall_ns = row.integer(kLastSeen);
  if (row.type(kRevoked) != ColumnType::kNull) session.revoked_wall_ns = row.integer(kRevoked);
  return session;
}

Proof proof_of(SessionRow session, std::int64_t wall_now_ns, std::int64_t idle_ns) {
  if (session.revoked_wall_ns) return session_refusal(Reason::kRevoked);
  if (session.expires_wall_ns <= wall_now_ns) return session_refusal(Reason::kExpired);
  const std::int64_t unused_ns = unused_for_ns(session, wall_now_ns);
  if (idle_ns > 0 && unused_ns >= idle_ns) return session_refusal(Reason::kExpired);
  Proof proof;
  proof.verdict = Verdict::kValid;
  proof.reason = Reason::kNone;
  proof.identity.subject = std::move(session.subject);
  proof.identity.client_id = std::move(session.client_id);
  proof.identity.sid = std::move(session.sid);
  proof.identity.scopes = std::move(session.scopes);
  proof.identity.permissions = std::move(session.permissions);
  add_roles(session.roles, proof.identity.permissions);
  proof.issued_wall_ns = session.created_wall_ns;
  proof.expires_wall_ns = session.expires_wall_ns;
  if (idle_ns > 0) proof.keep_until_wall_ns = wall_now_ns - unused_ns + idle_ns / kUnseenShare;
  return proof;
}

}  // namespace authcached
