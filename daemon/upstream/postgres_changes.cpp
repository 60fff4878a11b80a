#include "daemon/upstream/postgres_changes.hpp"

#include <libpq-fe.h>

#include <charconv>

#include "daemon/base/sha256.hpp"
#include "daemon/upstream/postgres_changes_ddl.hpp"
#include "daemon/upstream/session_key.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

// The timeline tells a promoted server from its predecessor, the start one run from the next, and the moment
// of the statistics a restart after a crash of one process, which leaves the start as it was.
constexpr const char* kServerQuery =
    "SELECT (SELECT system_identifier FROM pg_control_system())::text"
    " || CASE WHEN pg_is_in_recovery() THEN ' standby' ELSE ' ' || "
    "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
    " || ' ' || extract(epoch FROM pg_postmaster_start_time())::text"
    " || ' ' || coalesce((SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter)::text, '-'),"
    " pg_is_in_recovery()::int, pg_backend_pid()";

// On a primary a snapshot lists who was running; on a standby only between which numbers they lie, so what
// was seen of these comes again.
std::string reading_sql(const std::string& table, bool standby) {
  const std::string name = quoted_relation(table), pruned = quoted_relation(table + "_pruned");
  const std::string since = "nullif($1::text, '')::pg_snapshot";
  const std::string columns = "SELECT id, kind, value FROM " + name + " WHERE ";
  const std::string rows = standby ? columns + "xid >= pg_snapshot_xmin(" + since + ")"
                                   : columns + "xid >= pg_snapshot_xmax(" + since + ") UNION ALL " + columns +
                                         "xid = ANY (ARRAY(SELECT pg_snapshot_xip(" + since + ")))";
  // Where the state is not what it should be, a NULL, there is a gap.
  const std::string gap = "coalesce((SELECT xid FROM " + pruned + ") >= pg_snapshot_xmin(" + since +
                          ") OR pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmin(" + since +
                          ") OR pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax(" + since +
                          "), true)";
  return "SELECT NULL::bigint AS id, pg_backend_pid() || ' ' || pg_is_in_recovery()::int || ' ' || " + gap +
         "::int AS kind, convert_to(pg_current_snapshot()::text, 'UTF8') AS value UNION ALL (SELECT * FROM "
         "(" +
         rows + ") AS changed LIMIT " + std::to_string(kChangesMax + 1) + ")";
}

std::string_view value_of(const pg_result& rows, int row, int column) {
  return {PQgetvalue(&rows, row, column), static_cast<std::size_t>(PQgetlength(&rows, row, column))};
}

std::int64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

// The token's hash that a stored key is, or nothing: then no token has this key.
std::optional<std::string> hash_in_key(std::string_view key, KeyEncoding encoding) {
  constexpr std::size_t kHashBytes = std::tuple_size_v<Sha256>;
  if (encoding == KeyEncoding::kSha256)
    return key.size() == kHashBytes ? std::optional(std::string(key)) : std::nullopt;
  return hash_of_session_key(key, encoding);
}

bool read_state(std::string_view text, PostgresReading& reading) {
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, reading.backend);
  if (error != std::errc() || end - after != 4 || after[0] != ' ' || after[2] != ' ') return false;
  reading.standby = after[1] != '0';
  reading.gap = after[3] != '0';
  return true;
}

void add_change(std::string_view kind, std::string_view value, KeyEncoding encoding,
                PostgresReading& reading) {
  using Kind = SessionChange::Kind;
  if (kind == "token") {
    reading.changes.push_back({Kind::kToken, std::string(value)});
  } else if (kind == "key" && encoding != KeyEncoding::kRaw && encoding != KeyEncoding::kIdHexSha256) {
    if (auto hash = hash_in_key(value, encoding)) reading.changes.push_back({Kind::kToken, std::move(*hash)});
  } else if (kind == "sid") {
    reading.changes.push_back({Kind::kSid, std::string(value)});
  } else if (kind == "subject") {
    reading.changes.push_back({Kind::kSubject, std::string(value)});
  } else {
    reading.changes.push_back(
        {Kind::kProfile, {}});  // "profile", or a word of a later version: whomever it means
  }
}

}  // namespace

Result<PostgresServerRun> look_at_server(PostgresSetup& setup) {
  auto told = setup.rows(kServerQuery);
  if (!told) return std::unexpected(std::move(told.error()));
  if (PQntuples(told->get()) != 1 || PQgetisnull(told->get(), 0, 0) != 0)
    return fail(ErrorCode::kRefused, "the server does not say which run of which server it is");
  PostgresServerRun run;
  run.name = value_of(**told, 0, 0);
  run.standby = value_of(**told, 0, 1) != "0";
  const std::string_view backend = value_of(**told, 0, 2);
  (void)std::from_chars(backend.data(), backend.data() + backend.size(), run.backend);
  return run;
}

Result<PostgresChangesPlace> prepare_changes(PostgresSetup& setup, const std::string& table,
                                             const PostgresServerRun& run) {
  if (!run.standby) {
    auto listens = setup.rows(("LISTEN \"" + changes_channel(table) + "\"").c_str());
    if (!listens) return std::unexpected(std::move(listens.error()));
  }
  auto prepared = setup.prepare_named(reading_sql(table, run.standby));
  if (!prepared) {
    return fail(prepared.error().code,
                "the table of changes cannot be read (authctl sql postgres prints what makes it): " +
                    prepared.error().message);
  }
  auto which = setup.rows(("SELECT oid || ' ' || '" + quoted_relation(table) +
                           "'::regclass::oid::text FROM pg_database WHERE datname = current_database()")
                              .c_str());
  if (!which) return std::unexpected(std::move(which.error()));
  if (PQntuples(which->get()) != 1)
    return fail(ErrorCode::kRefused, "the server does not say which database this is");
  return PostgresChangesPlace{run.name + " " + std::string(value_of(**which, 0, 0)), std::move(*prepared)};
}

std::optional<PostgresReading> read_changes(const pg_result& rows, KeyEncoding encoding) {
  if (PQresultStatus(&rows) != PGRES_TUPLES_OK || PQnfields(&rows) != 3) return std::nullopt;
  PostgresReading reading;
  bool stated = false;
  for (int row = 0; row < PQntuples(&rows); ++row) {
    if (PQgetisnull(&rows, row, 0) != 0) {
      reading.snapshot = value_of(rows, row, 2);
      stated = read_state(value_of(rows, row, 1), reading);
      continue;
    }
    reading.ids.push_back(big_endian(value_of(rows, row, 0)));
    add_change(value_of(rows, row, 1), value_of(rows, row, 2), encoding, reading);
  }
  reading.too_many = reading.ids.size() > static_cast<std::size_t>(kChangesMax);
  return stated && !reading.snapshot.empty() ? std::optional(std::move(reading)) : std::nullopt;
}

}  // namespace authcached
