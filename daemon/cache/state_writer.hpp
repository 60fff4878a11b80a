// Makes rule changes durable: gathers what arrives while a commit runs into the next one, so that a burst of
// revocations shares fsyncs. Loop thread; the database itself is touched by its worker alone.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "daemon/cache/state_db.hpp"
#include "daemon/io/executor.hpp"

namespace authcached {

class StateWriter {
 public:
  using Done = std::move_only_function<void(authcache::shm::Result<void>)>;

  StateWriter(StateDb db, Executor& worker, Executor& loop);
  ~StateWriter();

  // done runs on the loop, after a commit that covers these changes, or with its error. In order.
  void commit(std::vector<RuleChange> changes, Done done);
  void forget(std::vector<std::uint64_t> changes);  // purged rules; a failure keeps them a while longer
  void put_generation(const KnownGeneration& generation, Done done);
  void remove_generation(std::uint64_t number);
  void put_cursor(KnownCursor known, Done done);
  // work runs on the database's thread.
  using FleetWork = std::function<authcache::shm::Result<void>(FleetStore&)>;
  void with_fleet(FleetWork work, Done done);

 private:
  struct Shared;
  struct Batch;
  template <class Work>
  void ask(Work work, Done done);
  void pump();
  void finish(Batch& batch);

  std::shared_ptr<Shared> shared_;
  Executor& worker_;
  Executor& loop_;
  std::vector<RuleChange> pending_;
  std::vector<Done> waiting_;
  bool committing_ = false;
};

}  // namespace authcached
