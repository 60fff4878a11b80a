#include "daemon/upstream/postgres_sessions.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/upstream/session_key.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kSecondsMax =
    9'223'372'035;                   // the last whole seconds that nanoseconds in 64 bits can hold
constexpr int kNumberBytesMax = 64;  // of a moment or a flag as text; longer is neither
constexpr const char* kProbeStatement = "authcache_probe";

// Type numbers of the server's catalog (pg_type.dat): they never change.
constexpr Oid kBytea = 17, kName = 19, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kJson = 114,
              kFloat4 = 700, kFloat8 = 701, kBpchar = 1042, kVarchar = 1043, kDate = 1082, kTimestamp = 1114,
              kTimestamptz = 1184, kNumeric = 1700, kUuid = 2950, kJsonb = 3802;
constexpr Oid kByteaArray = 1001, kNameArray = 1003, kTextArray = 1009, kBpcharArray = 1014,
              kVarcharArray = 1015;
// From here on types are of extensions and schemas: citext, enums.
constexpr Oid kFirstOwnType = 16'384;

template <class... Oids>
bool is_one_of(Oid type, Oids... oids) {
  return ((type == oids) || ...);
}
bool is_text_type(Oid type) {
  return is_one_of(type, kText, kVarchar, kBpchar, kName) || type >= kFirstOwnType;
}
bool is_whole_type(Oid type) { return is_one_of(type, kInt2, kInt4, kInt8); }

struct ColumnSql {
  std::string sql;
  PostgresForm form;
};

std::string bounded(const std::string& text, std::size_t characters_max) {
  return "left(" + text + ", " + std::to_string(characters_max + 1) + ")";
}

std::optional<ColumnSql> list_sql(const std::string& column, Oid type) {
  if (is_one_of(type, kTextArray, kVarcharArray, kBpcharArray, kNameArray))
    return ColumnSql{bounded("array_to_json(" + column + ")::text", kSessionTextBytesMax),
                     PostgresForm::kJson};
  if (is_one_of(type, kJson, kJsonb))
    return ColumnSql{bounded(column + "::text", kSessionTextBytesMax), PostgresForm::kJson};
  if (is_text_type(type))
    return ColumnSql{bounded(column + "::text", kSessionTextBytesMax), PostgresForm::kText};
  return std::nullopt;
}

std::optional<ColumnSql> time_sql(const std::string& column, Oid type) {
  if (is_one_of(type, kTimestamptz, kTimestamp, kDate))
    return ColumnSql{bounded("extract(epoch FROM " + column + ")::text", kNumberBytesMax),
                     PostgresForm::kTimestamp};
  if (is_whole_type(type) || is_one_of(type, kNumeric, kFloat4, kFloat8))
    return ColumnSql{bounded(column + "::text", kNumberBytesMax), PostgresForm::kSeconds};
  if (is_text_type(type)) return ColumnSql{bounded(column + "::text", kNumberBytesMax), PostgresForm::kText};
  return std::nullopt;
}

// How the wrapping statement gives a column; nothing for a type that it cannot have.
std::optional<ColumnSql> column_sql(const std::string& column, SessionColumnKind kind, Oid type) {
  const ColumnSql text{bounded(column + "::text", kSessionTextBytesMax), PostgresForm::kText};
  switch (kind) {
    case SessionColumnKind::kText:
      return is_text_type(type) || is_whole_type(type) || type == kUuid ? std::optional(text) : std::nullopt;
    case SessionColumnKind::kKey:
      if (type == kBytea)
        return ColumnSql{
            "substring(" + column + " FROM 1 FOR " + std::to_string(kSessionTextBytesMax + 1) + ")",
            PostgresForm::kBytes};
      return is_text_type(type) ? std::optional(text) : std::nullopt;
    case SessionColumnKind::kList: return list_sql(column, type);
    case SessionColumnKind::kTime: return time_sql(column, type);
    case SessionColumnKind::kTimeNs:
      return is_whole_type(type) || type == kNumeric
                 ? std::optional(
                       ColumnSql{bounded(column + "::text", kNumberBytesMax), PostgresForm::kSeconds})
                 : std::nullopt;
    case SessionColumnKind::kRevoked:
      return ColumnSql{bounded(column + "::text", kNumberBytesMax), PostgresForm::kText};
  }
  return std::nullopt;
}

std::uint32_t element_of(Oid array) {
  switch (array) {
    case kByteaArray: return kBytea;
    case kTextArray: return kText;
    case kVarcharArray: return kVarchar;
    case kBpcharArray: return kBpchar;
    default: return 0;
  }
}

Result<std::uint32_t> key_type_of(const pg_result& probe, KeyEncoding encoding) {
  if (PQnparams(&probe) != 1) {
    return fail(ErrorCode::kUsage, "the query has " + std::to_string(PQnparams(&probe)) +
                                       " parameters; it needs exactly one, $1");
  }
  const std::uint32_t element = element_of(PQparamtype(&probe, 0));
  if (element == 0) {
    return fail(ErrorCode::kUsage,
                "the query does not take $1 as an array of bytea or text; compare with = ANY($1), and a key "
                "of another type as text: id::text = ANY($1)");
  }
  if ((element == kBytea) == is_binary_key(encoding)) return element;
  return fail(ErrorCode::kUsage,
              element == kBytea ? "the query compares $1 with bytea, so key_encoding must be \"sha256\""
                                : "the query compares $1 with text, so key_encoding cannot be \"sha256\"; "
                                  "\"hex_sha256\" and \"base64url_sha256\" are text");
}

// The query without what may follow its end.
std::string_view inner(std::string_view query) {
  const std::size_t end = query.find_last_not_of(" \t\r\n;");
  return query.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

Result<std::string> wrapped(const pg_result& probe, std::string_view query, PostgresSessions& sessions) {
  std::vector<std::string_view> names;
  for (int i = 0; i < PQnfields(&probe); ++i) names.emplace_back(PQfname(&probe, i));
  auto columns = SessionColumns::of(names);
  if (!columns) return std::unexpected(std::move(columns.error()));
  sessions.columns = *columns;
  if (sessions.columns.place(SessionColumn::kTokenKey) < 0) {
    return fail(ErrorCode::kUsage,
                "the query returns no column \"token_key\", by which rows find their keys; return the column "
                "that it searches, AS token_key");
  }
  std::string list;
  for (int i = 0; i < PQnfields(&probe); ++i) {
    const std::string column = "sessions.\"" + std::string(names[static_cast<std::size_t>(i)]) + "\"";
    auto sql =
        column_sql(column, kind_of(*session_column(names[static_cast<std::size_t>(i)])), PQftype(&probe, i));
    if (!sql) {
      return fail(ErrorCode::kUsage,
                  "the query's column \"" + std::string(names[static_cast<std::size_t>(i)]) +
                      "\" is of a type that it cannot have; cast it, as docs/postgresql.md says");
    }
    list += (list.empty() ? "" : ", ") + sql->sql;
    sessions.forms.push_back(sql->form);
  }
  return "SELECT " + list + " FROM (\n" + std::string(query) + "\n) AS sessions LIMIT " +
         std::to_string(kPostgresRowsMax);
}

// Digits alone.
std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || text.starts_with('-'))
    return std::nullopt;
  return number;
}

void append_big_endian(std::string& out, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
}

}  // namespace

Result<std::shared_ptr<const PostgresSessions>> prepare_sessions(PostgresSetup& setup,
                                                                 const std::string& query,
                                                                 KeyEncoding encoding) {
  const std::string_view only = inner(query);
  const auto not_ours = [](authcache::shm::Error error) {
    return fail(error.code, "the query is not accepted: " + std::move(error.message));
  };
  auto prepared = setup.prepare(kProbeStatement, "SELECT * FROM (\n" + std::string(only) + "\n) AS sessions");
  if (!prepared) return not_ours(std::move(prepared.error()));
  const auto probe = setup.describe(kProbeStatement);
  if (!probe) return not_ours(probe.error());
  auto sessions = std::make_shared<PostgresSessions>();
  const auto key_type = key_type_of(**probe, encoding);
  if (!key_type) return std::unexpected(key_type.error());
  sessions->key_type = *key_type;
  const auto sql = wrapped(**probe, only, *sessions);
  if (!sql) return std::unexpected(sql.error());
  auto named = setup.prepare_named(*sql);
  if (!named) return not_ours(std::move(named.error()));
  sessions->statement = std::move(*named);
  // Only a run tells whether this role may.
  const auto run = setup.rows(("EXECUTE " + sessions->statement + "('{}')").c_str());
  if (!run) return not_ours(run.error());
  prepared = setup.prepare(kPingStatement, "SELECT 1");
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  return std::shared_ptr<const PostgresSessions>(std::move(sessions));
}

std::string postgres_array(std::span<const std::string_view> elements, std::uint32_t type) {
  std::string array;
  std::size_t bytes = 20;
  for (const std::string_view element : elements) bytes += 4 + element.size();
  array.reserve(bytes);
  append_big_endian(array, elements.empty() ? 0 : 1);  // dimensions
  append_big_endian(array, 0);                         // no nulls
  append_big_endian(array, type);
  if (elements.empty()) return array;
  append_big_endian(array, static_cast<std::uint32_t>(elements.size()));
  append_big_endian(array, 1);  // the first index
  for (const std::string_view element : elements) {
    append_big_endian(array, static_cast<std::uint32_t>(element.size()));
    array += element;
  }
  return array;
}

std::optional<std::int64_t> decimal_seconds_ns(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto seconds = whole(text.substr(0, point));
  if (!seconds || *seconds > kSecondsMax) return std::nullopt;
  std::int64_t fraction = 0, unit = kNsPerSecond / 10;
  for (const char c : text.substr(std::min(point + 1, text.size()))) {
    if (c < '0' || c > '9') return std::nullopt;
    fraction += (c - '0') * unit;
    unit /= 10;
  }
  return *seconds * kNsPerSecond + fraction;
}

bool PostgresRow::is_null(int place) const { return PQgetisnull(&rows_, row_, place) != 0; }

std::string_view PostgresRow::value(int place) const {
  return {PQgetvalue(&rows_, row_, place), static_cast<std::size_t>(PQgetlength(&rows_, row_, place))};
}

TextColumn PostgresRow::text(int place) const {
  if (is_null(place)) return {true, {}};
  const std::string_view found = value(place);
  if (found.size() > kSessionTextBytesMax) return {false, {}};
  return {true, std::string(found)};
}

std::optional<std::vector<std::string>> PostgresRow::list(int place) const {
  if (is_null(place)) return std::vector<std::string>();
  const std::string_view found = value(place);
  // A JSON text or object is no list of grants, whatever its words.
  const bool is_json = sessions_.forms[static_cast<std::size_t>(place)] == PostgresForm::kJson;
  if (is_json && !found.starts_with('[')) return std::nullopt;
  return session_list(found);
}

TimeColumn PostgresRow::time(int place, TimeUnit unit) const {
  if (is_null(place)) return {true, std::nullopt};
  const std::string_view found = value(place);
  if (found.size() > kNumberBytesMax) return {false, std::nullopt};
  const PostgresForm form = sessions_.forms[static_cast<std::size_t>(place)];
  if (form == PostgresForm::kTimestamp && found == "Infinity") return {true, std::nullopt};
  std::optional<std::int64_t> wall_ns;
  if (unit == TimeUnit::kNanoseconds) {
    wall_ns = whole(found);
  } else {
    wall_ns = form == PostgresForm::kText ? utc_text_ns(found) : decimal_seconds_ns(found);
  }
  return {wall_ns.has_value(), wall_ns};
}

bool PostgresRow::revoked(int place) const {
  if (is_null(place)) return false;
  const std::string_view found = value(place);
  return !(found.empty() || found == "0" || found == "false");
}

bool PostgresRow::is_key(int place, std::string_view key) const {
  return !is_null(place) && value(place) == key;
}

}  // namespace authcached
