#include "daemon/upstream/sqlite_upstream.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <iterator>
#include <utility>

#include "daemon/upstream/reopening_store.hpp"
#include "daemon/upstream/session_key.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;

namespace {

struct Pending {
  Query query;
  Answer answer;  // null once given; the worker never touches it
};

// Shared by both threads, each of which keeps to its members.
struct Batch {
  std::vector<Pending> pending;  // fixed while the worker reads the queries
  std::vector<Proof> proofs;     // the worker's, until its task on the loop
  bool open = false;
  std::uint64_t reopenings = 0;
  std::string last_error;
};

struct Counters {
  std::uint64_t questions = 0, valid = 0, invalid = 0, unavailable = 0, timeouts = 0, overloaded = 0;
  std::uint64_t batches = 0, largest_batch = 0;
};

Proof unavailable(Reason reason) {
  Proof proof;
  proof.verdict = Verdict::kUnavailable;
  proof.reason = reason;
  return proof;
}

void wipe(std::string& token) {
  OPENSSL_cleanse(token.data(), token.size());
  token.clear();
}

}  // namespace

class SqliteUpstream::Core : public std::enable_shared_from_this<SqliteUpstream::Core> {
 public:
  Core(const ProfileConfig& profile, const std::filesystem::path& default_file, SessionStore store,
       Executor& worker, Executor& loop, const Clock& clock, std::size_t queued_max)
      : store_(profile, default_file, std::move(store)),
        worker_(worker),
        loop_(loop),
        clock_(clock),
        queued_max_(queued_max),
        file_((profile.query.empty() && profile.database.empty() ? default_file : profile.database).string()),
        own_schema_(profile.query.empty()),
        slides_(profile.slides()),
        encoding_(profile.query.empty() ? KeyEncoding::kSha256 : profile.key_encoding) {}

  void resolve(Query query, Answer answer) {
    ++counters_.questions;
    if (queue_.size() >= queued_max_) {
      ++counters_.overloaded;
      wipe(query.token);
      loop_.post([answer = std::move(answer)]() mutable { answer(unavailable(Reason::kOverloaded)); });
      return;
    }
    queue_.push_back({std::move(query), std::move(answer)});
    start_soon();
  }

  void expire_overdue() {
    const std::uint64_t now = now_ns();
    std::vector<Answer> overdue;
    const auto take = [&](Pending& pending) {
      if (!pending.answer || pending.query.deadline_ns > now) return false;
      overdue.push_back(std::exchange(pending.answer, nullptr));
      return true;
    };
    for (const auto& batch : in_flight_) {
      for (Pending& pending : batch->pending) take(pending);
    }
    std::erase_if(queue_, [&](Pending& pending) {
      if (!take(pending)) return false;
      wipe(pending.query.token);
      return true;
    });
    counters_.timeouts += overdue.size();
    for (Answer& answer : overdue) answer(unavailable(Reason::kTimeout));
  }

  void create(SessionSpec spec, std::uint32_t count, Done<std::vector<NewSession>> done) {
    if (refuse_control(done)) return;
    ordered_.orders.push_back({std::move(spec), count});
    ordered_.done.push_back(std::move(done));
    if (!creating_) start_creating();
  }

  template <class T, class Operation>
  void control(Operation operation, Done<T> done) {
    if (refuse_control(done)) return;
    on_store<T>(std::move(operation),
                [self = shared_from_this(), done = std::move(done)](Result<T> result) mutable {
                  --self->controls_;
                  done(std::move(result));
                });
  }

  // For work of the daemon's own, which is one at a time.
  template <class T, class Operation>
  void on_store(Operation operation, Done<T> done) {
    worker_.post(
        [self = shared_from_this(), operation = std::move(operation), done = std::move(done)]() mutable {
          SessionStore* store = self->store_.get();
          Result<T> result = store != nullptr ? operation(*store) : self->closed();
          self->loop_.post(
              [result = std::move(result), done = std::move(done)]() mutable { done(std::move(result)); });
        });
  }

  [[nodiscard]] KeyEncoding encoding() const { return encoding_; }
  [[nodiscard]] bool own_schema() const { return own_schema_; }
  [[nodiscard]] bool slides() const { return slides_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }

  [[nodiscard]] std::string state_json() const {
    const boost::json::object state = {{"kind", "sqlite"},
                                       {"database", file_},
                                       {"open", open_},
                                       {"reopenings", reopenings_},
                                       {"last_error", last_error_},
                                       {"queued", queue_.size()},
                                       {"in_flight", asked()},
                                       {"questions", counters_.questions},
                                       {"valid", counters_.valid},
                                       {"invalid", counters_.invalid},
                                       {"unavailable", counters_.unavailable},
                                       {"timeouts", counters_.timeouts},
                                       {"overloaded", counters_.overloaded},
                                       {"batches", counters_.batches},
                                       {"largest_batch", counters_.largest_batch}};
    return boost::json::serialize(state);
  }

 private:
  using Created = Result<std::vector<NewSession>>;
  struct Ordered {
    std::vector<SessionOrder> orders;
    std::vector<Done<std::vector<NewSession>>> done;
  };

  [[nodiscard]] std::uint64_t now_ns() const { return static_cast<std::uint64_t>(clock_.monotonic_ns()); }

  [[nodiscard]] std::unexpected<authcache::shm::Error> closed() const {
    return fail(ErrorCode::kUnavailable, "the session database cannot be opened: " + store_.last_error());
  }

  [[nodiscard]] std::size_t asked() const {
    std::size_t sum = 0;
    for (const auto& batch : in_flight_) sum += batch->pending.size();
    return sum;
  }

  // Questions that come in one turn of the loop go together.
  void start_soon() {
    if (starting_ || in_flight_.size() >= kBatchesInFlight) return;
    starting_ = true;
    loop_.post([self = shared_from_this()] {
      self->starting_ = false;
      self->start_batches();
    });
  }

  void start_batches() {
    while (!queue_.empty() && in_flight_.size() < kBatchesInFlight) start_batch();
  }

  // Counts it otherwise.
  template <class T>
  bool refuse_control(Done<T>& done) {
    if (controls_ < kControlMax) {
      ++controls_;
      return false;
    }
    loop_.post([done = std::move(done)]() mutable {
      done(fail(ErrorCode::kUnavailable, "too many session operations are under way; ask again"));
    });
    return true;
  }

  // What was ordered while the worker wrote goes together, in one transaction no larger than one order may be.
  [[nodiscard]] Ordered take_ordered() {
    std::size_t count = 0, sessions = 0;
    for (; count < ordered_.orders.size(); ++count) {
      sessions += ordered_.orders[count].count;
      if (count > 0 && sessions > kSessionsPerCreateMax) break;
    }
    const auto end = static_cast<std::ptrdiff_t>(count);
    Ordered taken;
    std::move(ordered_.orders.begin(), ordered_.orders.begin() + end, std::back_inserter(taken.orders));
    std::move(ordered_.done.begin(), ordered_.done.begin() + end, std::back_inserter(taken.done));
    ordered_.orders.erase(ordered_.orders.begin(), ordered_.orders.begin() + end);
    ordered_.done.erase(ordered_.done.begin(), ordered_.done.begin() + end);
    return taken;
  }

  void start_creating() {
    creating_ = !ordered_.orders.empty();
    if (!creating_) return;
    worker_.post([self = shared_from_this(), ordered = take_ordered()]() mutable {
      SessionStore* store = self->store_.get();
      auto made = store != nullptr ? store->create(ordered.orders)
                                   : std::vector<Created>(ordered.orders.size(), self->closed());
      self->loop_.post([self, made = std::move(made), done = std::move(ordered.done)]() mutable {
        self->start_creating();
        self->controls_ -= done.size();
        for (std::size_t i = 0; i < done.size(); ++i) done[i](std::move(made[i]));
      });
    });
  }

  void start_batch() {
    auto batch = std::make_shared<Batch>();
    const std::size_t count = std::min(queue_.size(), kBatchMax);
    batch->pending.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      batch->pending.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    ++counters_.batches;
    counters_.largest_batch = std::max<std::uint64_t>(counters_.largest_batch, count);
    in_flight_.push_back(batch);
    worker_.post([self = shared_from_this(), batch = std::move(batch)] {
      self->run(*batch);
      self->loop_.post([self, batch] { self->finish(*batch); });
    });
  }

  // On the worker.
  void run(Batch& batch) {
    const std::uint64_t now = now_ns();
    std::vector<std::string_view> tokens;
    std::vector<std::size_t> places;
    batch.proofs.assign(batch.pending.size(), unavailable(Reason::kTimeout));
    for (std::size_t i = 0; i < batch.pending.size(); ++i) {
      const Query& query = batch.pending[i].query;
      if (query.deadline_ns <= now) continue;
      tokens.push_back(query.token);
      places.push_back(i);
    }
    if (!tokens.empty()) {
      std::vector<Proof> proofs = store_.resolve(tokens, clock_.wall_ns());
      for (std::size_t i = 0; i < places.size(); ++i) batch.proofs[places[i]] = std::move(proofs[i]);
    }
    batch.open = store_.is_open();
    batch.reopenings = store_.reopenings();
    batch.last_error = store_.last_error();
  }

  void finish(Batch& batch) {
    open_ = batch.open;
    reopenings_ = batch.reopenings;
    last_error_ = std::move(batch.last_error);
    in_flight_.pop_front();  // the worker answers in order
    // The worker goes on while the loop gives the answers.
    start_batches();
    const std::uint64_t now = now_ns();
    for (std::size_t i = 0; i < batch.pending.size(); ++i) {
      Pending& pending = batch.pending[i];
      wipe(pending.query.token);
      if (!pending.answer) continue;
      Proof proof =
          pending.query.deadline_ns <= now ? unavailable(Reason::kTimeout) : std::move(batch.proofs[i]);
      count(proof);
      std::exchange(pending.answer, nullptr)(std::move(proof));
    }
  }

  void count(const Proof& proof) {
    if (proof.verdict == Verdict::kValid) {
      ++counters_.valid;
    } else if (proof.verdict == Verdict::kInvalid) {
      ++counters_.invalid;
    } else if (proof.reason == Reason::kTimeout) {
      ++counters_.timeouts;
    } else {
      ++counters_.unavailable;
    }
  }

  ReopeningStore store_;  // the worker's
  Executor& worker_;
  Executor& loop_;
  const Clock& clock_;
  const std::size_t queued_max_;
  const std::string file_;
  const bool own_schema_, slides_;
  const KeyEncoding encoding_;

  std::deque<Pending> queue_;
  std::deque<std::shared_ptr<Batch>> in_flight_;  // in the worker's order
  bool starting_ = false;
  Ordered ordered_;  // that no transaction has taken yet
  bool creating_ = false;
  std::size_t controls_ = 0;
  Counters counters_;
  bool open_ = true;
  std::uint64_t reopenings_ = 0;
  std::string last_error_;
};

SqliteUpstream::SqliteUpstream(std::shared_ptr<Core> core) : core_(std::move(core)) {}
SqliteUpstream::~SqliteUpstream() = default;

Result<std::unique_ptr<SqliteUpstream>> SqliteUpstream::open(const ProfileConfig& profile,
                                                             const std::filesystem::path& default_file,
                                                             Executor& worker, Executor& loop,
                                                             const Clock& clock, std::size_t queued_max) {
  Result<SessionStore> store = SessionStore::open(profile, default_file);
  if (!store) return std::unexpected(std::move(store.error()));
  auto core =
      std::make_shared<Core>(profile, default_file, std::move(*store), worker, loop, clock, queued_max);
  return std::unique_ptr<SqliteUpstream>(new SqliteUpstream(std::move(core)));
}

void SqliteUpstream::resolve(Query query, Answer answer) {
  core_->resolve(std::move(query), std::move(answer));
}

bool SqliteUpstream::well_formed(std::string_view token) const {
  return could_be_session(token, core_->encoding());
}

std::string SqliteUpstream::state_json() const { return core_->state_json(); }

void SqliteUpstream::expire_overdue() {
  // An answer may destroy this object.
  const std::shared_ptr<Core> core = core_;
  core->expire_overdue();
}

void SqliteUpstream::create_sessions(SessionSpec spec, std::uint32_t count,
                                     Done<std::vector<NewSession>> done) {
  core_->create(std::move(spec), count, std::move(done));
}

SessionLister* SqliteUpstream::session_lister() { return core_->own_schema() ? this : nullptr; }

void SqliteUpstream::list_recent(const RecentQuery& query, Listed listed) {
  core_->on_store<RecentSessions>(
      [query, &clock = core_->clock()](SessionStore& store) { return store.recent(query, clock.wall_ns()); },
      std::move(listed));
}

SlidingSessions* SqliteUpstream::sliding_sessions() { return core_->slides() ? this : nullptr; }

void SqliteUpstream::write_uses(std::vector<SessionUse> uses, Written written) {
  core_->on_store<std::vector<Proof>>(
      [uses = std::move(uses), &clock = core_->clock()](SessionStore& store) {
        return store.write_uses(uses, clock.wall_ns());
      },
      std::move(written));
}

void SqliteUpstream::list_sessions(std::string subject, std::uint32_t limit,
                                   Done<std::vector<SessionRow>> done) {
  core_->control<std::vector<SessionRow>>(
      [subject = std::move(subject), limit](SessionStore& store) { return store.list(subject, limit); },
      std::move(done));
}

void SqliteUpstream::revoke_session(std::string sid, Done<SessionRow> done) {
  core_->control<SessionRow>([sid = std::move(sid), &clock = core_->clock()](
                                 SessionStore& store) { return store.revoke(sid, clock.wall_ns()); },
                             std::move(done));
}

}  // namespace authcached
