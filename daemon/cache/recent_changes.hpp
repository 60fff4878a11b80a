// Which names changed lately, each with the epoch from which on flights know of it: a question that set out
// before a change may bring back the answer from before it. Loop thread only.
//
// Bounded, and wrong in one direction only: of what fell out of it all earlier flights of that profile are
// taken to be reached, and names whose hashes are equal share their changes. A flight that is reached wrongly
// is asked again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <unordered_map>

#include "daemon/base/proof.hpp"
#include "daemon/upstream/session_change.hpp"

namespace authcached {

class RecentChanges {
 public:
  // Of one profile. At 10 000 changes a second, six seconds: longer than upstream_timeout lets a flight live
  // by default. About 5 MB.
  static constexpr std::size_t kNamesMax = 65'536;

  // Flights that begin at this epoch or later know of the change.
  void note(std::uint64_t profile_id, const SessionChange& change, std::uint64_t epoch);
  // Who was proven, and from when: the epoch at which the flight began that brought the proof.
  struct Proven {
    std::uint64_t profile_id = 0;
    const Sha256& token;
    std::string_view sid, subject;
    std::uint64_t epoch = 0;
  };
  // True if what a flight brings may be from before a change of its token, of the session or subject that it
  // names, or of the whole profile.
  [[nodiscard]] bool reach_flight(const Proven& proven) const;
  // The same of a record that stands and is to be moved. What fell out of here was done: no job looks for it
  // any more.
  [[nodiscard]] bool reach_record(const Proven& proven) const;

 private:
  struct Noted {
    std::uint64_t name;  // hash
    std::uint64_t epoch;
  };
  struct OfProfile {
    std::uint64_t all = 0;                                    // the last change of the whole profile
    std::uint64_t forgotten = 0;                              // the last that fell out
    std::unordered_map<std::uint64_t, std::uint64_t> epochs;  // by hash of the name
    std::deque<Noted> order;
  };
  std::map<std::uint64_t, OfProfile> profiles_;
};

}  // namespace authcached
