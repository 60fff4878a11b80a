// Opening a SQLite file that is the daemon's own: made with its schema in one transaction, known again by its
// application_id and version, written through a log that is synced at every commit (WAL, synchronous=FULL).
// A file of an older version is brought to ours in one transaction; one of another program or of a newer version
// is refused untouched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "daemon/base/sqlite.hpp"
#include "shm/result.hpp"

namespace authcached {

struct OwnedSchema {
  std::int64_t application_id;
  std::int64_t version;
  const char* sql;        // makes every table, and the rows that must be there from the first commit on
  std::string_view name;  // "the state database", for sentences
  // upgrades[i] makes version i + 2 of version i + 1; all of them together make what sql makes.
  std::span<const char* const> upgrades{};
};

struct OwnedDatabase {
  Database database;
  bool created;  // the schema was made now
};

// kCorrupt: another program's file, or damage seen on the way. kRefused: a newer version's. kUnavailable:
// locked.
[[nodiscard]] authcache::shm::Result<OwnedDatabase> open_owned(const std::filesystem::path& file,
                                                               const OwnedSchema& schema);

// COMMIT, unless the file lost its name: what is written then would be acknowledged and gone at the next
// start.
[[nodiscard]] authcache::shm::Result<void> commit_in_place(Database& database, Transaction& transaction);

}  // namespace authcached
