// What a reader process does: the lookups that the board asks for, one block after another, until it is told
// to end. All loops are dependent. One thread for each Reader; the peer and the region are those that the
// process inherited.
#pragma once

#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/bench_processes.hpp"
#include "bench/dependence.hpp"
#include "bench/floor.hpp"
#include "bench/interprocess_peer.hpp"
#include "bench/table_fixture.hpp"

namespace authcache_bench {

using SharedMap = InterprocessPeer<HitValue>;

class Reader {
 public:
  Reader(const std::filesystem::path& directory, const Tokens& tokens, const FloorRegion& floor,
         SharedMap& map, Board& board, std::size_t lane)
      : tokens_(tokens),
        floor_(floor),
        map_(map),
        board_(board),
        lane_(board.readers[lane]),
        client_(directory),
        at_(lane * tokens.size() / 2) {
    client_.touch_all(tokens);
  }

  void run() {
    for (;;) {
      switch (lane_.task.load()) {
        case ReaderTask::kIdle: std::this_thread::sleep_for(std::chrono::milliseconds(1)); continue;
        case ReaderTask::kTable: block([this] { return table(); }); break;
        case ReaderTask::kFloor: block([this] { return floor(); }); break;
        case ReaderTask::kMap: block([this] { return map(); }); break;
        case ReaderTask::kTimed: block([this] { return timed(); }); break;
        case ReaderTask::kExit: return;
      }
    }
  }

 private:
  static constexpr std::size_t kBlock = 256;  // lookups between two looks at the board

  template <class LookUp>
  void block(LookUp look_up) {
    std::uint64_t not_valid = 0;
    for (std::size_t i = 0; i < kBlock; ++i) not_valid += look_up() ? 0 : 1;
    lane_.lookups.fetch_add(kBlock, std::memory_order_relaxed);
    lane_.not_valid.fetch_add(not_valid, std::memory_order_relaxed);
  }

  bool table() {
    const bool valid = client_.lookup(tokens_[at_], &identity_) == AUTHCACHE_VALID;
    at_ = following(at_, tokens_.size(), identity_.deadline_ns);
    return valid;
  }
  bool floor() {
    const std::uint64_t loaded = floor_.load(tokens_[at_]);
    const bool now = authcache::shm::coarse_now_ns() != 0;
    at_ = following(at_, tokens_.size(), loaded);
    return now;
  }
  bool map() {
    const bool valid =
        map_.get(key_for(tokens_[at_]), value_) && value_.deadline_ns > authcache::shm::coarse_now_ns();
    at_ = following(at_, tokens_.size(), value_.deadline_ns ^ value_.place[5]);
    return valid;
  }
  bool timed() {
    unsigned core;
    _mm_lfence();
    const std::uint64_t begun = __rdtsc();
    _mm_lfence();
    const bool valid = table();
    const std::uint64_t ticks = __rdtscp(&core) - begun;
    const std::size_t bucket = std::min<std::uint64_t>(ticks / Board::kTicksPerBucket, Board::kBuckets - 1);
    board_.ticks[bucket].fetch_add(1, std::memory_order_relaxed);
    return valid;
  }

  const Tokens& tokens_;
  const FloorRegion& floor_;
  SharedMap& map_;
  Board& board_;
  Board::Lane& lane_;
  Client client_;
  std::size_t at_;
  authcache_identity identity_ = AUTHCACHE_IDENTITY_INIT;
  HitValue value_{};
};

}  // namespace authcache_bench
