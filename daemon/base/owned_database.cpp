#include "daemon/base/owned_database.hpp"

#include <string>
#include <utility>

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

// Returns the version of the schema that is there; 0 if there is none yet.
Result<std::int64_t> identify(Database& database, const OwnedSchema& schema) {
  const Result<std::int64_t> application = database.integer("PRAGMA application_id");
  if (!application) return std::unexpected(application.error());
  const Result<std::int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  const Result<std::int64_t> objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return std::unexpected(objects.error());
  // What a crash between making the file and the schema's commit leaves.
  if (*application == 0 && *version == 0 && *objects == 0) return 0;
  const std::string name(schema.name);
  if (*application != schema.application_id)
    return fail(ErrorCode::kCorrupt, name + " belongs to another program");
  if (*version > schema.version) {
    return fail(ErrorCode::kRefused, name + " was written by a newer version; start that version");
  }
  if (*version < 1) return fail(ErrorCode::kCorrupt, name + " has no version of ours");
  return *version;
}

Result<void> use_durable_journal(Database& database, const OwnedSchema& schema) {
  Result<Statement> mode = database.prepare("PRAGMA journal_mode = WAL");
  if (!mode) return std::unexpected(mode.error());
  const Result<bool> row = mode->step();
  if (!row) return std::unexpected(row.error());
  if (!*row || mode->text(0) != "wal") {
    return fail(ErrorCode::kSystem,
                std::string(schema.name) + " cannot use a write-ahead log; put it on a local filesystem");
  }
  return database.execute(
      "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA locking_mode = NORMAL");
}

// From the version that is there to ours, or not at all.
Result<void> bring_up(Database& database, const OwnedSchema& schema, std::int64_t version) {
  Result<Transaction> transaction = Transaction::begin(database, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(transaction.error());
  if (version == 0) {
    if (Result<void> made = database.execute(schema.sql); !made) return made;
  } else {
    for (const char* upgrade : schema.upgrades.subspan(static_cast<std::size_t>(version - 1))) {
      if (Result<void> made = database.execute(upgrade); !made) return made;
    }
  }
  const std::string marks = "PRAGMA application_id = " + std::to_string(schema.application_id) +
                            "; PRAGMA user_version = " + std::to_string(schema.version);
  if (Result<void> marked = database.execute(marks.c_str()); !marked) return marked;
  return transaction->commit();
}

}  // namespace

Result<OwnedDatabase> open_owned(const std::filesystem::path& file, const OwnedSchema& schema) {
  Result<Database> database = Database::open(file, Database::Access::kCreate);
  if (!database) return std::unexpected(std::move(database.error()));
  const Result<std::int64_t> version = identify(*database, schema);
  if (!version) return std::unexpected(version.error());
  if (Result<void> set = use_durable_journal(*database, schema); !set) return std::unexpected(set.error());
  if (*version != schema.version) {
    if (Result<void> made = bring_up(*database, schema, *version); !made) return std::unexpected(made.error());
  }
  return OwnedDatabase{std::move(*database), *version == 0};
}

Result<void> commit_in_place(Database& database, Transaction& transaction) {
  if (database.moved()) {
    return fail(ErrorCode::kUnavailable, "a database was moved or removed under us; put it back or restart");
  }
  return transaction.commit();
}

}  // namespace authcached
