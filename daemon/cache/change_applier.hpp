// Takes in what a database tells of its changes: what was known of whom they are about dies, so that the next
// one who asks is answered by the database, and no question that set out before brings the old answer back.
// No rule is made: the database is the truth and will be asked. Loop thread only.
//
// Order: flights are told from those to come, then records die, a slice at a time, then done. A record that a
// later flight brings meanwhile may die too; it is asked for again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "daemon/cache/admission.hpp"
#include "daemon/cache/bulk_kill.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/upstream/session_change.hpp"

namespace authcached {

class ChangeApplier {
 public:
  using Done = std::move_only_function<void(std::uint64_t killed)>;

  ChangeApplier(Tables& tables, Admission& admission, Executor& loop)
      : tables_(tables), admission_(admission), bulk_(tables, loop) {}

  // May call done before it returns.
  void apply(std::uint64_t profile_id, std::span<const SessionChange> changes, Done done);
  // From time to time: kills that stopped for want of memory go on.
  void resume() { bulk_.resume(); }

 private:
  struct Batch;
  void forget_named(std::uint64_t profile_id, NameKind kind, const std::string& name,
                    const std::shared_ptr<Batch>& batch);

  Tables& tables_;
  Admission& admission_;
  BulkKill bulk_;
};

}  // namespace authcached
