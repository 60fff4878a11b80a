#include "daemon/upstream/postgres_feed.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "daemon/io/http/timers.hpp"
#include "daemon/io/postgres/postgres_pipeline.hpp"
#include "daemon/upstream/postgres_changes.hpp"

namespace authcached {

using authcache::shm::Result;

namespace {

constexpr std::chrono::milliseconds kTick{
    20};  // how late a reading by the clock, or a pause's end, may be noticed
constexpr std::uint64_t kGrace_ns =
    500'000'000;  // beyond statement_timeout: then the server is not there any more

constexpr const char* kStandby =
    "the server is a standby, which passes no NOTIFY on: it is asked for changes four times a second";
// It makes up the number of the server's process, and in transaction mode hands each transaction to any of
// them.
constexpr const char* kPooled =
    "a pooler stands between, where NOTIFY may be lost: the server is asked for changes four times a second; "
    "connect to "
    "the server itself";
constexpr const char* kUnannounced =
    "changes come without a NOTIFY: the server is asked for them four times a second; let the trigger be as "
    "authctl sql "
    "postgres prints it";

// What the worker brings along with a connection.
struct Prepared {
  PostgresServerRun run;
  PostgresChangesPlace place;
};

}  // namespace

class PostgresFeed::Core : public std::enable_shared_from_this<PostgresFeed::Core> {
 public:
  Core(Loop& loop, Executor& worker, const ProfileConfig& profile, PostgresTarget target, ServerFound found,
       ChangeFeedStatus& status)
      : loop_(loop),
        worker_(worker),
        table_(profile.changes.table),
        encoding_(profile.key_encoding),
        patience_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(profile.statement_timeout).count()) +
                     kGrace_ns),
        found_(std::move(found)),
        status_(status) {
    order_.target = std::move(target);
    order_.password_file = profile.password_file;
    order_.statement_timeout = profile.statement_timeout;
  }
  ~Core() { *cancelled_ = true; }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void start(ChangeSink& sink, FeedCursor cursor) {
    sink_ = &sink;
    cursor_ = std::move(cursor);
    resync_ = cursor_.source.empty() ? "no earlier position is known" : "";
    connect();
    tick();
  }
  void stop() {
    sink_ = nullptr;
    *cancelled_ = true;
    link_.reset();
  }

 private:
  void connect() {
    connecting_ = true;
    worker_.post([weak = weak_from_this(), &loop = loop_, cancelled = cancelled_, order = order_,
                  table = table_]() mutable {
      Prepared prepared;
      order.prepare = [&](PostgresSetup& setup) -> Result<void> {
        auto run = look_at_server(setup);
        if (!run) return std::unexpected(std::move(run.error()));
        auto place = prepare_changes(setup, table, *run);
        if (!place) return std::unexpected(std::move(place.error()));
        prepared = {std::move(*run), std::move(*place)};
        return {};
      };
      auto link = connect_postgres(order, *cancelled);
      loop.post([weak = std::move(weak), link = std::move(link), prepared = std::move(prepared)]() mutable {
        if (const auto self = weak.lock()) self->arrived(std::move(link), std::move(prepared));
      });
    });
  }

  void arrived(Result<PostgresLink> link, Prepared prepared) {
    connecting_ = false;
    if (sink_ == nullptr) return;
    if (!link) return lost(std::move(link.error().message));
    run_ = std::move(prepared.run);
    // A pooler makes up the number that the protocol tells; in the end a server's process answers.
    pooled_ = PQbackendPID(link->connection.get()) != run_.backend;
    deaf_ = run_.standby || pooled_;
    status_.warning = run_.standby ? kStandby : pooled_ ? kPooled : "";
    readings_ = 0;
    unannounced_ns_ = 0;
    if (found_(run_.name)) resync("sessions may have been asked of another server meanwhile");
    if (!cursor_.source.empty() && cursor_.source != prepared.place.source)
      resync("another server, another run of it or another database");
    place_ = std::move(prepared.place);
    host_ = std::move(link->host);
    link_ = std::make_unique<PostgresPipeline>(loop_, std::move(link->connection),
                                               [weak = weak_from_this()](std::string why) {
                                                 if (const auto self = weak.lock())
                                                   self->lost(self->host_ + ": " + why);
                                               });
    link_->on_notification([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->rung();
    });
    read();
  }

  void lost(std::string why) {
    link_.reset();
    reading_ = false;
    status_.hearing = false;
    status_.last_error = std::move(why);
    pause_ns_ = pause_ns_ == 0 ? kFirstPause_ns : std::min(pause_ns_ * 2, kLongestPause_ns);
    connect_at_ns_ = exact_monotonic_ns() + pause_ns_;
  }

  void resync(const char* why) {
    if (resync_.empty()) resync_ = why;
  }

  void rung() {
    rung_ = true;
    rung_ns_ = exact_monotonic_ns();
    if (deaf_ && !run_.standby) {
      deaf_ = false;
      status_.warning.clear();
    }
    unannounced_ns_ = 0;
    read();
  }

  // One at a time: what rings meanwhile is read afterwards.
  void read() {
    if (!link_ || reading_ || taking_in_ || waiting_) return;
    const std::uint64_t now = exact_monotonic_ns();
    if (now - answered_ns_ < kPause_ns) {
      waiting_ = true;
      return loop_.after(std::chrono::nanoseconds(kPause_ns), [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->waiting_ = false;
        self->read();
      });
    }
    reading_ = true;
    announced_ = std::exchange(rung_, false);
    const std::string since = resync_.empty() ? cursor_.position : std::string();
    link_->ask(place_.statement.c_str(), since,
               [weak = weak_from_this(), began_ns = now](const pg_result* rows) {
                 if (const auto self = weak.lock(); self && rows != nullptr) self->answered(*rows, began_ns);
               });
  }

  void answered(const pg_result& rows, std::uint64_t began_ns) {
    reading_ = false;
    answered_ns_ = exact_monotonic_ns();
    const std::string_view sqlstate = sqlstate_of(&rows);
    auto reading = read_changes(rows, encoding_);
    if (!reading) {
      return link_->abandon("the table of changes cannot be read" +
                            (sqlstate.empty() ? "" : " (SQLSTATE " + std::string(sqlstate) + ")") +
                            "; authctl sql postgres prints the table and what is to be granted");
    }
    if (reading->standby != run_.standby) return link_->abandon("the server was promoted");
    if (sink_ == nullptr) return;
    pause_ns_ = 0;
    status_.hearing = true;
    status_.last_error.clear();
    listen_for_silence(*reading);
    if (reading->gap) resync("changes were deleted before they were read, or the database was put back");
    if (reading->too_many) resync("too many changes at once");
    hand_on(std::move(*reading), began_ns);
  }

  void hand_on(PostgresReading reading, std::uint64_t began_ns) {
    ChangeBatch batch;
    batch.resync = std::exchange(resync_, {});
    // What a standby shows again of transactions that it cannot name.
    if (run_.standby) drop_seen(reading);
    batch.changes = std::move(reading.changes);
    batch.up_to_ns = began_ns;
    cursor_ = {place_.source, std::move(reading.snapshot)};
    batch.cursor = cursor_;
    taking_in_ = true;
    sink_->heard(std::move(batch), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->taking_in_ = false;
      if (self->rung_) self->read();
    });
  }

  void drop_seen(PostgresReading& reading) {
    std::vector<SessionChange> fresh;
    // An id stands for each row, and a row that tells nothing has none of the changes: then all are told.
    if (reading.changes.size() == reading.ids.size()) {
      for (std::size_t i = 0; i < reading.ids.size(); ++i) {
        if (!std::ranges::binary_search(seen_, reading.ids[i]))
          fresh.push_back(std::move(reading.changes[i]));
      }
      reading.changes = std::move(fresh);
    }
    seen_ = std::move(reading.ids);
    std::ranges::sort(seen_);
  }

  // Changes that no bell told of, nor tells of soon after.
  void listen_for_silence(const PostgresReading& reading) {
    if (run_.standby) return;
    const std::uint64_t now = exact_monotonic_ns();
    const bool moved = pooled_ && reading.backend != run_.backend;
    run_.backend = reading.backend;
    const bool heard_lately = announced_ || rung_ || now - rung_ns_ < kReadEvery_ns;
    const bool first = readings_++ == 0;  // brings what came while there was no connection
    if (!first && !reading.changes.empty() && !heard_lately && unannounced_ns_ == 0) unannounced_ns_ = now;
    if (!moved && (unannounced_ns_ == 0 || now - unannounced_ns_ < kReadEvery_ns)) return;
    deaf_ = true;
    status_.warning = pooled_ ? kPooled : kUnannounced;
  }

  void tick() {
    loop_.after(kTick, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->sink_ == nullptr) return;
      self->look();
      self->tick();
    });
  }

  void look() {
    const std::uint64_t now = exact_monotonic_ns();
    if (!link_) {
      if (!connecting_ && now >= connect_at_ns_) connect();
    } else if (link_->in_flight() > 0) {
      if (now - link_->oldest_ns() > patience_ns_) link_->abandon("no answer came in time");
    } else if (now - answered_ns_ >= (deaf_ ? kReadEveryDeaf_ns : kReadEvery_ns)) {
      read();
    }
  }

  Loop& loop_;
  Executor& worker_;
  const std::string table_;
  const KeyEncoding encoding_;
  const std::uint64_t patience_ns_;
  ServerFound found_;
  ChangeFeedStatus& status_;
  PostgresOrder order_;
  ChangeSink* sink_ = nullptr;
  std::unique_ptr<PostgresPipeline> link_;
  PostgresServerRun run_;
  PostgresChangesPlace place_;
  std::string host_;
  FeedCursor cursor_;   // what was read last
  std::string resync_;  // why the next batch cannot go on from there
  std::vector<std::int64_t> seen_;
  bool connecting_ = false, reading_ = false, taking_in_ = false, waiting_ = false;
  bool rung_ = false;       // since the reading that is under way was sent
  bool announced_ = false;  // a bell was why it was sent
  bool pooled_ = false, deaf_ = false;
  std::uint64_t readings_ = 0;  // on this connection
  std::uint64_t answered_ns_ = 0, rung_ns_ = 0, unannounced_ns_ = 0;
  std::uint64_t pause_ns_ = 0, connect_at_ns_ = 0;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

PostgresFeed::PostgresFeed(Loop& loop, Executor& worker, const ProfileConfig& profile, PostgresTarget target,
                           ServerFound found)
    : core_(std::make_shared<Core>(loop, worker, profile, std::move(target), std::move(found), status())) {}
PostgresFeed::~PostgresFeed() { core_->stop(); }

void PostgresFeed::start(ChangeSink& sink, FeedCursor cursor) { core_->start(sink, std::move(cursor)); }
void PostgresFeed::stop() { core_->stop(); }

}  // namespace authcached
