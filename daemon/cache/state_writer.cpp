#include "daemon/cache/state_writer.hpp"

#include <new>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;

// Outlives the StateWriter while the worker still holds a task.
struct StateWriter::Shared {
  explicit Shared(StateDb database) : db(std::move(database)) {}

  shm::Result<void> commit(const std::vector<RuleChange>& changes) {
    try {
      return db.commit(changes);
    } catch (const std::bad_alloc&) {
      return shm::fail(shm::ErrorCode::kUnavailable, "no memory is left to commit a rule; free some and ask again");
    }
  }

  StateDb db;
};

StateWriter::StateWriter(StateDb db, Executor& worker, Executor& loop)
    : shared_(std::make_shared<Shared>(std::move(db))), worker_(worker), loop_(loop) {}
StateWriter::~StateWriter() = default;

void StateWriter::commit(std::vector<RuleChange> changes, Done done) {
  pending_.insert(pending_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
  waiting_.push_back(std::move(done));
  if (!committing_) pump();
}

void StateWriter::pump() {
  committing_ = true;
  // The worker may still run this when the StateWriter is gone; only the loop, which then has ended, looks at `this`.
  worker_.post([this, &loop = loop_, shared = shared_, changes = std::exchange(pending_, {}), waiting = std::exchange(waiting_, {})]() mutable {
    auto committed = shared->commit(changes);
    loop.post([this, committed = std::move(committed), waiting = std::move(waiting)]() mutable {
      for (Done& done : waiting) done(committed);
      if (waiting_.empty()) {
        committing_ = false;
      } else {
        pump();
      }
    });
  });
}

void StateWriter::forget(std::vector<std::uint64_t> changes) {
  worker_.post([shared = shared_, changes = std::move(changes)] { (void)shared->db.forget(changes); });
}

void StateWriter::put_generation(const KnownGeneration& generation, Done done) {
  worker_.post([&loop = loop_, shared = shared_, generation, done = std::move(done)]() mutable {
    auto result = shared->db.put_generation(generation);
    loop.post([result = std::move(result), done = std::move(done)]() mutable { done(std::move(result)); });
  });
}

void StateWriter::remove_generation(std::uint64_t number) {
  // A name that stays behind only makes a later start wait for a table that is gone: no answer is owed.
  worker_.post([shared = shared_, number] { (void)shared->db.remove_generation(number); });
}

}  // namespace authcached
