#include "daemon/upstream/foreign_sessions.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "daemon/base/sha256.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/upstream/session_values.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;

namespace {

using Column = ForeignSessions::Column;

constexpr std::pair<std::string_view, Column> kColumnNames[] = {
    {"subject", Column::kSubject},
    {"client_id", Column::kClientId},
    {"sid", Column::kSid},
    {"jti", Column::kJti},
    {"issuer", Column::kIssuer},
    {"scopes", Column::kScopes},
    {"roles", Column::kRoles},
    {"permissions", Column::kPermissions},
    {"audience", Column::kAudience},
    {"created", Column::kCreated},
    {"created_ns", Column::kCreatedNs},
    {"expires", Column::kExpires},
    {"expires_ns", Column::kExpiresNs},
    {"revoked", Column::kRevoked},
    {"token_key", Column::kTokenKey},
};

// Enough for the keys and rows of a hundred thousand sessions; the kernel caches the rest.
constexpr const char* kCachePragma = "PRAGMA cache_size = -65536; PRAGMA query_only = ON";

std::size_t place_of(Column column) { return static_cast<std::size_t>(column); }

Result<ForeignSessions::Columns> columns_of(const Statement& select) {
  ForeignSessions::Columns columns;
  columns.fill(-1);
  for (int i = 0; i < select.columns(); ++i) {
    const std::string_view name = select.column_name(i);
    const auto* known = std::ranges::find(kColumnNames, name, &std::pair<std::string_view, Column>::first);
    if (known == std::end(kColumnNames)) {
      return fail(ErrorCode::kUsage, "the query returns a column \"" + std::string(name) +
                                         "\" of no known meaning; leave it out or name it with AS");
    }
    int& place = columns[place_of(known->second)];
    if (place >= 0)
      return fail(ErrorCode::kUsage, "the query returns the column \"" + std::string(name) + "\" twice");
    place = i;
  }
  if (columns[place_of(Column::kSubject)] < 0) {
    return fail(ErrorCode::kUsage, "the query returns no column \"subject\"; name one with AS subject");
  }
  for (const auto& [seconds, ns] :
       {std::pair{Column::kCreated, Column::kCreatedNs}, std::pair{Column::kExpires, Column::kExpiresNs}}) {
    if (columns[place_of(seconds)] >= 0 && columns[place_of(ns)] >= 0) {
      return fail(ErrorCode::kUsage,
                  "the query returns one moment in seconds and in nanoseconds; keep one of them");
    }
  }
  return columns;
}

Result<void> check_shape(const Statement& select) {
  if (!select.read_only() || select.explains() || select.columns() == 0) {
    return fail(ErrorCode::kUsage, "the query is not a SELECT that only reads");
  }
  if (select.parameters() != 1) {
    return fail(ErrorCode::kUsage, "the query has " + std::to_string(select.parameters()) +
                                       " parameters; it needs exactly one, ?1 or :token_key");
  }
  const std::string_view name = select.parameter_name(1);
  if (name != "?1" && name != ":token_key") {
    return fail(ErrorCode::kUsage, "the query's parameter is not ?1 or :token_key");
  }
  return {};
}

std::string hex_of(const Sha256& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string key_of(std::string_view token, KeyEncoding encoding) {
  if (encoding == KeyEncoding::kRaw) return std::string(token);
  const Sha256 digest = sha256(token);
  if (encoding == KeyEncoding::kHexSha256) return hex_of(digest);
  std::string bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  return encoding == KeyEncoding::kBase64urlSha256 ? base64url_encode(bytes) : bytes;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Proof refusal(Reason reason) {
  Proof proof;
  proof.verdict = Verdict::kInvalid;
  proof.reason = reason;
  return proof;
}

}  // namespace

Result<ForeignSessions> ForeignSessions::open(const ProfileConfig& profile) {
  const std::string file = profile.database.string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(profile.database, error)) {
    return fail(ErrorCode::kNotFound, "the session database " + file + " is not there; check `database`");
  }
  Result<Database> database = Database::open(profile.database, Database::Access::kReadOnly);
  if (!database) return std::unexpected(std::move(database.error()));
  if (Result<void> set = database->execute(kCachePragma); !set)
    return std::unexpected(std::move(set.error()));
  database->permit_reads_only();
  Result<Statement> select = database->prepare(profile.query);
  if (!select) return fail(select.error().code, file + ": " + select.error().message);
  if (Result<void> shape = check_shape(*select); !shape) return std::unexpected(std::move(shape.error()));
  const Result<Columns> columns = columns_of(*select);
  if (!columns) return std::unexpected(columns.error());
  return ForeignSessions(std::move(*database), std::move(*select), profile.key_encoding, *columns);
}

bool ForeignSessions::columns_still_fit() {
  const int now = select_.recompilations();
  if (now == recompilations_) return true;
  const Result<Columns> columns = columns_of(select_);
  if (!columns) return false;
  columns_ = *columns;
  recompilations_ = now;
  return true;
}

Proof ForeignSessions::find(std::string_view token, std::int64_t wall_now_ns) {
  const std::string key = key_of(token, encoding_);
  if (encoding_ == KeyEncoding::kSha256) {
    select_.bind_blob(1, bytes_of(key));
  } else {
    select_.bind_text(1, key);
  }
  Proof proof;  // kUnavailable, kUpstream
  Result<bool> row = select_.step();
  if (row && !*row) {
    proof = refusal(Reason::kUnknown);
  } else if (row && columns_still_fit()) {
    Proof found = read_row(key, wall_now_ns);
    row = select_.step();
    // A second row would leave open whose session it is.
    if (row && !*row) proof = std::move(found);
  }
  failure_code_ = select_.last_code();
  select_.reset();
  return proof;
}

bool ForeignSessions::read_texts(Identity& identity) const {
  const std::pair<Column, std::string*> texts[] = {{Column::kSubject, &identity.subject},
                                                   {Column::kClientId, &identity.client_id},
                                                   {Column::kSid, &identity.sid},
                                                   {Column::kJti, &identity.jti},
                                                   {Column::kIssuer, &identity.issuer}};
  for (const auto& [column, text] : texts) {
    if (place(column) < 0) continue;
    TextColumn read = text_column(select_, place(column));
    if (!read.sound) return false;
    *text = std::move(read.text);
  }
  std::vector<std::string> roles;
  const std::pair<Column, std::vector<std::string>*> lists[] = {{Column::kScopes, &identity.scopes},
                                                                {Column::kPermissions, &identity.permissions},
                                                                {Column::kAudience, &identity.audience},
                                                                {Column::kRoles, &roles}};
  for (const auto& [column, list] : lists) {
    if (place(column) < 0) continue;
    const TextColumn read = text_column(select_, place(column));
    auto entries = read.sound ? session_list(read.text) : std::nullopt;
    if (!entries) return false;
    *list = std::move(*entries);
  }
  for (const std::string& role : roles) identity.permissions.push_back("role:" + role);
  return !identity.subject.empty();
}

Proof ForeignSessions::read_row(std::string_view key, std::int64_t wall_now_ns) const {
  if (const int at = place(Column::kTokenKey); at >= 0) {
    const ColumnType type = select_.type(at);
    // As text for a text column: its blob would be in the encoding of the file, which may be UTF-16.
    const bool same = (type == ColumnType::kText && select_.text(at) == key) ||
                      (type == ColumnType::kBlob && std::ranges::equal(select_.blob(at), bytes_of(key)));
    if (!same) return refusal(Reason::kUnknown);
  }
  if (const int at = place(Column::kRevoked); at >= 0 && revoked_column(select_, at))
    return refusal(Reason::kRevoked);
  Proof proof;  // kUnavailable, kUpstream
  const auto moment = [&](Column seconds, Column ns) -> TimeColumn {
    if (const int at = place(ns); at >= 0) return time_column(select_, at, TimeUnit::kNanoseconds);
    if (const int at = place(seconds); at >= 0) return time_column(select_, at, TimeUnit::kSeconds);
    return {true, std::nullopt};
  };
  const TimeColumn created = moment(Column::kCreated, Column::kCreatedNs);
  const TimeColumn expires = moment(Column::kExpires, Column::kExpiresNs);
  if (!created.sound || !expires.sound) return proof;
  if (expires.wall_ns && *expires.wall_ns <= wall_now_ns) return refusal(Reason::kExpired);
  if (!read_texts(proof.identity)) return Proof();
  proof.verdict = Verdict::kValid;
  proof.reason = Reason::kNone;
  proof.issued_wall_ns = created.wall_ns;
  proof.expires_wall_ns = expires.wall_ns;
  return proof;
}

}  // namespace authcached
