// Kills that may reach any number of records, in slices of 5 ms or less between other work: one slice of one job at a
// time, the jobs in turn, so that no number of them keeps the loop from its heartbeat. Loop thread only.
//
// What stands when a job begins, in whichever generation, is dead when it says that it is done: each generation that is
// written is walked to its end, the oldest first. A copy goes from the old generation to the new one, so it is met in
// one of them; a move within one is met by NameIndex's second invariant, or by the scan's list of those that stepped
// behind it. What is admitted meanwhile is not this job's matter: a revocation has its rule in memory before it begins.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/proof.hpp"
#include "daemon/cache/name_index.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/io/executor.hpp"

namespace authcached {

class BulkKill {
 public:
  // How a record of the name dies, nothing if it is spared. kRevoked only where it surely is: whoever holds a pin on it
  // hears that it was revoked; of any other death, that the token is to be validated again.
  using Doomed = std::function<std::optional<authcache::shm::SlotState>(
      const authcache::shm::TableView&, const authcache::shm::HotRecord&, const authcache::shm::ColdRecord&)>;
  using Done = std::move_only_function<void(std::uint64_t killed)>;

  BulkKill(Tables& tables, Executor& loop);
  ~BulkKill();

  // The first slice runs now, unless others wait already; done may be called before this returns.
  void by_name(NameKind kind, std::string name, Doomed doomed, Done done);
  // Every record of one profile. Walks the whole table: for what is no revocation.
  void by_profile(std::uint64_t profile_id, Done done);
  // Every record of one profile whose signing key proves nothing any more: likewise.
  using Proves = std::function<bool(const Sha256& key)>;
  void unproven(std::uint64_t profile_id, Proves proves, Done done);
  // Every record of a profile that is not among these: likewise.
  void other_profiles(std::vector<std::uint64_t> kept, Done done);
  void negatives(Done done);
  // Every record, for what makes some of them anew: true if this one was worked on. Whatever is placed meanwhile may be
  // visited or not, and a record that was worked on may be visited again.
  using Visit = std::function<bool(Generation& generation, std::uint64_t slot)>;
  void each_record(Visit visit, Done done);
  // Goes on with what stopped because there was no memory for its next turn.
  void resume();

  [[nodiscard]] std::size_t running() const { return jobs_.size(); }

  // The unit is about a microsecond: a link of a chain followed, half a record read; a kill is eight.
  static constexpr std::uint64_t kSlice = 2'000;

  class Job;

 private:
  void begin(std::unique_ptr<Job> job);
  void turn();
  void ask_for_turn();

  Tables& tables_;
  Executor& loop_;
  std::list<std::unique_ptr<Job>> jobs_;  // they go round without memory for it
  bool turn_to_come_ = false;
};

}  // namespace authcached
