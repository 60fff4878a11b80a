#include "daemon/cache/take_over.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ranges>

#include "daemon/base/config_ranges.hpp"
#include "shm/boot_id.hpp"

namespace authcached {

namespace shm = authcache::shm;
using A = shm::StdAtomics;

namespace {

std::uint64_t negative_max(const TableConfig& table) { return table.capacity * table.negative_percent / 100; }

std::uint64_t heartbeat_timeout_ns(const TableConfig& table) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(table.heartbeat_timeout).count());
}

// Marks a file RETIRED without believing anything in it: the state word lies at a fixed offset in every version.
bool retire_in_place(const std::filesystem::path& file) {
  const shm::UniqueFd fd(::open(file.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat inode;
  if (!fd || ::fstat(fd.get(), &inode) != 0 || !S_ISREG(inode.st_mode)) return false;
  if (inode.st_size < static_cast<off_t>(sizeof(shm::Header))) return true;  // nobody could have attached to it
  const std::uint64_t retired = static_cast<std::uint64_t>(shm::TableState::kRetired);
  return ::pwrite(fd.get(), &retired, sizeof retired, offsetof(shm::Header, state)) == sizeof retired;
}

class Meeting {
 public:
  Meeting(const TakeOverInput& input, Predecessors& found) : input_(input), found_(found) {}

  void look_at(std::uint64_t generation) {
    const auto file = input_.runtime_dir / shm::table_file_name(generation);
    auto table = shm::open_table(file, {.writable = true});
    if (!table) return set_aside(generation, file, table.error());
    if (!obeys_our_database(table->view)) {
      found_.rules_lost = true;
      retire(*table, file, "it obeyed another state database, or a later state of this one");
      return found_.evidence.push_back(file);
    }
    if (found_.adoptable) {
      retire(*table, file, "a later one is there");
      ::unlink(file.c_str());
      return;
    }
    found_.adoptable = std::move(*table);
  }

  void drop_adoptable() {
    if (!found_.adoptable) return;
    const auto file = input_.runtime_dir / shm::table_file_name(found_.adoptable->view.generation);
    retire(*found_.adoptable, file, "the state database lost rules that it obeyed");
    found_.evidence.push_back(file);
    found_.adoptable.reset();
  }

 private:
  bool obeys_our_database(const shm::TableView& view) const {
    const auto uuid = uuid_words(input_.database_uuid);
    return A::load_relaxed(view.header().database_uuid[0]) == uuid[0] &&
           A::load_relaxed(view.header().database_uuid[1]) == uuid[1] &&
           A::load_relaxed(view.header().durable_change) <= input_.last_change;
  }

  void retire(const shm::TableFile& table, const std::filesystem::path& file, const std::string& why) {
    A::store_release(table.view.header().state, static_cast<std::uint64_t>(shm::TableState::kRetired));
    found_.notes.push_back("retired " + file.filename().string() + ": " + why);
  }

  void set_aside(std::uint64_t generation, const std::filesystem::path& file, const shm::Error& error) {
    const auto aside = file.parent_path() / ("corrupt." + file.filename().string());
    const bool retired = retire_in_place(file);
    if (!retired) {
      // Listed as long as it is waited for, so that a start during the wait waits too.
      found_.unreachable_ns = std::max(found_.unreachable_ns, longest_timeout_ns());
      found_.unreachable.push_back(generation);
    }
    ::rename(file.c_str(), aside.c_str());
    found_.notes.push_back("set aside as " + aside.filename().string() + ": " + error.message);
  }

  static std::int64_t longest_timeout_ns() { return std::chrono::nanoseconds(kHeartbeatTimeoutRange.high).count(); }

  const TakeOverInput& input_;
  Predecessors& found_;
};

}  // namespace

std::array<std::uint64_t, 2> uuid_words(const Uuid& uuid) {
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), uuid.data(), sizeof words);
  return words;
}

Predecessors meet_predecessors(const TakeOverInput& input) {
  Predecessors found;
  auto files = shm::list_generations(input.runtime_dir);
  found.rules_lost = input.database_set_aside || (input.database_created && !files.empty());
  Meeting meeting(input, found);
  for (const std::uint64_t generation : files | std::views::reverse) meeting.look_at(generation);
  if (found.rules_lost) meeting.drop_adoptable();

  // A table whose name is gone may still be mapped, and nothing reaches it: it dies by its heartbeat.
  const auto boot = shm::current_boot_id();
  for (const KnownGeneration& known : input.known) {
    const bool this_boot = boot && known.boot_id == shm::boot_id_text(*boot);
    if (!this_boot || std::ranges::binary_search(files, known.number)) continue;
    if (known.number == kLostList && input.first_start) continue;
    found.unreachable_ns = std::max(found.unreachable_ns, known.heartbeat_timeout_ns);
    found.unreachable.push_back(known.number);
    found.notes.push_back("table " + std::to_string(known.number) + " has no name left: acknowledgements wait until its heartbeat_timeout has passed");
  }
  found.list_missing = (input.database_created || input.database_set_aside || input.known.empty()) && !input.first_start;
  if (found.list_missing) {
    found.unreachable_ns = std::chrono::nanoseconds(kHeartbeatTimeoutRange.high).count();
    found.unreachable.push_back(kLostList);
    found.notes.push_back("the state database is new, so tables of an earlier one may still be mapped: acknowledgements of "
                          "revocations wait for the greatest heartbeat_timeout; start with --first-start where there was none");
  }
  return found;
}

shm::Result<std::unique_ptr<Generation>> make_generation(const Config& config, const Uuid& database, std::uint64_t number, gid_t group) {
  auto file = shm::create_table(config.runtime_dir, {.capacity = config.table.capacity,
                                                     .text_bytes_per_record = config.table.text_bytes_per_record,
                                                     .heartbeat_timeout_ns = heartbeat_timeout_ns(config.table),
                                                     .negative_max = negative_max(config.table),
                                                     .generation = number,
                                                     .database_uuid = uuid_words(database),
                                                     .group = group});
  if (!file) return std::unexpected(file.error());
  auto recency = Recency::create(file->view.geometry.slots);  // without it everything works, evicting less wisely
  return std::make_unique<Generation>(std::move(*file), recency ? std::optional(std::move(*recency)) : std::nullopt);
}

bool needs_replacement(const shm::TableView& view, const TableConfig& table) {
  return view.geometry.capacity != table.capacity || view.heartbeat_timeout_ns != heartbeat_timeout_ns(table) ||
         A::load_relaxed(view.header().text_bytes_per_record) != table.text_bytes_per_record ||
         A::load_relaxed(view.header().negative_max) != negative_max(table);
}

std::uint64_t table_bytes(const TableConfig& table) {
  return shm::make_geometry(table.capacity, table.text_bytes_per_record).file_bytes;
}

}  // namespace authcached
