// Keeps idle timeouts true although hits touch no database: tells the stores of sliding sessions, a batch at
// a time, which sessions were used, and lets the records of those live on by what the stores answer.
//
// A pass over the tables begins once in an interval and collects the slots whose hints say "used". What a
// hint says is only that the record was used since its slot was looked at last, so the use is told as of the
// beginning of the pass before: never later than it was. What a store answers passes admission like any
// proof.
//
// Invariants
// 1. No session lives longer for it than idle_timeout behind a use; it may end two intervals early.
// 2. A use is forgotten here only once it is in a batch; a batch that could not be written is tried again
// before the
//    pass goes on, with the moment that it told.
// 3. One batch of a profile is under way at a time, so nothing grows while a database is slow: hints wait
// where they are.
//
// Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/upstream/session_uses.hpp"

namespace authcached {

class UseWriter {
 public:
  // Slots seen, records in use looked at, whosever they are, and uses taken, in a turn of the loop: each is
  // under the 5 ms that bulk work may take, and a table of ten million records is seen in ten seconds.
  static constexpr std::size_t kSlotsPerTurn = 32'768;
  static constexpr std::size_t kLooksPerTurn = 4'096;
  static constexpr std::size_t kUsesPerTurn = 512;
  static constexpr std::int64_t kRetryNs = 1'000'000'000;

  struct Counters {
    std::uint64_t passes = 0;
    std::uint64_t written = 0;   // uses that a store took down
    std::uint64_t extended = 0;  // records that live on
    std::uint64_t ended = 0;     // whose session was over
    std::uint64_t failed = 0;    // batches that could not be written, and are tried again
  };

  // profiles: those at work at any time, also after a reload.
  UseWriter(Tables& tables, Admission& admission, const Profiles& profiles, const Clock& clock)
      : tables_(tables),
        admission_(admission),
        profiles_(profiles),
        clock_(clock),
        began_boot_ns_(clock.boot_ns()) {}

  // To be called every few milliseconds.
  void tick();
  [[nodiscard]] const Counters& counters() const { return counters_; }

  // How often a profile's uses are written: ten times in idle_timeout, so that little of it is lost, and
  // three times in ttl_max, so that a record in use never reaches its deadline.
  [[nodiscard]] static std::int64_t interval_ns(const ProfileConfig& profile);

 private:
  struct Batch {
    std::shared_ptr<const Profile> profile;
    std::vector<SessionUse> uses;
    std::vector<authcache::shm::Key> keys;  // of the records, one for each use
    std::vector<Places> standing;
  };
  struct Scan {
    std::uint64_t generation;
    Generation::ScanId id;
  };

  void begin_pass(std::int64_t boot_now_ns);
  void go_on(std::int64_t boot_now_ns);
  bool take_use(Generation& generation, std::uint64_t slot, std::int64_t seen_wall_ns);
  void end_pass();
  void send(Batch batch);
  void land(Batch batch, authcache::shm::Result<std::vector<Proof>> proofs, std::uint64_t epoch);
  void admit(const Batch& batch, std::size_t at, const Proof& proof, std::uint64_t epoch);

  Tables& tables_;
  Admission& admission_;
  const Profiles& profiles_;
  const Clock& clock_;
  std::int64_t began_boot_ns_;       // this pass, or the last one
  std::int64_t before_boot_ns_ = 0;  // the pass before this one: all that is found was used since
  std::vector<Scan> scans_;          // still to come of this pass; empty between two
  std::vector<Batch> taken_;         // of this turn
  std::vector<Batch> failed_;
  std::int64_t retry_boot_ns_ = 0;
  std::size_t under_way_ = 0;
  Counters counters_;
};

}  // namespace authcached
