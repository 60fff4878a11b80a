#include "daemon/cache/fleet_store.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/base/owned_database.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::ErrorCode;
using shm::Result;

namespace {

constexpr const char* kSchema = R"sql(
  CREATE TABLE fleet_rules(
    change INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    scope BLOB NOT NULL,
    value BLOB NOT NULL,
    not_before_ns INTEGER NOT NULL,
    created_wall_ns INTEGER NOT NULL,
    life_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    published INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX fleet_rules_by_identity ON fleet_rules(kind, scope, value);
  CREATE TABLE fleet_cursor(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    position TEXT NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
)sql";

constexpr const char* kStatements[] = {
    "INSERT OR REPLACE INTO fleet_rules(change, kind, scope, value, not_before_ns, created_wall_ns, life_ns, "
    "checksum,"
    " published) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
    "SELECT change, kind, scope, value, not_before_ns, created_wall_ns, life_ns, checksum, published FROM "
    "fleet_rules"
    " ORDER BY change",
    "UPDATE fleet_rules SET published = 1 WHERE change = ?1",
    "DELETE FROM fleet_rules WHERE published = 1 AND change < ?1 AND (kind, scope, value) ="
    " (SELECT kind, scope, value FROM fleet_rules WHERE change = ?1)",
    "UPDATE fleet_rules SET published = 0 WHERE change = ?1",
    "DELETE FROM fleet_rules WHERE change = ?1",
    "SELECT source, position, checksum FROM fleet_cursor",
    "INSERT OR REPLACE INTO fleet_cursor(id, source, position, checksum) VALUES (1, ?1, ?2, ?3)"};

enum Column : int { kChange, kKind, kScope, kValue, kNotBefore, kCreatedWall, kLife, kChecksum, kPublished };

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::int64_t checksum_of(const Rule& rule) {
  const std::int64_t numbers[] = {static_cast<std::int64_t>(rule.kind),
                                  static_cast<std::int64_t>(rule.change), rule.not_before_ns,
                                  rule.created_wall_ns, rule.life_ns};
  XXH64_hash_t hash = XXH3_64bits(numbers, sizeof numbers);
  hash = XXH3_64bits_withSeed(rule.scope.data(), rule.scope.size(), hash);
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(rule.value.data(), rule.value.size(), hash));
}

std::int64_t checksum_of(const FleetCursor& cursor) {
  const XXH64_hash_t hash = XXH3_64bits(cursor.source.data(), cursor.source.size());
  return static_cast<std::int64_t>(
      XXH3_64bits_withSeed(cursor.position.data(), cursor.position.size(), hash));
}

Result<SharedRule> read_row(const Statement& row) {
  SharedRule shared;
  Rule& rule = shared.rule;
  rule.change = static_cast<std::uint64_t>(row.integer(kChange));
  rule.kind = static_cast<RuleKind>(row.integer(kKind));
  rule.scope = text_of(row.blob(kScope));
  rule.value = text_of(row.blob(kValue));
  rule.not_before_ns = row.integer(kNotBefore);
  rule.created_wall_ns = row.integer(kCreatedWall);
  rule.life_ns = row.integer(kLife);
  shared.published = row.integer(kPublished) != 0;
  if (rule_fault(rule) || checksum_of(rule) != row.integer(kChecksum))
    return shm::fail(ErrorCode::kCorrupt,
                     "the state database holds a shared rule that is not as it was written");
  return shared;
}

}  // namespace

const char* FleetStore::schema() { return kSchema; }

FleetStore::FleetStore(Database& database, std::vector<Statement> made)
    : database_(&database),
      put_(std::move(made[0])),
      load_(std::move(made[1])),
      publish_(std::move(made[2])),
      supersede_(std::move(made[3])),
      unpublish_(std::move(made[4])),
      remove_(std::move(made[5])),
      cursor_(std::move(made[6])),
      put_cursor_(std::move(made[7])) {}

Result<FleetStore> FleetStore::prepare(Database& database) {
  std::vector<Statement> made;
  for (const char* text : kStatements) {
    auto statement = database.prepare(text);
    if (!statement) return std::unexpected(statement.error());
    made.push_back(std::move(*statement));
  }
  return FleetStore(database, std::move(made));
}

Result<void> FleetStore::put(const Rule& rule) {
  put_.bind(1, static_cast<std::int64_t>(rule.change));
  put_.bind(2, static_cast<std::int64_t>(rule.kind));
  put_.bind_blob(3, bytes_of(rule.scope));
  put_.bind_blob(4, bytes_of(rule.value));
  put_.bind(5, rule.not_before_ns);
  put_.bind(6, rule.created_wall_ns);
  put_.bind(7, rule.life_ns);
  put_.bind(8, checksum_of(rule));
  return put_.run();
}

Result<std::vector<SharedRule>> FleetStore::load() {
  std::vector<SharedRule> rules;
  for (;;) {
    const Result<bool> row = load_.step();
    auto shared = row && *row ? read_row(load_) : Result<SharedRule>();
    if (!row || !*row || !shared) {
      load_.reset();
      if (!row) return std::unexpected(row.error());
      if (!shared) return std::unexpected(shared.error());
      return rules;
    }
    rules.push_back(std::move(*shared));
  }
}

Result<void> FleetStore::each(Statement& statement, std::span<const std::uint64_t> changes) {
  auto transaction = Transaction::begin(*database_, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(transaction.error());
  for (const std::uint64_t change : changes) {
    statement.bind(1, static_cast<std::int64_t>(change));
    if (auto done = statement.run(); !done) return done;
    if (&statement != &publish_) continue;
    supersede_.bind(1, static_cast<std::int64_t>(change));
    if (auto done = supersede_.run(); !done) return done;
  }
  return commit_in_place(*database_, *transaction);
}

Result<void> FleetStore::mark_published(std::span<const std::uint64_t> changes) {
  return each(publish_, changes);
}
Result<void> FleetStore::mark_unpublished(std::span<const std::uint64_t> changes) {
  return each(unpublish_, changes);
}
Result<void> FleetStore::remove(std::span<const std::uint64_t> changes) { return each(remove_, changes); }

Result<std::optional<FleetCursor>> FleetStore::cursor() {
  const Result<bool> row = cursor_.step();
  std::optional<FleetCursor> cursor;
  if (row && *row) {
    cursor = FleetCursor{std::string(cursor_.text(0)), std::string(cursor_.text(1))};
    if (checksum_of(*cursor) != cursor_.integer(2)) cursor.reset();
  }
  cursor_.reset();
  if (!row) return std::unexpected(row.error());
  return cursor;
}

Result<void> FleetStore::put_cursor(const FleetCursor& cursor) {
  put_cursor_.bind_text(1, cursor.source);
  put_cursor_.bind_text(2, cursor.position);
  put_cursor_.bind(3, checksum_of(cursor));
  return put_cursor_.run();
}

}  // namespace authcached
