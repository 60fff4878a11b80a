#include "daemon/cache/state_writer.hpp"

#include <chrono>
#include <exception>
#include <new>
#include <thread>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Between two tries to hand an answer to the loop when no memory is left for it: others free some meanwhile.
constexpr std::chrono::milliseconds kMemoryRetry{10};

// An answer that is lost would leave its asker, and everybody behind him, waiting for ever.
template <class Fn>
void post_surely(Executor& executor, const Fn& task) {
  for (;;) {
    try {
      return executor.post(task);
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(kMemoryRetry);
    }
  }
}

std::unexpected<shm::Error> no_memory() {
  return std::unexpected(shm::Error{shm::ErrorCode::kUnavailable, "no memory left"});  // short: it needs none itself
}

// The worker has nobody to throw to.
template <class Fn>
shm::Result<void> without_throwing(const Fn& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
}

}  // namespace

// Outlives the StateWriter while the worker still holds a task.
struct StateWriter::Shared {
  explicit Shared(StateDb database) : db(std::move(database)) {}
  StateDb db;
};

struct StateWriter::Batch {
  std::vector<RuleChange> changes;
  std::vector<Done> waiting;
  shm::Result<void> committed;
};

StateWriter::StateWriter(StateDb db, Executor& worker, Executor& loop)
    : shared_(std::make_shared<Shared>(std::move(db))), worker_(worker), loop_(loop) {}
StateWriter::~StateWriter() = default;

void StateWriter::commit(std::vector<RuleChange> changes, Done done) {
  // All or nothing: changes without their waiter would be committed, and nobody told.
  waiting_.reserve(waiting_.size() + 1);
  pending_.insert(pending_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
  waiting_.push_back(std::move(done));
  if (!committing_) pump();
}

void StateWriter::pump() {
  committing_ = true;
  std::shared_ptr<Batch> batch;
  try {
    batch = std::make_shared<Batch>();
    // The worker may still run this when the StateWriter is gone; only the loop, which then has ended, looks at `this`.
    Task task = [this, &loop = loop_, shared = shared_, batch] {
      batch->committed = without_throwing([&] { return shared->db.commit(batch->changes); });
      post_surely(loop, [this, batch] { finish(*batch); });
    };
    batch->changes = std::exchange(pending_, {});
    batch->waiting = std::exchange(waiting_, {});
    worker_.post(std::move(task));
  } catch (const std::bad_alloc&) {
    Batch lost{{}, batch && !batch->waiting.empty() ? std::move(batch->waiting) : std::exchange(waiting_, {}), no_memory()};
    pending_.clear();
    finish(lost);
  }
}

// One waiter that throws (no memory is left, in the main) loses its own answer and no other's.
void StateWriter::finish(Batch& batch) {
  std::exception_ptr thrown;
  for (Done& done : batch.waiting) {
    try {
      done(batch.committed);
    } catch (const std::exception&) {
      thrown = std::current_exception();
    }
  }
  committing_ = false;
  if (!waiting_.empty()) pump();
  if (thrown) std::rethrow_exception(thrown);
}

void StateWriter::forget(std::vector<std::uint64_t> changes) {
  worker_.post([shared = shared_, changes = std::move(changes)] { (void)without_throwing([&] { return shared->db.forget(changes); }); });
}

template <class Work>
void StateWriter::ask(Work work, Done done) {
  struct Asked {
    Done done;
    shm::Result<void> result;
  };
  auto asked = std::make_shared<Asked>(Asked{std::move(done), {}});
  worker_.post([&loop = loop_, shared = shared_, work = std::move(work), asked] {
    asked->result = without_throwing([&] { return work(shared->db); });
    post_surely(loop, [asked] { asked->done(std::move(asked->result)); });
  });
}

void StateWriter::put_generation(const KnownGeneration& generation, Done done) {
  ask([generation](StateDb& db) { return db.put_generation(generation); }, std::move(done));
}

void StateWriter::put_cursor(KnownCursor known, Done done) {
  ask([known = std::move(known)](StateDb& db) { return db.put_cursor(known); }, std::move(done));
}

void StateWriter::with_fleet(FleetWork work, Done done) {
  ask([work = std::move(work)](StateDb& db) { return work(db.fleet()); }, std::move(done));
}

void StateWriter::remove_generation(std::uint64_t number) {
  // A name that stays behind only makes a later start wait for a table that is gone: no answer is owed.
  worker_.post([shared = shared_, number] { (void)without_throwing([&] { return shared->db.remove_generation(number); }); });
}

}  // namespace authcached
