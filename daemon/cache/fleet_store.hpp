// What a host of a fleet keeps in its state database: the rules that it made itself and shares (the outbox,
// until they are known to be in the stream, and after that what it puts back should the server lose them),
// and up to where it heard the others. A part of StateDb: its thread, its transactions, its schema.
//
// Invariants: a shared rule is stored in the transaction that makes the rule itself durable; it is marked
// published only after it was read back from the stream; of one identity the latest published one stays,
// until it is over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/sqlite.hpp"
#include "daemon/cache/rule_set.hpp"
#include "shm/result.hpp"

namespace authcached {

struct FleetCursor {
  std::string source;    // which stream
  std::string position;  // in it, as its transport writes it
  bool operator==(const FleetCursor&) const = default;
};

struct SharedRule {
  Rule rule;  // change: of this host
  bool published = false;
};

class FleetStore {
 public:
  // The step of the schema that makes its tables.
  [[nodiscard]] static const char* schema();

  static authcache::shm::Result<FleetStore> prepare(Database& database);

  // Within the caller's transaction.
  [[nodiscard]] authcache::shm::Result<void> put(const Rule& rule);

  // In order of change. A row that is not as it was written is kCorrupt.
  [[nodiscard]] authcache::shm::Result<std::vector<SharedRule>> load();
  [[nodiscard]] authcache::shm::Result<void> mark_published(std::span<const std::uint64_t> changes);
  // They are to be published again.
  [[nodiscard]] authcache::shm::Result<void> mark_unpublished(std::span<const std::uint64_t> changes);
  [[nodiscard]] authcache::shm::Result<void> remove(std::span<const std::uint64_t> changes);

  // Nothing if there is none, or one that is not as it was written: all is then heard anew.
  [[nodiscard]] authcache::shm::Result<std::optional<FleetCursor>> cursor();
  [[nodiscard]] authcache::shm::Result<void> put_cursor(const FleetCursor& cursor);

 private:
  FleetStore(Database& database, std::vector<Statement> made);
  authcache::shm::Result<void> each(Statement& statement, std::span<const std::uint64_t> changes);

  Database* database_;
  Statement put_, load_, publish_, supersede_, unpublish_, remove_, cursor_, put_cursor_;
};

}  // namespace authcached
