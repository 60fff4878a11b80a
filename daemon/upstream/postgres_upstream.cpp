#include "daemon/upstream/postgres_upstream.hpp"

#include <libpq-fe.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <deque>
#include <list>
#include <utility>
#include <vector>

#include "daemon/io/http/latency_histogram.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/upstream/postgres_feed.hpp"
#include "daemon/upstream/postgres_pool.hpp"
#include "daemon/upstream/session_key.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

struct Counters {
  std::uint64_t questions = 0, valid = 0, invalid = 0, unavailable = 0, timeouts = 0, overloaded = 0;
  std::uint64_t statements = 0, halved = 0, largest_batch = 0;
};

Proof no_answer(Reason reason) {
  Proof proof;
  proof.verdict = Verdict::kUnavailable;
  proof.reason = reason;
  return proof;
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

// What a failed statement says about its keys and its connection.
enum class StatementFailure : std::uint8_t {
  kData,       // a value made it fail: whose, its halves tell
  kTimeout,    // it was too slow, or waited for a lock
  kStatement,  // it cannot run like this: a grant, a table or a column went
  kServer,
};

StatementFailure failure_of(std::string_view sqlstate) {
  const std::string_view kind = sqlstate.substr(0, 2);
  if (kind == "22" || kind == "23" || kind == "P0" || kind == "2F" || kind == "21")
    return StatementFailure::kData;
  if (sqlstate == "57014" || sqlstate == "55P03") return StatementFailure::kTimeout;
  // 0A000: the result's type changed under a prepared statement. 26000: a pooler gave us another session.
  if (kind == "42" || kind == "0A" || kind == "26" || kind == "3F") return StatementFailure::kStatement;
  return StatementFailure::kServer;
}

struct Asked {
  std::string key;
  std::uint64_t deadline_ns;
  Answer answer;  // null once given
};

struct AskedTogether {
  std::vector<Asked> asked;
  std::uint64_t began_ns = 0;
  bool asked_before = false;  // on a connection that was lost
};

}  // namespace

class PostgresUpstream::Core : public std::enable_shared_from_this<PostgresUpstream::Core> {
 public:
  Core(const ProfileConfig& profile, Loop& loop, const Clock& clock)
      : loop_(loop),
        clock_(clock),
        encoding_(profile.key_encoding),
        needs_sid_(profile.changes.heard() && profile.key_encoding == KeyEncoding::kIdHexSha256) {}

  void start(const ProfileConfig& profile, PostgresTarget target, Executor& worker, Executor& listener) {
    if (profile.changes.heard()) {
      feed_ = std::make_unique<PostgresFeed>(loop_, listener, profile, target, [weak = weak_from_this()](const std::string& server) {
        const auto self = weak.lock();
        return self && self->pool_->require_server(server);
      });
    }
    pool_ =
        std::make_shared<PostgresPool>(loop_, worker, profile, std::move(target), [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->connections_changed();
        });
    pool_->tick();
    tick();
  }

  void resolve(Query query, Answer answer) {
    ++counters_.questions;
    std::optional<std::string> key = session_key(query.token, encoding_);
    wipe(query.token);
    const auto refuse = [&](Proof proof) {
      count(proof);
      if (key) wipe(*key);
      loop_.post(
          [answer = std::move(answer), proof = std::move(proof)]() mutable { answer(std::move(proof)); });
    };
    if (open_ >= kQuestionsMax) return refuse(no_answer(Reason::kOverloaded));
    if (!key) return refuse(session_refusal(Reason::kUnknown));
    if (!pool_->has_prospects()) return refuse(no_answer(Reason::kUpstream));
    ++open_;
    waiting_.push_back({std::move(*key), query.deadline_ns, std::move(answer)});
    // At the end of this turn: what came with this question goes with it.
    if (std::exchange(sending_, true)) return;
    loop_.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->sending_ = false;
      self->send();
    });
  }

  [[nodiscard]] KeyEncoding encoding() const { return encoding_; }
  [[nodiscard]] ChangeFeed* changes() const { return feed_.get(); }

  [[nodiscard]] std::string complaint() const {
    if (pool_->connected() && !failing_) return feed_ ? changes_complaint(feed_->status()) : std::string();
    const std::string& why = pool_->connected() ? last_failure_ : pool_->last_error();
    return why.empty() ? std::string() : "cannot learn about its sessions: " + why;
  }

  [[nodiscard]] std::string state_json() const {
    boost::json::object pool = pool_->state();
    pool["requests"] = counters_.statements;
    pool["latency_us"] = {{"p50", latency_.percentile_us(0.5)}, {"p99", latency_.percentile_us(0.99)}};
    const std::string trouble = complaint();
    boost::json::object state = {{"state", pool_->connected() ? (failing_ ? "failing" : "connected")
                                           : pool_->last_error().empty() ? "connecting"
                                                                         : "down"},
                                 {"questions", counters_.questions},
                                 {"waiting", waiting_.size()},
                                 {"in_flight", open_ - waiting_.size()},
                                 {"valid", counters_.valid},
                                 {"invalid", counters_.invalid},
                                 {"unavailable", counters_.unavailable},
                                 {"timeouts", counters_.timeouts},
                                 {"overloaded", counters_.overloaded},
                                 {"statements", counters_.statements},
                                 {"statements_halved", counters_.halved},
                                 {"largest_batch", counters_.largest_batch},
                                 {"error", trouble}};
    if (answered_ns_ != 0) state["last_answer_age_s"] = (exact_monotonic_ns() - answered_ns_) / kNsPerSecond;
    const std::string& last = failing_ ? last_failure_ : pool_->last_error();
    if (!last.empty()) state["last_error"] = last;
    if (!last.empty() && !failing_) state["last_error_age_s"] = pool.at("last_error_age_s");
    state["pool"] = std::move(pool);
    if (feed_) state["changes"] = changes_state(feed_->status(), now_ns());
    return boost::json::serialize(state);
  }

 private:
  using Together = std::shared_ptr<AskedTogether>;

  [[nodiscard]] std::uint64_t now_ns() const { return static_cast<std::uint64_t>(clock_.monotonic_ns()); }

  void send() {
    while ((!again_.empty() || !waiting_.empty()) && pool_->has_room()) {
      Together together = next();
      if (!together->asked.empty()) send(std::move(together));
    }
    if (!waiting_.empty() && pool_->connected()) pool_->want_more();
  }

  // Those that a failed statement left first, then the oldest, without what is past its deadline.
  [[nodiscard]] Together next() {
    if (!again_.empty()) {
      Together together = std::move(again_.front());
      again_.pop_front();
      return together;
    }
    auto together = std::make_shared<AskedTogether>();
    const std::size_t count = std::min(waiting_.size(), kPostgresBatchMax);
    together->asked.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      together->asked.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return together;
  }

  void send(Together together) {
    std::vector<std::string_view> keys;
    keys.reserve(together->asked.size());
    for (const Asked& each : together->asked) keys.push_back(each.key);
    ++counters_.statements;
    counters_.largest_batch = std::max<std::uint64_t>(counters_.largest_batch, keys.size());
    together->began_ns = exact_monotonic_ns();
    const auto place = under_way_.insert(under_way_.end(), together);
    pool_->ask(keys, [weak = weak_from_this(), place, together](const pg_result* result,
                                                                const PostgresSessions& sessions) {
      const auto self = weak.lock();
      if (!self) return;
      self->under_way_.erase(place);
      self->answered(together, result, sessions);
      self->send();
    });
  }

  void answered(const Together& together, const pg_result* result, const PostgresSessions& sessions) {
    if (result == nullptr) return ask_again(together);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) return statement_failed(together, sqlstate_of(result));
    failing_ = false;
    answered_ns_ = exact_monotonic_ns();
    latency_.add(answered_ns_ - together->began_ns);
    if (PQntuples(result) >= static_cast<int>(kPostgresRowsMax))
      return halve(together, "the query returns more rows than it was given keys");
    judge(*together, *result, sessions);
  }

  void judge(AskedTogether& together, const pg_result& result, const PostgresSessions& sessions) {
    const std::int64_t wall_ns = clock_.wall_ns();
    std::vector<std::pair<std::string_view, int>> rows;
    rows.reserve(static_cast<std::size_t>(PQntuples(&result)));
    for (int row = 0; row < PQntuples(&result); ++row)
      rows.emplace_back(PostgresRow(result, row, sessions).key(), row);
    std::ranges::sort(rows);
    for (Asked& each : together.asked) {
      const auto [first, last] = std::ranges::equal_range(rows, std::string_view(each.key), {},
                                                          &std::pair<std::string_view, int>::first);
      Proof proof;  // kUnavailable, kUpstream: a second row would leave open whose session it is
      if (first == last) {
        proof = session_refusal(Reason::kUnknown);
      } else if (last - first == 1) {
        proof =
            judge_session(sessions.columns, PostgresRow(result, first->second, sessions), each.key, wall_ns);
        // Changes name sessions by it: nobody could tell that this one ended.
        if (needs_sid_ && proof.verdict == Verdict::kValid && proof.identity.sid.empty()) {
          proof = no_answer(Reason::kUpstream);
          last_failure_ = "a session has no sid, by which its changes would be told";
        }
      }
      give(each, std::move(proof));
    }
  }

  void statement_failed(const Together& together, std::string_view sqlstate) {
    // Not the server's words: they repeat values.
    const std::string code(sqlstate);
    switch (failure_of(sqlstate)) {
      case StatementFailure::kData:
        return halve(together, "a value makes the query fail (SQLSTATE " + code + ")");
      case StatementFailure::kTimeout:
        note("the query took longer than statement_timeout, or waited for a lock (SQLSTATE " + code + ")");
        return give_all(*together, Reason::kTimeout);
      case StatementFailure::kStatement:
        note("the query cannot run any more (SQLSTATE " + code + ")");
        pool_->renew("the query cannot run any more (SQLSTATE " + code + ")");
        return give_all(*together, Reason::kUpstream);
      case StatementFailure::kServer: break;
    }
    if (code.starts_with("57P")) return ask_again(together);  // it shuts down, or has not started yet
    note("the server fails (SQLSTATE " + code + ")");
    give_all(*together, Reason::kUpstream);
  }

  // Reading twice changes nothing, and another host or a restarted server may answer in time. Once: a
  // statement that brings its server down must not do it to the next.
  void ask_again(const Together& together) {
    if (std::exchange(together->asked_before, true)) return give_all(*together, Reason::kUpstream);
    again_.push_back(together);
  }

  // One key must not take the others with it.
  void halve(const Together& together, std::string why) {
    if (together->asked.size() <= 1) {
      last_failure_ = std::move(why);
      return give_all(*together, Reason::kUpstream);
    }
    ++counters_.halved;
    const auto middle = together->asked.begin() + static_cast<std::ptrdiff_t>(together->asked.size() / 2);
    auto second = std::make_shared<AskedTogether>();
    second->asked_before = together->asked_before;
    second->asked.assign(std::make_move_iterator(middle), std::make_move_iterator(together->asked.end()));
    together->asked.erase(middle, together->asked.end());
    again_.push_back(together);
    again_.push_back(std::move(second));
  }

  void note(std::string why) {
    failing_ = true;
    last_failure_ = std::move(why);
  }

  void give_all(AskedTogether& together, Reason reason) {
    for (Asked& each : together.asked) give(each, no_answer(reason));
  }

  void give(Asked& asked, Proof proof) {
    wipe(asked.key);
    if (!asked.answer) return;
    --open_;
    if (asked.deadline_ns <= now_ns()) proof = no_answer(Reason::kTimeout);
    count(proof);
    std::exchange(asked.answer, nullptr)(std::move(proof));
  }

  void count(const Proof& proof) {
    if (proof.verdict == Verdict::kValid) {
      ++counters_.valid;
    } else if (proof.verdict == Verdict::kInvalid) {
      ++counters_.invalid;
    } else if (proof.reason == Reason::kTimeout) {
      ++counters_.timeouts;
    } else if (proof.reason == Reason::kOverloaded) {
      ++counters_.overloaded;
    } else {
      ++counters_.unavailable;
    }
  }

  void connections_changed() {
    if (!pool_->has_prospects()) {
      for (Asked& each : std::exchange(waiting_, {})) give(each, no_answer(Reason::kUpstream));
      for (const Together& together : std::exchange(again_, {})) give_all(*together, Reason::kUpstream);
    }
    send();
  }

  void tick() {
    loop_.after(kTick, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->tick();
      self->pool_->tick();
      self->expire();
      self->send();
    });
  }

  void expire() {
    const std::uint64_t now = now_ns();
    std::vector<Answer> late;
    const auto look = [&](Asked& asked) {
      if (!asked.answer || asked.deadline_ns > now) return false;
      late.push_back(std::exchange(asked.answer, nullptr));
      return true;
    };
    for (const Together& together : under_way_) std::ranges::for_each(together->asked, look);
    for (const Together& together : again_) std::ranges::for_each(together->asked, look);
    std::erase_if(waiting_, [&](Asked& asked) {
      if (!look(asked)) return false;
      wipe(asked.key);
      return true;
    });
    open_ -= late.size();
    counters_.timeouts += late.size();
    for (Answer& answer : late) answer(no_answer(Reason::kTimeout));
  }

  Loop& loop_;
  const Clock& clock_;
  const KeyEncoding encoding_;
  const bool needs_sid_;
  std::shared_ptr<PostgresPool> pool_;
  std::unique_ptr<PostgresFeed> feed_;
  std::deque<Asked> waiting_;
  std::deque<Together> again_;
  std::list<Together> under_way_;
  std::size_t open_ = 0;  // questions without an answer
  bool sending_ = false;
  bool failing_ = false;  // the last statement failed
  std::string last_failure_;
  std::uint64_t answered_ns_ = 0;
  Counters counters_;
  LatencyHistogram latency_;
};

PostgresUpstream::PostgresUpstream(std::shared_ptr<Core> core) : core_(std::move(core)) {}
PostgresUpstream::~PostgresUpstream() = default;

Result<std::unique_ptr<PostgresUpstream>> PostgresUpstream::open(const ProfileConfig& profile, Loop& loop,
                                                                 Executor& worker, Executor& listener,
                                                                 const Clock& clock) {
  auto target = read_conninfo(profile.connection);
  if (!target)
    return fail(ErrorCode::kUsage, "connection " + target.error().what + "; " + target.error().remedy);
  auto core = std::make_shared<Core>(profile, loop, clock);
  core->start(profile, std::move(*target), worker, listener);
  return std::unique_ptr<PostgresUpstream>(new PostgresUpstream(std::move(core)));
}

void PostgresUpstream::resolve(Query query, Answer answer) {
  core_->resolve(std::move(query), std::move(answer));
}
bool PostgresUpstream::well_formed(std::string_view token) const {
  return could_be_session(token, core_->encoding());
}
ChangeFeed* PostgresUpstream::changes() const { return core_->changes(); }
std::string PostgresUpstream::complaint() const { return core_->complaint(); }
std::string PostgresUpstream::state_json() const { return core_->state_json(); }

}  // namespace authcached
