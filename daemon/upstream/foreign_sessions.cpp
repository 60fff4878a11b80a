#include "daemon/upstream/foreign_sessions.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/upstream/session_key.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;

namespace {

// Enough for the keys and rows of a hundred thousand sessions; the kernel caches the rest.
constexpr const char* kCachePragma = "PRAGMA cache_size = -65536; PRAGMA query_only = ON";

Result<SessionColumns> columns_of(const Statement& select) {
  std::vector<std::string_view> names;
  for (int i = 0; i < select.columns(); ++i) names.push_back(select.column_name(i));
  return SessionColumns::of(names);
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

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class SqliteValues final : public SessionValues {
 public:
  explicit SqliteValues(const Statement& row) : row_(row) {}
  [[nodiscard]] TextColumn text(int place) const override { return text_column(row_, place); }
  [[nodiscard]] TimeColumn time(int place, TimeUnit unit) const override { return time_column(row_, place, unit); }
  [[nodiscard]] bool revoked(int place) const override { return revoked_column(row_, place); }
  [[nodiscard]] bool is_key(int place, std::string_view key) const override {
    const ColumnType type = row_.type(place);
    // As text for a text column: its blob would be in the encoding of the file, which may be UTF-16.
    return (type == ColumnType::kText && row_.text(place) == key) ||
           (type == ColumnType::kBlob && std::ranges::equal(row_.blob(place), bytes_of(key)));
  }

 private:
  const Statement& row_;
};

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
  const Result<SessionColumns> columns = columns_of(*select);
  if (!columns) return std::unexpected(columns.error());
  return ForeignSessions(std::move(*database), std::move(*select), profile.key_encoding, *columns);
}

bool ForeignSessions::columns_still_fit() {
  const int now = select_.recompilations();
  if (now == recompilations_) return true;
  const Result<SessionColumns> columns = columns_of(select_);
  if (!columns) return false;
  columns_ = *columns;
  recompilations_ = now;
  return true;
}

Proof ForeignSessions::find(std::string_view token, std::int64_t wall_now_ns) {
  failure_code_ = 0;
  const std::optional<std::string> key = session_key(token, encoding_);
  if (!key) return session_refusal(Reason::kUnknown);
  if (is_binary_key(encoding_)) {
    select_.bind_blob(1, bytes_of(*key));
  } else {
    select_.bind_text(1, *key);
  }
  Proof proof;  // kUnavailable, kUpstream
  Result<bool> row = select_.step();
  if (row && !*row) {
    proof = session_refusal(Reason::kUnknown);
  } else if (row && columns_still_fit()) {
    Proof found = judge_session(columns_, SqliteValues(select_), *key, wall_now_ns);
    row = select_.step();
    // A second row would leave open whose session it is.
    if (row && !*row) proof = std::move(found);
  }
  failure_code_ = select_.last_code();
  select_.reset();
  return proof;
}

}  // namespace authcached
