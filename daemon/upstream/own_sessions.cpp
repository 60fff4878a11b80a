#include "daemon/upstream/own_sessions.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "daemon/base/random.hpp"
#include "daemon/base/sha256.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/upstream/own_session_row.hpp"
#include "daemon/upstream/own_sessions_schema.hpp"
#include "daemon/upstream/session_columns.hpp"
#include "daemon/upstream/session_values.hpp"
#include "shm/digest.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;

namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kSidBytes = 16;
constexpr std::size_t kSubjectBytesMax = 1'024;
constexpr std::size_t kGrantBytesMax = 256;  // one scope, role or permission
constexpr std::size_t kGrantsMax = 256;      // as many as a row is read with

// Parameters of the insertion that follow those of the columns up to kExpires.
constexpr int kInsertProfile = 1 + kRevoked;
constexpr int kInsertDigest = kInsertProfile + 1;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// RFC 6749's scope-token: no blank, no quote, no backslash. Roles and permissions follow it, as all are kept
// alike.
bool is_grant(std::string_view text) {
  return !text.empty() && text.size() <= kGrantBytesMax && std::ranges::all_of(text, [](unsigned char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

std::optional<std::string> fault_of(const SessionSpec& spec, std::uint32_t count) {
  if (count == 0 || count > kSessionsPerCreateMax) {
    return "between 1 and " + std::to_string(kSessionsPerCreateMax) + " sessions can be created at once";
  }
  if (spec.subject.empty() || spec.subject.size() > kSubjectBytesMax || !printable(spec.subject)) {
    return "a session needs a subject of at most " + std::to_string(kSubjectBytesMax) + " printable bytes";
  }
  if (spec.client_id.size() > kSubjectBytesMax || !printable(spec.client_id)) {
    return "the client id is longer than " + std::to_string(kSubjectBytesMax) + " bytes or not printable";
  }
  if (spec.created_wall_ns < 0 || spec.expires_wall_ns <= spec.created_wall_ns) {
    return "the session would end before it begins";
  }
  for (const auto* list : {&spec.scopes, &spec.roles, &spec.permissions}) {
    if (list->size() > kGrantsMax)
      return "a session holds at most " + std::to_string(kGrantsMax) + " of each grant";
    if (!std::ranges::all_of(*list, is_grant)) {
      return "a scope, role or permission is empty, too long, or has a blank, a quote or a backslash";
    }
    // As a list that begins with a bracket would be read as JSON.
    if (joined(*list).size() > kSessionTextBytesMax || (!list->empty() && list->front().starts_with('['))) {
      return "the scopes, roles or permissions are too long together, or begin with a bracket";
    }
  }
  return std::nullopt;
}

struct Secret {
  std::array<std::uint8_t, kTokenBytes + kSidBytes> bytes{};
  ~Secret() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  [[nodiscard]] std::string_view part(std::size_t at, std::size_t count) const {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).substr(at, count);
  }
};

struct Names {
  std::string token;
  std::string sid;
};

// A sid is a name, not a secret: it begins with the second of its creation, so that new ones stand together in their
// index, and 96 random bits make it one of a kind. 31 bits of the second keep it from beginning with a '-', which a
// command line takes for an option.
Result<Names> draw_names(std::int64_t created_wall_ns) {
  Secret secret;
  if (Result<void> filled = fill_random(secret.bytes); !filled) return std::unexpected(std::move(filled.error()));
  const auto second = static_cast<std::uint32_t>(created_wall_ns / 1'000'000'000) & 0x7fff'ffffU;
  for (std::size_t i = 0; i < sizeof second; ++i) {
    secret.bytes[kTokenBytes + i] = static_cast<std::uint8_t>(second >> (24 - 8 * i));
  }
  return Names{base64url_encode(secret.part(0, kTokenBytes)), base64url_encode(secret.part(kTokenBytes, kSidBytes))};
}

}  // namespace

Result<OwnSessions> OwnSessions::open(const std::filesystem::path& file, const ProfileConfig& profile) {
  Result<OwnedDatabase> owned = open_owned(file, kSessionSchema);
  if (!owned) return fail(owned.error().code, file.string() + ": " + owned.error().message);
  Database& database = owned->database;
  if (Result<void> set = database.execute(kSessionTuning); !set) return std::unexpected(std::move(set.error()));
  const char* const texts[] = {"SELECT " SESSION_COLUMNS " FROM sessions WHERE token_hash = ?1",
                               "INSERT INTO sessions(" SESSION_COLUMNS
                               ", profile, digest)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, ?8, ?10, ?11)",
                               "SELECT " SESSION_COLUMNS " FROM sessions ORDER BY id DESC LIMIT ?1",
                               "SELECT " SESSION_COLUMNS
                               " FROM sessions WHERE subject = ?2 ORDER BY id DESC LIMIT ?1",
                               "SELECT " SESSION_COLUMNS " FROM sessions WHERE sid = ?1",
                               "UPDATE sessions SET revoked_ns = ?2 WHERE sid = ?1 AND revoked_ns IS NULL",
                               "SELECT " SESSION_COLUMNS
                               ", profile, digest, id FROM sessions WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                               "SELECT " SESSION_COLUMNS " FROM sessions WHERE token_hash BETWEEN ?1 AND ?2",
                               // Only onward, and never what was over by then.
                               "UPDATE sessions SET last_seen_ns = ?3 WHERE token_hash BETWEEN ?1 AND ?2"
                               " AND last_seen_ns < ?3 AND last_seen_ns > ?3 - ?4 AND expires_ns > ?3"
                               " AND revoked_ns IS NULL"};
  std::vector<Statement> made;
  for (const char* text : texts) {
    Result<Statement> statement = database.prepare(text);
    if (!statement) return fail(ErrorCode::kCorrupt, file.string() + ": " + statement.error().message);
    made.push_back(std::move(*statement));
  }
  return OwnSessions(std::move(database),
                     Statements{std::move(made[0]), std::move(made[1]), std::move(made[2]),
                                std::move(made[3]), std::move(made[4]), std::move(made[5]), std::move(made[6]), std::move(made[7]),
                                std::move(made[8])},
                     profile.id(), std::chrono::nanoseconds(profile.idle_timeout).count());
}

Proof OwnSessions::find(std::string_view token, std::int64_t wall_now_ns) {
  const Sha256 hash = sha256(token);
  Statement& find = statements_.find;
  find.bind_blob(1, hash);
  const Result<bool> row = find.step();
  Proof proof;  // kUnavailable, kUpstream
  if (row && !*row) {
    proof = session_refusal(Reason::kUnknown);
  } else if (row) {
    if (auto session = read_row(find)) {
      if (idle_ns_ > 0) note_use(*session, wall_now_ns);
      proof = proof_of(std::move(*session), wall_now_ns, idle_ns_);
    }
  }
  failure_code_ = find.last_code();
  find.reset();
  return proof;
}

Result<std::vector<NewSession>> OwnSessions::insert(const SessionOrder& order) {
  const auto& [spec, count] = order;
  const std::string scopes = joined(spec.scopes), roles = joined(spec.roles),
                    permissions = joined(spec.permissions);
  std::vector<NewSession> made;
  made.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Result<Names> names = draw_names(spec.created_wall_ns);
    if (!names) return std::unexpected(std::move(names.error()));
    auto& [token, sid] = *names;
    const Sha256 hash = sha256(token);
    Statement& insert = statements_.insert;
    insert.bind_blob(1 + kTokenHash, hash);
    insert.bind_text(1 + kSubject, spec.subject);
    insert.bind_text(1 + kClientId, spec.client_id);
    insert.bind_text(1 + kSid, sid);
    insert.bind_text(1 + kScopes, scopes);
    insert.bind_text(1 + kRoles, roles);
    insert.bind_text(1 + kPermissions, permissions);
    insert.bind(1 + kCreated, spec.created_wall_ns);
    insert.bind(1 + kExpires, spec.expires_wall_ns);
    insert.bind(kInsertProfile, static_cast<std::int64_t>(profile_));
    insert.bind_blob(kInsertDigest, authcache::shm::token_digest(profile_, token));
    if (Result<void> inserted = insert.run(); !inserted) return std::unexpected(std::move(inserted.error()));
    SessionRow row{sid,
                   spec.subject,
                   spec.client_id,
                   spec.scopes,
                   spec.roles,
                   spec.permissions,
                   spec.created_wall_ns,
                   spec.expires_wall_ns,
                   spec.created_wall_ns,
                   std::nullopt,
                   hash};
    made.push_back({std::move(token), std::move(sid), proof_of(std::move(row), spec.created_wall_ns, idle_ns_)});
  }
  return made;
}

std::vector<Result<std::vector<NewSession>>> OwnSessions::create(std::span<const SessionOrder> orders) {
  using Made = Result<std::vector<NewSession>>;
  std::vector<Made> made;
  made.reserve(orders.size());
  for (const SessionOrder& order : orders) {
    auto fault = fault_of(order.spec, order.count);
    made.push_back(fault ? Made(fail(ErrorCode::kUsage, std::move(*fault))) : Made());
  }
  // What fails from here on is the database, and nothing of the transaction is there then.
  const auto refuse_all = [&made](const authcache::shm::Error& error) {
    for (Made& one : made) {
      if (one) one = std::unexpected(error);
    }
    return std::move(made);
  };
  if (std::ranges::none_of(made, &Made::has_value)) return made;
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return refuse_all(transaction.error());
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!made[i]) continue;
    made[i] = insert(orders[i]);
    if (!made[i]) return refuse_all(made[i].error());
  }
  if (Result<void> done = commit_in_place(database_, *transaction); !done) return refuse_all(done.error());
  return made;
}

// So many rows are looked at, good ones or not, so that a slice never holds the thread for long.
Result<RecentSessions> OwnSessions::recent(const RecentQuery& query, std::int64_t wall_now_ns) {
  Statement& recent = statements_.recent;
  recent.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(query.before, INT64_MAX)));
  recent.bind(2, static_cast<std::int64_t>(query.at_most));
  RecentSessions found;
  for (std::size_t rows = 0;; ++rows) {
    const Result<bool> row = recent.step();
    if (!row || !*row) {
      recent.reset();
      if (!row) return std::unexpected(row.error());
      if (rows < query.at_most) found.before = 0;
      return found;
    }
    const bool ours = recent.type(kProfile) == ColumnType::kInteger &&
                      static_cast<std::uint64_t>(recent.integer(kProfile)) == profile_;
    const auto digest = recent.blob(kDigest);
    found.before = static_cast<std::uint64_t>(recent.integer(kId));
    auto session = read_row(recent);
    if (session && session->created_wall_ns < query.created_from_wall_ns) {  // as are all that follow
      recent.reset();
      found.before = 0;
      return found;
    }
    if (!session || !ours || digest.size() != sizeof(authcache::shm::Digest)) continue;  // damage makes no record
    NamedSession named;
    std::ranges::copy(digest, named.digest.begin());
    named.token = session->token_hash;
    named.proof = proof_of(std::move(*session), wall_now_ns, idle_ns_);
    const bool rests = named.proof.keep_until_wall_ns && *named.proof.keep_until_wall_ns <= wall_now_ns;
    if (named.proof.verdict == Verdict::kValid && !rests) found.sessions.push_back(std::move(named));
  }
}

// Whoever presents a token uses its session: at once for what is answered, and soon in the database.
void OwnSessions::note_use(SessionRow& session, std::int64_t wall_now_ns) {
  const auto noted = unwritten_.find(session.token_hash);
  if (noted != unwritten_.end()) session.last_seen_wall_ns = std::max(session.last_seen_wall_ns, noted->second);
  const bool over = proof_of(session, wall_now_ns, idle_ns_).verdict != Verdict::kValid;
  if (over || session.last_seen_wall_ns >= wall_now_ns) return;
  if (noted != unwritten_.end()) {
    noted->second = wall_now_ns;
  } else if (unwritten_.size() < kUnwrittenMax) {
    unwritten_.emplace(session.token_hash, wall_now_ns);
  } else {
    return;  // what cannot be remembered did not happen: the session ends early, not late
  }
  session.last_seen_wall_ns = wall_now_ns;
}

Result<void> OwnSessions::write_use(const Sha256& from, const Sha256& to, std::int64_t seen_wall_ns) {
  Statement& seen = statements_.mark_seen;
  seen.bind_blob(1, from);
  seen.bind_blob(2, to);
  seen.bind(3, seen_wall_ns);
  seen.bind(4, idle_ns_);
  return seen.run();
}

Result<std::vector<Proof>> OwnSessions::write_uses(std::span<const SessionUse> uses, std::int64_t wall_now_ns) {
  if (uses.empty() && unwritten_.empty()) return {};
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  for (const auto& [hash, seen_wall_ns] : unwritten_) {
    if (Result<void> done = write_use(hash, hash, std::min(seen_wall_ns, wall_now_ns)); !done)
      return std::unexpected(std::move(done.error()));
  }
  std::vector<Proof> proofs(uses.size());  // kUnavailable, kUpstream
  for (std::size_t i = 0; i < uses.size(); ++i) {
    // A record knows the first bytes of the hash only, enough for no two to share them.
    Sha256 from{}, to;
    to.fill(0xff);
    for (Sha256* end : {&from, &to}) std::memcpy(end->data(), uses[i].token.data(), sizeof uses[i].token);
    if (Result<void> done = write_use(from, to, std::min(uses[i].seen_wall_ns, wall_now_ns)); !done)
      return std::unexpected(std::move(done.error()));
    Statement& find = statements_.by_hash_range;
    find.bind_blob(1, from);
    find.bind_blob(2, to);
    const Result<bool> row = find.step();
    auto session = row && *row ? read_row(find) : std::nullopt;
    find.reset();
    if (!row) return std::unexpected(row.error());
    if (!*row) proofs[i] = session_refusal(Reason::kUnknown);
    if (session) proofs[i] = proof_of(std::move(*session), wall_now_ns, idle_ns_);
  }
  if (Result<void> done = commit_in_place(database_, *transaction); !done)
    return std::unexpected(std::move(done.error()));
  unwritten_.clear();
  return proofs;
}

Result<std::vector<SessionRow>> OwnSessions::list(std::string_view subject, std::uint32_t limit) {
  Statement& list = subject.empty() ? statements_.list_all : statements_.list_subject;
  list.bind(1, std::min(limit, kSessionsPerListMax));
  if (!subject.empty()) list.bind_text(2, subject);
  std::vector<SessionRow> rows;
  for (;;) {
    const Result<bool> row = list.step();
    auto session = row && *row ? read_row(list) : std::nullopt;
    if (!session) {
      list.reset();
      if (!row) return std::unexpected(row.error());
      if (*row) return fail(ErrorCode::kCorrupt, "the session database holds a row that we never wrote");
      return rows;
    }
    rows.push_back(std::move(*session));
  }
}

Result<SessionRow> OwnSessions::revoke(std::string_view sid, std::int64_t wall_now_ns) {
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  statements_.mark_revoked.bind_text(1, sid);
  statements_.mark_revoked.bind(2, wall_now_ns);
  if (Result<void> marked = statements_.mark_revoked.run(); !marked)
    return std::unexpected(std::move(marked.error()));
  Statement& by_sid = statements_.by_sid;
  by_sid.bind_text(1, sid);
  const Result<bool> row = by_sid.step();
  auto session = row && *row ? read_row(by_sid) : std::nullopt;
  by_sid.reset();
  if (!row) return std::unexpected(row.error());
  if (!*row) return fail(ErrorCode::kNotFound, "there is no session of this sid");
  if (!session) return fail(ErrorCode::kCorrupt, "the session database holds a row that we never wrote");
  if (Result<void> done = commit_in_place(database_, *transaction); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return std::move(*session);
}

}  // namespace authcached
