// What a daemon does with the tables of its predecessors before anybody may rely on it: each one that processes may
// still have mapped is adopted, or marked RETIRED, or waited for. Loop thread, before the loop runs.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/cache/state_db.hpp"
#include "daemon/cache/tables.hpp"
#include "shm/result.hpp"

namespace authcached {

struct Predecessors {
  std::optional<authcache::shm::TableFile> adoptable;  // the newest whole table of this boot and this state database
  bool rules_lost = false;       // the state database is not the one, or not all of the one, that a table obeyed
  std::int64_t unreachable_ns = 0;  // a table that nobody can retire may be believed for this long, from the start
  std::vector<std::uint64_t> unreachable;  // their numbers: they stay listed until that time has passed
  bool list_missing = false;  // nothing says which tables there were: kLostList is to be listed in their place
  // Retired tables that show the loss. Their names may go only once what stands for the lost rules is durable: a start
  // that dies before must leave them for the next one to find.
  std::vector<std::filesystem::path> evidence;
  std::vector<std::string> notes;   // sentences for the log
};

// Stands in the list for the tables of a list that is lost, so that a start during the wait for them waits anew. No
// table has this number: theirs are nanoseconds since boot.
inline constexpr std::uint64_t kLostList = 1;

struct TakeOverInput {
  std::filesystem::path runtime_dir;
  Uuid database_uuid{};
  bool database_created = false;
  bool database_set_aside = false;
  bool first_start = false;  // the operator says that no predecessor can be mapped anywhere
  std::uint64_t last_change = 0;
  std::vector<KnownGeneration> known;
};

// Looks through the runtime directory and the list in the state database. Files that cannot be adopted are retired in
// place and their names removed; corrupt ones are kept as corrupt.<name>.
[[nodiscard]] Predecessors meet_predecessors(const TakeOverInput& input);

// A new, published and not yet named table for this configuration. number must be greater than any before it.
[[nodiscard]] authcache::shm::Result<std::unique_ptr<Generation>> make_generation(const Config& config, const Uuid& database,
                                                                                   std::uint64_t number, gid_t group);
// True if a table with this header no longer is what the configuration asks for.
[[nodiscard]] bool needs_replacement(const authcache::shm::TableView& view, const TableConfig& table);

[[nodiscard]] std::array<std::uint64_t, 2> uuid_words(const Uuid& uuid);

}  // namespace authcached
