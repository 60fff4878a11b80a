// Fills a cold table with the sessions made last, so that the first minutes after a start are not a burst of
// misses: for each profile with `warm`, slice by slice, each read by the store's own thread between other
// questions. A slice is asked for only once the one before it is in the table, so a miss waits for one at
// most.
//
// Invariants
// 1. Each record passes admission like any other, with the epoch at which its slice set out: a session that
// was
//    revoked, or a table that was flushed, meanwhile brings none.
// 2. A record that is there already stays where it is: a miss came first, and a pin may hold it.
// 3. It ends when the table is full: what is asked for is worth more than what may be.
// 4. Under a configuration that a reload changed it goes no further.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/wall_clock.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/upstream/session_lister.hpp"

namespace authcached {

class Warmer {
 public:
  // A record takes a few microseconds to admit: a slice is well under the 5 ms that bulk work may hold the
  // loop for.
  static constexpr std::size_t kSlice = 256;

  struct Progress {
    std::string profile;
    std::uint64_t wanted = 0;   // records
    std::uint64_t warmed = 0;   // made
    std::uint64_t known = 0;    // that a question had made before
    std::uint64_t refused = 0;  // by a rule or a flush, or because their time was over
    std::int64_t took_ns = 0;   // until now, or in all
    std::string stopped;        // why it ended early; a sentence
    bool done = false;
  };

  // profiles: those at work at any time, also after a reload.
  Warmer(Tables& tables, Admission& admission, const Profiles& profiles, const Clock& clock, WallClock& wall)
      : tables_(tables), admission_(admission), profiles_(profiles), clock_(clock), wall_(wall) {}

  using Ended = std::function<void(const Progress&)>;
  // Once, for a table that began empty; ended is called once for each profile.
  void start(Ended ended);
  [[nodiscard]] std::vector<Progress> progress() const;

 private:
  struct Run {
    Progress progress;
    std::shared_ptr<const Profile> profile;  // null once done
    RecentQuery query;
    std::int64_t began_ns = 0;
  };
  void next(const std::shared_ptr<Run>& run);
  void take(Run& run, const RecentSessions& listed, std::uint64_t epoch);
  void end(Run& run, std::string stopped);
  [[nodiscard]] bool is_full() const;

  Tables& tables_;
  Admission& admission_;
  const Profiles& profiles_;
  const Clock& clock_;
  WallClock& wall_;
  Ended ended_;
  std::vector<std::shared_ptr<Run>> runs_;
};

}  // namespace authcached
