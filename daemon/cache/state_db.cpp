#include "daemon/cache/state_db.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "daemon/base/owned_database.hpp"
#include "daemon/base/sqlite.hpp"
#include "shm/boot_id.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

using authcache::shm::Error;
using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;
using authcache::shm::system_error;
using authcache::shm::UniqueFd;

namespace {

constexpr std::int64_t kApplicationId = 0x61637374;  // "acst": a session database here is not taken for ours
constexpr std::int64_t kSchemaVersion = 3;
// Damaged databases kept side by side; somebody should have looked long before.
constexpr int kSetAsideMax = 1'000;
constexpr std::size_t kBootIdBytesMax = 64;

// The id's bits as a signed number.
#define CURSORS_TABLE                                                                                  \
  "CREATE TABLE cursors(profile_id INTEGER PRIMARY KEY, source TEXT NOT NULL, position TEXT NOT NULL," \
  " checksum INTEGER NOT NULL) STRICT;"

constexpr const char* kSchema = R"sql(
  CREATE TABLE meta(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    last_change INTEGER NOT NULL CHECK (last_change >= 0)
  ) STRICT;
  CREATE TABLE rules(
    kind INTEGER NOT NULL,
    scope BLOB NOT NULL,
    value BLOB NOT NULL,
    change INTEGER NOT NULL,
    not_before_ns INTEGER NOT NULL,
    created_wall_ns INTEGER NOT NULL,
    created_boot_ns INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    life_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, scope, value)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX rules_by_change ON rules(change);
  CREATE TABLE generations(
    number INTEGER PRIMARY KEY,
    heartbeat_timeout_ns INTEGER NOT NULL,
    boot_id TEXT NOT NULL
  ) STRICT;
  INSERT INTO meta(id, uuid, last_change) VALUES (1, randomblob(16), 0);
)sql" CURSORS_TABLE;

// Version 1 heard of no database's changes, version 2 shared no rules.
const OwnedSchema& owned_schema() {
  static const std::string whole = std::string(kSchema) + FleetStore::schema();
  static const char* const upgrades[] = {CURSORS_TABLE, FleetStore::schema()};
  static const OwnedSchema schema{kApplicationId, kSchemaVersion, whole.c_str(), "the state database", upgrades};
  return schema;
}

#define RULE_COLUMNS \
  "kind, scope, value, change, not_before_ns, created_wall_ns, created_boot_ns, boot_id, life_ns, checksum"
enum RuleColumn : int {
  kKind,
  kScope,
  kValue,
  kChange,
  kNotBefore,
  kCreatedWall,
  kCreatedBoot,
  kBootId,
  kLife,
  kChecksum
};

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::unexpected<Error> corrupt(const std::string& what) {
  return fail(ErrorCode::kCorrupt, "the state database " + what);
}

struct StoredRule {
  Rule rule;
  std::string boot_id;
};

// quick_check finds damage to the structure only: a rule that names another token than it did would go unseen.
std::int64_t row_checksum(const Rule& rule, std::string_view boot_id) {
  const std::int64_t numbers[] = {static_cast<std::int64_t>(rule.kind),
                                  static_cast<std::int64_t>(rule.change),
                                  rule.not_before_ns,
                                  rule.created_wall_ns,
                                  rule.created_boot_ns,
                                  rule.life_ns};
  XXH64_hash_t hash = XXH3_64bits(numbers, sizeof numbers);
  for (const std::string_view text : {std::string_view(rule.scope), std::string_view(rule.value), boot_id}) {
    hash = XXH3_64bits_withSeed(text.data(), text.size(), hash);
  }
  return static_cast<std::int64_t>(hash);
}

Result<StoredRule> read_rule(const Statement& row) {
  for (const int column : {kKind, kChange, kNotBefore, kCreatedWall, kCreatedBoot, kLife, kChecksum}) {
    if (row.type(column) != ColumnType::kInteger)
      return corrupt("holds a rule with a column that is no number");
  }
  if (row.type(kScope) != ColumnType::kBlob || row.type(kValue) != ColumnType::kBlob ||
      row.type(kBootId) != ColumnType::kText) {
    return corrupt("holds a rule with a column of the wrong type");
  }
  const std::int64_t kind = row.integer(kKind);
  if (kind < 0 || kind > std::numeric_limits<std::uint8_t>::max()) return corrupt("holds a rule of no kind");
  StoredRule stored;
  stored.rule.kind = static_cast<RuleKind>(kind);
  stored.rule.scope = text_of(row.blob(kScope));
  stored.rule.value = text_of(row.blob(kValue));
  // A negative number becomes one that rule_fault refuses.
  stored.rule.change = static_cast<std::uint64_t>(row.integer(kChange));
  stored.rule.not_before_ns = row.integer(kNotBefore);
  stored.rule.created_wall_ns = row.integer(kCreatedWall);
  stored.rule.created_boot_ns = row.integer(kCreatedBoot);
  stored.rule.life_ns = row.integer(kLife);
  stored.rule.durable = true;
  stored.boot_id = row.text(kBootId);
  if (const auto fault = rule_fault(stored.rule)) return corrupt("holds a bad rule: " + std::string(*fault));
  if (stored.boot_id.empty() || stored.boot_id.size() > kBootIdBytesMax)
    return corrupt("holds a rule of no boot");
  if (row_checksum(stored.rule, stored.boot_id) != row.integer(kChecksum))
    return corrupt("holds a rule that is not as it was written");
  return stored;
}

std::int64_t cursor_checksum(const KnownCursor& known) {
  const XXH64_hash_t of_source =
      XXH3_64bits_withSeed(known.cursor.source.data(), known.cursor.source.size(), known.profile_id);
  return static_cast<std::int64_t>(
      XXH3_64bits_withSeed(known.cursor.position.data(), known.cursor.position.size(), of_source));
}

Result<void> check_pages(Database& database) {
  Result<Statement> check = database.prepare("PRAGMA quick_check(1)");
  if (!check) return std::unexpected(check.error());
  const Result<bool> row = check->step();
  if (!row) return std::unexpected(row.error());
  if (!*row || check->text(0) != "ok") return corrupt("is damaged (quick_check)");
  return {};
}

Result<Uuid> read_uuid(Database& database) {
  Result<Statement> select = database.prepare("SELECT uuid FROM meta");
  if (!select) return std::unexpected(select.error());
  const Result<bool> row = select->step();
  if (!row) return std::unexpected(row.error());
  Uuid uuid;
  if (!*row || select->blob(0).size() != uuid.size()) return corrupt("has lost its UUID");
  std::ranges::copy(select->blob(0), uuid.begin());
  return uuid;
}

Result<std::string> current_boot() {
  const auto id = authcache::shm::current_boot_id();
  if (!id) return std::unexpected(id.error());
  return authcache::shm::boot_id_text(*id);
}

}  // namespace

struct StateDb::Impl {
  Database database;  // before the statements: they must go first
  std::string boot_id;
  Uuid uuid{};
  bool created = false;
  Statement read_change, write_change, select_rules, select_rule, put_rule, remove_rule, forget_rule;
  Statement select_generations, put_generation, remove_generation;
  Statement select_cursors, put_cursor;
  std::optional<FleetStore> fleet = std::nullopt;

  static Result<std::unique_ptr<Impl>> prepare(Database database, std::string boot_id, bool created);

  Result<std::uint64_t> last_change();
  Result<void> check_rules();
  Result<void> apply(const RuleChange& change);
  Result<void> put(const Rule& rule);
  Result<void> remove(const Rule& rule);
  Result<void> raise_last_change(std::uint64_t change);
};

Result<std::unique_ptr<StateDb::Impl>> StateDb::Impl::prepare(Database database, std::string boot_id,
                                                              bool created) {
  const char* const texts[] = {
      "SELECT last_change FROM meta",
      "UPDATE meta SET last_change = max(last_change, ?1)",
      // In no order, so not through an index: a row that it does not lead to would be passed over in silence.
      "SELECT " RULE_COLUMNS " FROM rules",
      "SELECT " RULE_COLUMNS " FROM rules WHERE kind = ?1 AND scope = ?2 AND value = ?3",
      "INSERT OR REPLACE INTO rules(" RULE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
      "DELETE FROM rules WHERE kind = ?1 AND scope = ?2 AND value = ?3 AND change <= ?4",
      "DELETE FROM rules WHERE change = ?1",
      "SELECT number, heartbeat_timeout_ns, boot_id FROM generations ORDER BY number",
      "INSERT OR REPLACE INTO generations(number, heartbeat_timeout_ns, boot_id) VALUES (?1, ?2, ?3)",
      "DELETE FROM generations WHERE number = ?1",
      "SELECT profile_id, source, position, checksum FROM cursors",
      "INSERT OR REPLACE INTO cursors(profile_id, source, position, checksum) VALUES (?1, ?2, ?3, ?4)"};
  std::vector<Statement> made;
  for (const char* text : texts) {
    Result<Statement> statement = database.prepare(text);
    if (!statement) return std::unexpected(statement.error());
    made.push_back(std::move(*statement));
  }
  Result<Uuid> uuid = read_uuid(database);
  if (!uuid) return std::unexpected(uuid.error());
  std::unique_ptr<Impl> impl(new Impl{
      std::move(database), std::move(boot_id), *uuid, created, std::move(made[0]), std::move(made[1]),
      std::move(made[2]), std::move(made[3]), std::move(made[4]), std::move(made[5]), std::move(made[6]),
      std::move(made[7]), std::move(made[8]), std::move(made[9]), std::move(made[10]), std::move(made[11])});
  Result<FleetStore> fleet = FleetStore::prepare(impl->database);
  if (!fleet) return std::unexpected(fleet.error());
  impl->fleet = std::move(*fleet);
  if (const auto shared = impl->fleet->load(); !shared) return std::unexpected(shared.error());
  return impl;
}

StateDb::StateDb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateDb::StateDb(StateDb&&) noexcept = default;
StateDb& StateDb::operator=(StateDb&&) noexcept = default;
StateDb::~StateDb() = default;

Result<StateDb> StateDb::open(const std::filesystem::path& file, std::string boot_id) {
  if (boot_id.empty()) {
    Result<std::string> current = current_boot();
    if (!current) return std::unexpected(current.error());
    boot_id = std::move(*current);
  }
  if (boot_id.size() > kBootIdBytesMax) return fail(ErrorCode::kUsage, "the boot id is too long");
  // Our own SQL not fitting (kUsage) means that the schema under our mark is not ours.
  const auto of_file = [&](Error error) {
    if (error.code == ErrorCode::kUsage) error.code = ErrorCode::kCorrupt;
    error.message = file.string() + ": " + error.message;
    return std::unexpected(std::move(error));
  };
  Result<OwnedDatabase> owned = open_owned(file, owned_schema());
  if (!owned) return of_file(owned.error());
  if (Result<void> checked = check_pages(owned->database); !checked) return of_file(checked.error());
  Result<std::unique_ptr<Impl>> impl =
      Impl::prepare(std::move(owned->database), std::move(boot_id), owned->created);
  if (!impl) return of_file(impl.error());
  if (Result<void> checked = (*impl)->check_rules(); !checked) return of_file(checked.error());
  return StateDb(std::move(*impl));
}

// Before anybody relies on this database: one that is damaged is set aside as long as nothing was taken from it.
Result<void> StateDb::Impl::check_rules() {
  const Result<std::uint64_t> last = last_change();
  if (!last) return std::unexpected(last.error());
  for (;;) {
    const Result<bool> row = select_rules.step();
    Result<StoredRule> stored = row && *row ? read_rule(select_rules) : Result<StoredRule>();
    if (row && *row && stored && stored->rule.change <= *last) continue;
    select_rules.reset();
    if (!row) return std::unexpected(row.error());
    if (!stored) return std::unexpected(stored.error());
    return *row ? corrupt("holds a rule beyond its last change") : Result<void>();
  }
}

Result<std::filesystem::path> StateDb::set_aside(const std::filesystem::path& file) {
  // The main file goes first: with a new, empty one in its place SQLite deletes a log left behind and never
  // reads it.
  const std::filesystem::path parts[] = {file, file.string() + "-wal", file.string() + "-shm"};
  const auto aside = [](const std::filesystem::path& part, int n) {
    return std::filesystem::path(part.string() + ".corrupt-" + std::to_string(n));
  };
  std::error_code ignored;
  for (int n = 1; n <= kSetAsideMax; ++n) {
    const bool taken = std::ranges::any_of(parts, [&](const auto& part) {
      return std::filesystem::exists(symlink_status(aside(part, n), ignored));
    });
    if (taken) continue;
    for (const auto& part : parts) {
      if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, aside(part, n).c_str(), RENAME_NOREPLACE) == 0)
        continue;
      if (errno == ENOENT && part != file) continue;
      return system_error("cannot set " + part.string() + " aside", errno);
    }
    const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
    const UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) {
      return system_error("cannot make the new names in " + parent.string() + " durable", errno);
    }
    return aside(file, n);
  }
  return fail(ErrorCode::kRefused, "there are " + std::to_string(kSetAsideMax) + " damaged copies of " +
                                       file.string() + " already; look at them and remove some");
}

const Uuid& StateDb::uuid() const { return impl_->uuid; }

bool StateDb::created() const { return impl_->created; }

Result<std::vector<Rule>> StateDb::load_rules(std::int64_t boot_now_ns) {
  std::vector<Rule> rules;
  Statement& select = impl_->select_rules;
  for (;;) {
    Result<bool> row = select.step();
    Result<StoredRule> stored = row && *row ? read_rule(select) : Result<StoredRule>();
    if (!row || !*row || !stored) {
      select.reset();
      if (!row) return std::unexpected(row.error());
      if (!stored) return std::unexpected(stored.error());
      std::ranges::sort(rules, {}, &Rule::change);
      return rules;
    }
    // Later than now within this boot: another time namespace. Its clock says nothing here, so retention
    // begins again.
    std::int64_t& created = stored->rule.created_boot_ns;
    if (stored->boot_id != impl_->boot_id || created > boot_now_ns) created = boot_now_ns;
    rules.push_back(std::move(stored->rule));
  }
}

Result<std::uint64_t> StateDb::last_change() { return impl_->last_change(); }

Result<std::uint64_t> StateDb::Impl::last_change() {
  Statement& read = read_change;
  const Result<bool> row = read.step();
  const bool number = row && *row && read.type(0) == ColumnType::kInteger;
  const std::int64_t change = number ? read.integer(0) : -1;
  read.reset();
  if (!row) return std::unexpected(row.error());
  if (change < 0) return corrupt("has lost the number of its last change");
  return static_cast<std::uint64_t>(change);
}

Result<void> StateDb::Impl::apply(const RuleChange& change) {
  switch (change.what) {
    case RuleChange::What::kPut: return put(change.rule);
    case RuleChange::What::kRemove: return remove(change.rule);
    case RuleChange::What::kShare: return fleet->put(change.rule);
  }
  return fail(ErrorCode::kUsage, "a change of no kind cannot be stored");
}

Result<void> StateDb::Impl::put(const Rule& rule) {
  select_rule.bind(1, static_cast<std::int64_t>(rule.kind));
  select_rule.bind_blob(2, bytes_of(rule.scope));
  select_rule.bind_blob(3, bytes_of(rule.value));
  const Result<bool> row = select_rule.step();
  Result<StoredRule> stored = row && *row ? read_rule(select_rule) : Result<StoredRule>();
  select_rule.reset();
  if (!row) return std::unexpected(row.error());
  if (!stored) return std::unexpected(stored.error());
  Rule merged = rule;
  if (*row) {
    // BOOTTIME of another boot cannot be compared; the new rule's creation is later than the old one's in any
    // case.
    if (stored->boot_id != boot_id) stored->rule.created_boot_ns = rule.created_boot_ns;
    merged = merged_rule(rule, stored->rule);
  }
  put_rule.bind(1 + kKind, static_cast<std::int64_t>(merged.kind));
  put_rule.bind_blob(1 + kScope, bytes_of(merged.scope));
  put_rule.bind_blob(1 + kValue, bytes_of(merged.value));
  put_rule.bind(1 + kChange, static_cast<std::int64_t>(merged.change));
  put_rule.bind(1 + kNotBefore, merged.not_before_ns);
  put_rule.bind(1 + kCreatedWall, merged.created_wall_ns);
  put_rule.bind(1 + kCreatedBoot, merged.created_boot_ns);
  put_rule.bind_text(1 + kBootId, boot_id);
  put_rule.bind(1 + kLife, merged.life_ns);
  put_rule.bind(1 + kChecksum, row_checksum(merged, boot_id));
  return put_rule.run();
}

Result<void> StateDb::Impl::remove(const Rule& rule) {
  remove_rule.bind(1, static_cast<std::int64_t>(rule.kind));
  remove_rule.bind_blob(2, bytes_of(rule.scope));
  remove_rule.bind_blob(3, bytes_of(rule.value));
  remove_rule.bind(4, static_cast<std::int64_t>(rule.change));
  return remove_rule.run();
}

Result<void> StateDb::Impl::raise_last_change(std::uint64_t change) {
  write_change.bind(1, static_cast<std::int64_t>(change));
  if (Result<void> raised = write_change.run(); !raised) return raised;
  if (database.changes() != 1) return corrupt("has lost the number of its last change");
  return {};
}

Result<void> StateDb::commit(const std::vector<RuleChange>& changes) {
  if (changes.empty()) return {};
  for (const RuleChange& change : changes) {
    const auto fault = rule_fault(change.rule);
    if (fault) return fail(ErrorCode::kUsage, "a rule cannot be stored: " + std::string(*fault));
  }
  Result<Transaction> transaction = Transaction::begin(impl_->database, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(transaction.error());
  std::uint64_t last = 0;
  for (const RuleChange& change : changes) {
    if (Result<void> done = impl_->apply(change); !done) return done;
    last = std::max(last, change.rule.change);
  }
  if (Result<void> raised = impl_->raise_last_change(last); !raised) return raised;
  return commit_in_place(impl_->database, *transaction);
}

Result<void> StateDb::forget(std::span<const std::uint64_t> changes) {
  Result<Transaction> transaction = Transaction::begin(impl_->database, Transaction::Kind::kWrite);
  if (!transaction) return std::unexpected(transaction.error());
  for (const std::uint64_t change : changes) {
    impl_->forget_rule.bind(1, static_cast<std::int64_t>(change));
    if (Result<void> done = impl_->forget_rule.run(); !done) return done;
  }
  return commit_in_place(impl_->database, *transaction);
}

Result<std::vector<KnownGeneration>> StateDb::load_generations() {
  std::vector<KnownGeneration> generations;
  Statement& select = impl_->select_generations;
  for (;;) {
    const Result<bool> row = select.step();
    if (!row || !*row) {
      select.reset();
      if (!row) return std::unexpected(row.error());
      return generations;
    }
    KnownGeneration known{static_cast<std::uint64_t>(select.integer(0)), select.integer(1),
                          std::string(select.text(2))};
    const bool sound = select.integer(0) > 0 && known.heartbeat_timeout_ns > 0 && !known.boot_id.empty();
    if (!sound) {
      select.reset();
      return corrupt("holds a bad generation");
    }
    generations.push_back(std::move(known));
  }
}

Result<void> StateDb::put_generation(const KnownGeneration& generation) {
  const auto number = static_cast<std::int64_t>(generation.number);
  if (number <= 0 || generation.heartbeat_timeout_ns <= 0 || generation.boot_id.empty()) {
    return fail(ErrorCode::kUsage,
                "a generation needs a number, a heartbeat timeout and a boot id to be stored");
  }
  impl_->put_generation.bind(1, number);
  impl_->put_generation.bind(2, generation.heartbeat_timeout_ns);
  impl_->put_generation.bind_text(3, generation.boot_id);
  return impl_->put_generation.run();
}

Result<void> StateDb::remove_generation(std::uint64_t number) {
  impl_->remove_generation.bind(1, static_cast<std::int64_t>(number));
  return impl_->remove_generation.run();
}

Result<std::vector<KnownCursor>> StateDb::load_cursors() {
  std::vector<KnownCursor> cursors;
  Statement& select = impl_->select_cursors;
  for (;;) {
    const Result<bool> row = select.step();
    if (!row || !*row) {
      select.reset();
      if (!row) return std::unexpected(row.error());
      return cursors;
    }
    KnownCursor known{static_cast<std::uint64_t>(select.integer(0)), {std::string(select.text(1)), std::string(select.text(2))}};
    // One that is not as it was written might lie ahead of what was heard. Without it everything is asked anew.
    if (cursor_checksum(known) == select.integer(3)) cursors.push_back(std::move(known));
  }
}

Result<void> StateDb::put_cursor(const KnownCursor& known) {
  impl_->put_cursor.bind(1, static_cast<std::int64_t>(known.profile_id));
  impl_->put_cursor.bind_text(2, known.cursor.source);
  impl_->put_cursor.bind_text(3, known.cursor.position);
  impl_->put_cursor.bind(4, cursor_checksum(known));
  return impl_->put_cursor.run();
}

FleetStore& StateDb::fleet() { return *impl_->fleet; }

}  // namespace authcached
