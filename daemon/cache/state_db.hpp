// The state database (state_dir/state.db): revocation rules, the generations that predecessors may have left
// mapped, and how far the changes of databases were read. SQLite in WAL mode with synchronous=FULL. Not thread-safe: one worker thread owns it after
// opening.
//
// Invariants: what a commit acknowledged is there after a crash at any moment; last_change never goes down
// except by damage or a restored copy, which is how a caller that kept the number sees either; a stored
// not-before or retention never shrinks but by kRemove; after an error the connection works on.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/cache/fleet_store.hpp"
#include "daemon/cache/rule_set.hpp"
#include "daemon/upstream/change_feed.hpp"
#include "shm/result.hpp"

namespace authcached {

using Uuid = std::array<std::uint8_t, 16>;

struct KnownGeneration {
  std::uint64_t number;
  std::int64_t heartbeat_timeout_ns;
  std::string boot_id;  // of the boot in which it was created: a table on tmpfs does not outlive it
};

struct RuleChange {
  enum class What : std::uint8_t { kPut, kRemove, kShare /* with the fleet; makes no rule here */ } what;
  Rule rule;  // kRemove: kind, scope, value and change
};

// How far a profile's database was heard: what it told until then has reached every table. Not a rule: an older one
// only makes the daemon hear again what it knows, and without one all of the profile is asked for anew.
struct KnownCursor {
  std::uint64_t profile_id = 0;
  FeedCursor cursor;
};

class StateDb {
 public:
  // Opens or creates. A file that is not our database, or is damaged (structure, any rule), is kCorrupt: the caller
  // sets it aside (set_aside) and opens anew. One of a newer version is kRefused, a locked one kUnavailable:
  // neither is damage. boot_id is the current boot's; empty asks the kernel.
  static authcache::shm::Result<StateDb> open(const std::filesystem::path& file, std::string boot_id = {});
  // Renames file, -wal and -shm to <name>.corrupt-<n>, keeping every earlier one; returns the main file's new
  // name.
  static authcache::shm::Result<std::filesystem::path> set_aside(const std::filesystem::path& file);

  StateDb(StateDb&&) noexcept;
  StateDb& operator=(StateDb&&) noexcept;
  ~StateDb();

  [[nodiscard]] const Uuid& uuid() const;  // made at creation; a table names the database that it belongs to
  [[nodiscard]] bool created() const;      // true if open made it
  // All marked durable. created_boot_ns becomes boot_now_ns for rules of an earlier boot: their retention by
  // BOOTTIME begins again, because nobody counted while the machine was off. A row that we would not write is
  // kCorrupt. In order of change.
  authcache::shm::Result<std::vector<Rule>> load_rules(std::int64_t boot_now_ns);
  authcache::shm::Result<std::uint64_t> last_change();  // greatest change number ever committed
  // One transaction, durable when it returns ok; last_change becomes the greatest number in it. kPut merges
  // with what is stored (merged_rule); kRemove spares a rule with a later change than its own.
  authcache::shm::Result<void> commit(const std::vector<RuleChange>& changes);
  // Deletes the rules whose latest change is one of these: what RuleSet::purge returned. last_change stays.
  authcache::shm::Result<void> forget(std::span<const std::uint64_t> changes);

  authcache::shm::Result<std::vector<KnownGeneration>> load_generations();
  authcache::shm::Result<void> put_generation(const KnownGeneration& generation);
  authcache::shm::Result<void> remove_generation(std::uint64_t number);

  authcache::shm::Result<std::vector<KnownCursor>> load_cursors();
  authcache::shm::Result<void> put_cursor(const KnownCursor& known);
  [[nodiscard]] FleetStore& fleet();

 private:
  struct Impl;
  explicit StateDb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
