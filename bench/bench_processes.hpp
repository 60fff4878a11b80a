// Reader and writer processes that a parent switches between tasks through one shared page range. Each is
// forked from the parent and bound to one core, so that what is measured is processes on cores and nothing
// moves.
//
// The parent must have no other threads when it forks. Everything in Board is shared by all of them.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace authcache_bench {

enum class ReaderTask : std::uint32_t { kIdle, kTable, kFloor, kMap, kTimed, kExit };
enum class WriterTask : std::uint32_t { kIdle, kTable, kMap, kExit };

struct Board {
  struct alignas(128) Lane {  // of one reader, away from the others' lines
    std::atomic<ReaderTask> task{ReaderTask::kIdle};
    alignas(128) std::atomic<std::uint64_t> lookups{0};
    std::atomic<std::uint64_t> not_valid{0};
  };
  static constexpr std::size_t kBuckets =
      1 << 16;  // of kTicksPerBucket each; the last takes all that is longer
  static constexpr std::uint64_t kTicksPerBucket = 8;

  std::array<Lane, 2> readers;
  alignas(128) std::atomic<WriterTask> writer{WriterTask::kIdle};
  alignas(128) std::atomic<std::uint64_t> changes{0};
  alignas(128) std::array<std::atomic<std::uint64_t>, kBuckets> ticks{};  // of timed lookups
};

// Zeroed and shared with every process forked later; lives as long as the program.
[[nodiscard]] Board& shared_board();

// Runs body in a forked process on this core, which ends when body returns or the parent dies.
[[nodiscard]] pid_t fork_on_core(unsigned core, const std::function<void()>& body);
void wait_for(pid_t pid);

}  // namespace authcache_bench
