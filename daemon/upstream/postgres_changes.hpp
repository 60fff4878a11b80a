// The table of changes as the daemon reads it from PostgreSQL, and the server that it is read from:
// statements, what their rows say, and what tells one server's history from another's. The DDL is
// postgres_changes_ddl.hpp's.
//
// How nothing is missed: transactions get their numbers in one order and commit in another, so no number says
// "all until here was seen". A snapshot does: it names the transactions that were still running. Each reading
// asks, in one statement, for the rows of those and of later ones, and for the snapshot that it was answered
// by.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/io/postgres/postgres_connector.hpp"
#include "daemon/upstream/session_change.hpp"
#include "shm/result.hpp"

struct pg_result;

namespace authcached {

// One reading. More at once (a bulk delete, a daemon that was down for hours) costs less as "all of the
// profile".
inline constexpr int kChangesMax = 20'000;

// A run of a server: until it restarts, crashes, is promoted or is another one. What it showed once, it shows
// for as long; after a crash it may have lost what it showed (synchronous_commit = off), and use its numbers
// again.
struct PostgresServerRun {
  std::string name;  // differs between any two runs of any servers
  bool standby = false;
  std::int64_t backend = 0;  // the process that answered
};
[[nodiscard]] authcache::shm::Result<PostgresServerRun> look_at_server(PostgresSetup& setup);

struct PostgresChangesPlace {
  std::string source;     // of the cursors that it gives
  std::string statement;  // the reading
};
// Prepares the reading, and has the table's NOTIFY sent to this session (on a standby there is none).
[[nodiscard]] authcache::shm::Result<PostgresChangesPlace> prepare_changes(PostgresSetup& setup,
                                                                           const std::string& table,
                                                                           const PostgresServerRun& run);

struct PostgresReading {
  std::vector<SessionChange> changes;
  std::string snapshot;  // the next reading's parameter
  std::int64_t backend = 0;
  bool standby = false;
  bool gap = false;       // rows were deleted that this reading should have seen, or the history is another
  bool too_many = false;  // not all are here
  std::vector<std::int64_t> ids;
};
// Nothing: the answer is not what was asked for.
[[nodiscard]] std::optional<PostgresReading> read_changes(const pg_result& rows, KeyEncoding encoding);

}  // namespace authcached
