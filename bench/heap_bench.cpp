// What the daemon keeps beside the table: its resident memory without the pages of table files, over the size of
// the table, once the table holds a million sessions of as many subjects.
//
// usage: heap_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/session_daemon.hpp"
#include "shm/table_file.hpp"

namespace {

using namespace authcache_bench;

constexpr std::size_t kSessions = 1'000'000;
constexpr double kKib = 1'024.0;

struct Resident {
  double table_kib = 0;
  double other_kib = 0;
};

// proc_pid_smaps(5): a line of address range, rights, offset, device and inode heads each mapping, "Rss:" says what
// of it is in memory. A table got its name only after it was mapped, so it is known by its inode.
Resident resident(pid_t pid, ino_t table_inode) {
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
  Resident sum;
  bool table = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string first, rights, offset, device;
    words >> first;
    if (!first.ends_with(':')) {
      ino_t inode = 0;
      words >> rights >> offset >> device >> inode;
      table = inode == table_inode;
    } else if (first == "Rss:") {
      double kib = 0;
      words >> kib;
      (table ? sum.table_kib : sum.other_kib) += kib;
    }
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: heap_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const std::filesystem::path runtime = argv[2];
  const SessionDaemon daemon(argv[1], runtime, argv[3], {.capacity = kSessions, .sessions = kSessions});
  struct stat table {};
  if (::stat((runtime / authcache::shm::kTableName).c_str(), &table) != 0) die("there is no table");
  const double table_kib = static_cast<double>(table.st_size) / kKib;
  const Resident empty = resident(daemon.pid(), table.st_ino);
  daemon.ask_all();
  const Resident full = resident(daemon.pid(), table.st_ino);
  if (full.table_kib < table_kib / 2) die("the table's mapping was not found among the daemon's");
  FlatReport report;
  report.add("daemon_heap_over_table_1m", full.other_kib / table_kib);
  report.add("daemon_heap_mib_1m", full.other_kib / kKib);
  report.add("daemon_heap_mib_empty", empty.other_kib / kKib);
  report.add("table_mib_1m", table_kib / kKib);
  report.write(argv[4]);
  return 0;
}
