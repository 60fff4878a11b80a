#include "daemon/upstream/session_columns.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/roles.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;

namespace {

struct NamedColumn {
  std::string_view name;
  SessionColumn column;
  SessionColumnKind kind;
};

constexpr NamedColumn kColumns[] = {
    {"subject", SessionColumn::kSubject, SessionColumnKind::kText},
    {"client_id", SessionColumn::kClientId, SessionColumnKind::kText},
    {"sid", SessionColumn::kSid, SessionColumnKind::kText},
    {"jti", SessionColumn::kJti, SessionColumnKind::kText},
    {"issuer", SessionColumn::kIssuer, SessionColumnKind::kText},
    {"scopes", SessionColumn::kScopes, SessionColumnKind::kList},
    {"roles", SessionColumn::kRoles, SessionColumnKind::kList},
    {"permissions", SessionColumn::kPermissions, SessionColumnKind::kList},
    {"audience", SessionColumn::kAudience, SessionColumnKind::kList},
    {"created", SessionColumn::kCreated, SessionColumnKind::kTime},
    {"created_ns", SessionColumn::kCreatedNs, SessionColumnKind::kTimeNs},
    {"expires", SessionColumn::kExpires, SessionColumnKind::kTime},
    {"expires_ns", SessionColumn::kExpiresNs, SessionColumnKind::kTimeNs},
    {"revoked", SessionColumn::kRevoked, SessionColumnKind::kRevoked},
    {"token_key", SessionColumn::kTokenKey, SessionColumnKind::kKey},
};

bool read_texts(const SessionColumns& columns, const SessionValues& row, Identity& identity) {
  const std::pair<SessionColumn, std::string*> texts[] = {{SessionColumn::kSubject, &identity.subject},
                                                          {SessionColumn::kClientId, &identity.client_id},
                                                          {SessionColumn::kSid, &identity.sid},
                                                          {SessionColumn::kJti, &identity.jti},
                                                          {SessionColumn::kIssuer, &identity.issuer}};
  for (const auto& [column, text] : texts) {
    if (columns.place(column) < 0) continue;
    TextColumn read = row.text(columns.place(column));
    if (!read.sound) return false;
    *text = std::move(read.text);
  }
  std::vector<std::string> roles;
  const std::pair<SessionColumn, std::vector<std::string>*> lists[] = {
      {SessionColumn::kScopes, &identity.scopes},
      {SessionColumn::kPermissions, &identity.permissions},
      {SessionColumn::kAudience, &identity.audience},
      {SessionColumn::kRoles, &roles}};
  for (const auto& [column, list] : lists) {
    if (columns.place(column) < 0) continue;
    auto entries = row.list(columns.place(column));
    if (!entries) return false;
    *list = std::move(*entries);
  }
  add_roles(roles, identity.permissions);
  return !identity.subject.empty();
}

}  // namespace

SessionColumnKind kind_of(SessionColumn column) {
  return std::ranges::find(kColumns, column, &NamedColumn::column)->kind;
}

std::optional<SessionColumn> session_column(std::string_view name) {
  const auto* known = std::ranges::find(kColumns, name, &NamedColumn::name);
  return known == std::end(kColumns) ? std::nullopt : std::optional(known->column);
}

Result<SessionColumns> SessionColumns::of(std::span<const std::string_view> names) {
  SessionColumns columns;
  int at = 0;
  for (const std::string_view name : names) {
    const auto known = session_column(name);
    if (!known) {
      return fail(ErrorCode::kUsage, "the query returns a column \"" + std::string(name) +
                                         "\" of no known meaning; leave it out or name it with AS");
    }
    int& place = columns.places_[static_cast<std::size_t>(*known)];
    if (place >= 0)
      return fail(ErrorCode::kUsage, "the query returns the column \"" + std::string(name) + "\" twice");
    place = at++;
  }
  if (columns.place(SessionColumn::kSubject) < 0) {
    return fail(ErrorCode::kUsage, "the query returns no column \"subject\"; name one with AS subject");
  }
  for (const auto& [seconds, ns] : {std::pair{SessionColumn::kCreated, SessionColumn::kCreatedNs},
                                    std::pair{SessionColumn::kExpires, SessionColumn::kExpiresNs}}) {
    if (columns.place(seconds) >= 0 && columns.place(ns) >= 0) {
      return fail(ErrorCode::kUsage,
                  "the query returns one moment in seconds and in nanoseconds; keep one of them");
    }
  }
  return columns;
}

Proof session_refusal(Reason reason) {
  Proof proof;
  proof.verdict = Verdict::kInvalid;
  proof.reason = reason;
  return proof;
}

Proof judge_session(const SessionColumns& columns, const SessionValues& row, std::string_view key,
                    std::int64_t wall_now_ns) {
  if (const int at = columns.place(SessionColumn::kTokenKey); at >= 0 && !row.is_key(at, key))
    return session_refusal(Reason::kUnknown);
  if (const int at = columns.place(SessionColumn::kRevoked); at >= 0 && row.revoked(at))
    return session_refusal(Reason::kRevoked);
  Proof proof;  // kUnavailable, kUpstream
  const auto moment = [&](SessionColumn seconds, SessionColumn ns) -> TimeColumn {
    if (const int at = columns.place(ns); at >= 0) return row.time(at, TimeUnit::kNanoseconds);
    if (const int at = columns.place(seconds); at >= 0) return row.time(at, TimeUnit::kSeconds);
    return {true, std::nullopt};
  };
  const TimeColumn created = moment(SessionColumn::kCreated, SessionColumn::kCreatedNs);
  const TimeColumn expires = moment(SessionColumn::kExpires, SessionColumn::kExpiresNs);
  if (!created.sound || !expires.sound) return proof;
  if (expires.wall_ns && *expires.wall_ns <= wall_now_ns) return session_refusal(Reason::kExpired);
  if (!read_texts(columns, row, proof.identity)) return Proof();
  proof.verdict = Verdict::kValid;
  proof.reason = Reason::kNone;
  proof.issued_wall_ns = created.wall_ns;
  proof.expires_wall_ns = expires.wall_ns;
  return proof;
}

}  // namespace authcached
