// What the writer process does: changes at an even rate while the board asks for them, and the heartbeat. It
// is the only process that writes the table; the other processes' copies of the writer's private state are
// dead from the fork on.
#pragma once

#include <chrono>
#include <random>
#include <thread>

#include "bench/bench_processes.hpp"
#include "bench/bench_reader.hpp"
#include "bench/table_fixture.hpp"
#include "shm/coarse_clock.hpp"

namespace authcache_bench {

inline constexpr std::uint64_t kChangesPerSecond = 100'000;
inline constexpr std::uint64_t kValueLifeNs =
    24 * 3600 * authcache::shm::kNsPerSecond;  // none ends while it is measured

// Behind its time by more than a moment it goes on from now:
// the rate that it reached is reported.
inline void write_until_exit(FilledTable& table, SharedMap& map, const Tokens& tokens, Board& board) {
  constexpr std::chrono::nanoseconds kBetween(1'000'000'000 / kChangesPerSecond);
  std::mt19937_64 random(20'240'303);
  std::chrono::steady_clock::time_point next = std::chrono::steady_clock::now(), beaten = next;
  table.beat();
  for (;;) {
    const WriterTask task = board.writer.load(std::memory_order_relaxed);
    if (task == WriterTask::kExit) return;
    if (task == WriterTask::kIdle) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
    if (now - beaten > std::chrono::milliseconds(100)) {
      table.beat();
      beaten = now;
    }
    if (task == WriterTask::kIdle || now - next > std::chrono::milliseconds(10)) next = now;
    if (task == WriterTask::kIdle || now < next) continue;
    next += kBetween;
    const std::string_view token = tokens[random() % tokens.size()];
    if (task == WriterTask::kTable) {
      table.change(token);
    } else {
      map.change(key_for(token), make_value<HitValue>(authcache::shm::coarse_now_ns() + kValueLifeNs));
    }
    board.changes.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace authcache_bench
