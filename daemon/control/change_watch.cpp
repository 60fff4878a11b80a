#include "daemon/control/change_watch.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "daemon/base/log.hpp"

namespace authcached {

namespace shm = authcache::shm;

// One profile. Outlives the watch where a job of its kills is under way.
class ChangeWatch::Followed final : public ChangeSink, public std::enable_shared_from_this<Followed> {
 public:
  Followed(ChangeWatch& watch, const Profile& profile, bool records_stand)
      : watch_(&watch), id_(profile.id), upstream_(profile.upstream), feed_(*profile.upstream->changes()) {
    // What a table without records comes to hold was proven after this moment, and the first batch tells of
    // changes since its cursor, or is a resync.
    feed_.status().confirmed_ns = records_stand ? 0 : now_ns();
  }

  void start(const FeedCursor& cursor) {
    stored_ = cursor;
    feed_.start(*this, cursor);
  }
  // From where whoever follows it next may read on.
  KnownCursor end() {
    feed_.stop();
    watch_ = nullptr;
    return {id_, cursor_.source.empty() ? stored_ : cursor_};
  }

  [[nodiscard]] bool is_of(const Profile& profile) const {
    return profile.id == id_ && profile.upstream == upstream_;
  }
  void configure(const ProfileConfig& config) {
    name_ = config.name;
    changes_ = config.changes;
    judge();
  }

  void heard(ChangeBatch batch, Done done) override {
    ChangeFeedStatus& status = feed_.status();
    ++status.batches;
    if (!batch.resync.empty()) {
      ++status.resyncs;
      log_event(LogLevel::kWarning, "changes_resync", {{"profile", name_}, {"reason", batch.resync}});
      batch.changes.assign(1, {SessionChange::Kind::kProfile, {}});
      forgetting_ = true;
      judge();
    }
    pending_.emplace(Pending{std::move(batch), std::move(done)});
    take_in();
  }

  void tick() {
    if (watch_ == nullptr) return;
    if (pending_ && !taking_in_) take_in();
    judge();
    store_cursor();
  }

 private:
  struct Pending {
    ChangeBatch batch;
    Done done;
  };

  [[nodiscard]] std::uint64_t now_ns() const {
    return static_cast<std::uint64_t>(watch_->clock_.monotonic_ns());
  }

  // Where memory fails it is done again from the start, by a later tick.
  void take_in() {
    taking_in_ = true;
    const auto taken = [weak = weak_from_this()](std::uint64_t) {
      if (const auto self = weak.lock(); self && self->watch_ != nullptr) self->taken_in();
    };
    try {
      if (pending_->batch.changes.empty()) return taken_in();
      watch_->applier_.apply(id_, pending_->batch.changes, taken);
    } catch (const std::exception&) {
      taking_in_ = false;
    }
  }

  void taken_in() {
    Pending taken = std::move(*pending_);
    pending_.reset();
    taking_in_ = forgetting_ = false;
    ChangeFeedStatus& status = feed_.status();
    status.applied += taken.batch.changes.size();
    status.confirmed_ns = std::max(status.confirmed_ns, taken.batch.up_to_ns);
    cursor_ = std::move(taken.batch.cursor);
    judge();
    taken.done();
  }

  // Whether what is known of the profile may be told.
  void judge() {
    if (watch_ == nullptr) return;
    ChangeFeedStatus& status = feed_.status();
    const std::uint64_t now = now_ns();
    const auto max_lag = static_cast<std::uint64_t>(std::chrono::nanoseconds(changes_.max_lag).count());
    const bool lost =
        status.confirmed_ns == 0 || (now > status.confirmed_ns && now - status.confirmed_ns > max_lag);
    const bool silent = forgetting_ || (lost && !changes_.serve_when_lost);
    if (std::exchange(status.lost, lost) != lost || !judged_) {
      if (lost && judged_)
        log_event(LogLevel::kError, "changes_lost", {{"profile", name_}, {"error", status.last_error}});
      if (!lost && judged_)
        log_event(LogLevel::kInfo, "changes_heard", {{"profile", name_}, {"applied", status.applied}});
      judged_ = true;
    }
    upstream_->set_catching_up(silent);
    if (std::exchange(silent_, silent) == silent) return;
    watch_->tables_.set_profile_state(name_,
                                      silent ? shm::ProfileState::kUnavailable : shm::ProfileState::kCurrent);
  }

  void store_cursor() {
    const auto now = static_cast<std::int64_t>(now_ns());
    if (cursor_.source.empty() || cursor_ == stored_ || storing_ || now - stored_ns_ < kStoreEvery_ns) return;
    storing_ = true;
    stored_ns_ = now;
    watch_->state_.put_cursor({id_, cursor_},
                              [weak = weak_from_this(), cursor = cursor_](const shm::Result<void>& stored) {
                                const auto self = weak.lock();
                                if (!self) return;
                                self->storing_ = false;
                                if (stored) self->stored_ = cursor;
                              });
  }

  ChangeWatch* watch_;
  std::uint64_t id_;
  std::shared_ptr<Upstream> upstream_;
  ChangeFeed& feed_;
  std::string name_;
  ChangesConfig changes_;
  std::optional<Pending> pending_;
  bool taking_in_ = false;
  bool forgetting_ = false;  // all of the profile is being forgotten
  bool judged_ = false;
  bool silent_ = false;  // clients hear "unavailable"
  FeedCursor cursor_, stored_;
  bool storing_ = false;
  std::int64_t stored_ns_ = 0;
};

ChangeWatch::ChangeWatch(Tables& tables, Admission& admission, StateWriter& state, Executor& loop,
                         const Clock& clock, std::vector<KnownCursor> known)
    : tables_(tables),
      applier_(tables, admission, loop),
      state_(state),
      clock_(clock),
      known_(std::move(known)) {}

ChangeWatch::~ChangeWatch() {
  for (const auto& each : followed_) (void)each->end();
}

void ChangeWatch::follow(const Profiles& profiles, bool records_stand) {
  std::erase_if(followed_, [&](const std::shared_ptr<Followed>& each) {
    if (std::ranges::any_of(profiles, [&](const auto& profile) { return each->is_of(*profile); }))
      return false;
    KnownCursor last = each->end();
    std::erase_if(known_, [&](const KnownCursor& known) { return known.profile_id == last.profile_id; });
    known_.push_back(std::move(last));
    return true;
  });
  for (const auto& profile : profiles) {
    if (profile->upstream->changes() == nullptr) continue;
    const auto same =
        std::ranges::find_if(followed_, [&](const auto& each) { return each->is_of(*profile); });
    if (same != followed_.end()) {
      (*same)->configure(profile->config);
      continue;
    }
    followed_.push_back(std::make_shared<Followed>(*this, *profile, records_stand));
    followed_.back()->configure(profile->config);
    const auto cursor = std::ranges::find(known_, profile->id, &KnownCursor::profile_id);
    followed_.back()->start(cursor == known_.end() ? FeedCursor{} : cursor->cursor);
  }
}

void ChangeWatch::tick() {
  applier_.resume();
  for (const auto& each : followed_) each->tick();
}

}  // namespace authcached
