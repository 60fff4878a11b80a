// What follows from what databases tell of their changes: records of whom they are about die, and the cursor
// that says so becomes durable after them. While it is not known whether there were changes, a profile's
// records are not served (changes_lost), nor are those of a predecessor before all was heard that happened
// meanwhile. Loop thread only.
//
// A cursor is only ever older than what the tables know: hearing again does no harm.
#pragma once

#include <memory>
#include <vector>

#include "daemon/cache/change_applier.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/upstream/change_feed.hpp"

namespace authcached {

class ChangeWatch {
 public:
  // Between two times that a cursor is stored: each is a sync of the disk, and costs no more than as much
  // heard again.
  static constexpr std::int64_t kStoreEvery_ns = 1'000'000'000;

  // known: what a predecessor stored.
  ChangeWatch(Tables& tables, Admission& admission, StateWriter& state, Executor& loop, const Clock& clock,
              std::vector<KnownCursor> known);
  ~ChangeWatch();

  // From now on these are the profiles. records_stand: the table may hold records of those that were not
  // followed before; they wait until all that happened since is known. To be called before clients hear of
  // the profiles.
  void follow(const Profiles& profiles, bool records_stand);
  void tick();  // a few times a second

 private:
  class Followed;
  Tables& tables_;
  ChangeApplier applier_;
  StateWriter& state_;
  const Clock& clock_;
  std::vector<KnownCursor> known_;
  std::vector<std::shared_ptr<Followed>> followed_;
};

}  // namespace authcached
