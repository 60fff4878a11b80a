// Readers in processes of their own: two beside one, one beside a writer that changes 100 000 records a
// second on the other core, and how long the slowest of its lookups take; the shared map of
// Boost.Interprocess in the same places.
//
// Each round takes every arrangement once, in random order, for one window; a window begins after its
// processes have run for a while. Rates are lookups in a window over its length. Tokens are those of
// hit_bench, in their order, all loops dependent. A change is what a revalidation makes: for our table, the
// old record ends and another is published; for the map, its value is overwritten under the exclusive lock.
//
// usage: reader_bench DIRECTORY RECORDS OUT.json
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "bench/bench_processes.hpp"
#include "bench/bench_reader.hpp"
#include "bench/bench_writer.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/floor.hpp"
#include "bench/interprocess_peer.hpp"
#include "bench/table_fixture.hpp"
#include "shm/coarse_clock.hpp"

namespace {

using namespace authcache_bench;
using authcache::shm::coarse_now_ns;
using authcache::shm::Key;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr auto kWarmUp = std::chrono::milliseconds(100);
constexpr auto kWindow = std::chrono::milliseconds(400);

struct Arrangement {
  const char* name;
  ReaderTask task;
  std::size_t readers;
  WriterTask writer;
};
constexpr Arrangement kArrangements[] = {
    {"table_1", ReaderTask::kTable, 1, WriterTask::kIdle},
    {"table_2", ReaderTask::kTable, 2, WriterTask::kIdle},
    {"floor_1", ReaderTask::kFloor, 1, WriterTask::kIdle},
    {"floor_2", ReaderTask::kFloor, 2, WriterTask::kIdle},
    {"table_writer", ReaderTask::kTable, 1, WriterTask::kTable},
    {"table_timed", ReaderTask::kTimed, 1, WriterTask::kTable},
    {"map_1", ReaderTask::kMap, 1, WriterTask::kIdle},
    {"map_writer", ReaderTask::kMap, 1, WriterTask::kMap},
};

class Conductor {
 public:
  Conductor(Board& board, FlatReport& report) : board_(board), report_(report) {}

  void play(const Arrangement& arrangement) {
    board_.writer = arrangement.writer;
    for (std::size_t i = 0; i < arrangement.readers; ++i) board_.readers[i].task = arrangement.task;
    std::this_thread::sleep_for(kWarmUp);
    const Sums before = sums();
    const auto begun = Clock::now();
    std::this_thread::sleep_for(kWindow);
    const Sums after = sums();
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    for (auto& lane : board_.readers) lane.task = ReaderTask::kIdle;
    board_.writer = WriterTask::kIdle;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::string name = arrangement.name;
    report_.add(name + "_per_s", static_cast<double>(after.lookups - before.lookups) / seconds);
    if (arrangement.writer == WriterTask::kIdle && after.not_valid != before.not_valid)
      die("a lookup beside no writer was not valid");
    if (arrangement.writer == WriterTask::kIdle) return;
    report_.add(name + "_changes_per_s", static_cast<double>(after.changes - before.changes) / seconds);
    // A reader that a lock held up for the whole window made none.
    const double lookups = std::max(1.0, static_cast<double>(after.lookups - before.lookups));
    report_.add(name + "_not_valid", static_cast<double>(after.not_valid - before.not_valid) / lookups);
  }

  void report_tail() const {
    report_.add("timed_p50_ticks", percentile(0.5));
    report_.add("timed_p999_ticks", percentile(0.999));
    report_.add("timed_empty_ticks", empty_ticks());
  }

 private:
  struct Sums {
    std::uint64_t lookups = 0, not_valid = 0, changes = 0;
  };
  [[nodiscard]] Sums sums() const {
    Sums sums{.changes = board_.changes};
    for (const auto& lane : board_.readers) {
      sums.lookups += lane.lookups;
      sums.not_valid += lane.not_valid;
    }
    return sums;
  }

  [[nodiscard]] double percentile(double share) const {
    std::uint64_t all = 0, seen = 0;
    for (const auto& count : board_.ticks) all += count;
    for (std::size_t bucket = 0; bucket < Board::kBuckets; ++bucket) {
      seen += board_.ticks[bucket];
      if (static_cast<double>(seen) >= share * static_cast<double>(all))
        return static_cast<double>(bucket * Board::kTicksPerBucket);
    }
    return 0;
  }

  // What the two looks at the counter take themselves.
  static double empty_ticks() {
    std::uint64_t least = UINT64_MAX;
    unsigned core;
    for (int i = 0; i < 10'000; ++i) {
      _mm_lfence();
      const std::uint64_t begun = __rdtsc();
      _mm_lfence();
      least = std::min<std::uint64_t>(least, __rdtscp(&core) - begun);
    }
    return static_cast<double>(least);
  }

  Board& board_;
  FlatReport& report_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) die("usage: reader_bench DIRECTORY RECORDS OUT.json");
  const std::filesystem::path directory = argv[1];
  const Tokens tokens(std::stoull(argv[2]), kOpaqueTokenBytes, kPresentSeed);
  FilledTable table(directory, tokens, subject_and_scopes());
  const FloorRegion floor(directory, table.writer().view().geometry.slots);
  std::vector<Key> keys;
  for (const std::uint32_t i : filling_order(tokens.size())) keys.push_back(key_for(tokens[i]));
  SharedMap map(directory, keys, make_value<HitValue>(coarse_now_ns() + kValueLifeNs));

  Board& board = shared_board();
  // One reader alone and the writer never share a core.
  const pid_t writer = fork_on_core(1, [&] { write_until_exit(table, map, tokens, board); });
  pid_t readers[2];
  for (unsigned i = 0; i < 2; ++i) {
    readers[i] = fork_on_core(i, [&, i] { Reader(directory, tokens, floor, map, board, i).run(); });
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));  // both touch all records
  FlatReport report;
  Conductor conductor(board, report);
  std::vector<Arrangement> order(std::begin(kArrangements), std::end(kArrangements));
  std::mt19937_64 random(20'240'304);
  for (int round = 0; round < kRounds; ++round) {
    std::ranges::shuffle(order, random);
    for (const Arrangement& arrangement : order) conductor.play(arrangement);
  }
  conductor.report_tail();
  for (auto& lane : board.readers) lane.task = ReaderTask::kExit;
  for (const pid_t reader : readers) wait_for(reader);
  board.writer = WriterTask::kExit;
  wait_for(writer);
  report.write(argv[3]);
  return 0;
}
