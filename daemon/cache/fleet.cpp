#include "daemon/cache/fleet.hpp"

#include <algorithm>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;

struct Fleet::Adoption {
  std::vector<Rule> rules;
  std::size_t under_way = 1;  // one for the loop that begins them
  bool failed = false;
  Done done;
};

struct Fleet::Copy {
  std::set<std::string> own_places;
  std::uint64_t refused = 0;
};

Fleet::Fleet(const FleetConfig& config, const HostId& self, FleetSeal seal,
             std::unique_ptr<FleetTransport> transport, Parts parts)
    : config_(config),
      self_(self),
      seal_(std::move(seal)),
      transport_(std::move(transport)),
      parts_(parts),
      outbox_(self, seal_, parts.rules, *transport_, parts.state, parts.loop, parts.clock),
      timers_(parts.loop) {}

Fleet::~Fleet() = default;

void Fleet::start(std::optional<FleetCursor> cursor, const std::vector<SharedRule>& stored) {
  started_boot_ns_ = parts_.clock.boot_ns();
  // With a cursor nothing is missing but what the stream will tell, or it will say that there is a gap.
  lost_ = !cursor;
  parts_.tables.hold(true);
  parts_.tables.set_before_beat([this] { look(); });
  parts_.revoker.share_with([this](const std::vector<Rule>& rules) { outbox_.add(rules); });
  outbox_.start(stored);
  transport_->start(std::move(cursor), *this);
  forget_from_time_to_time();
}

void Fleet::forget_from_time_to_time() {
  timers_.after(kForgetEvery_ns, [this] {
    outbox_.forget_spent();
    forget_from_time_to_time();
  });
}

bool Fleet::current() const {
  const std::int64_t now = parts_.clock.boot_ns();
  if (lost_ || heard_until_ns_ == INT64_MIN) return false;
  return now - heard_until_ns_ <= std::chrono::nanoseconds(config_.staleness).count();
}

void Fleet::look() {
  const bool is_current = current();
  ever_current_ = ever_current_ || is_current;
  bool serves = is_current;
  if (!serves && config_.serve_stale) {
    // At the start it waits for as long as it would go on without news.
    const std::int64_t waited = parts_.clock.boot_ns() - started_boot_ns_;
    serves = ever_current_ || waited > std::chrono::nanoseconds(config_.staleness).count();
  }
  parts_.tables.hold(!serves);
}

bool Fleet::follows(const FleetEntry& entry) {
  if (last_changes_.size() >= kHostsMax) last_changes_.clear();
  const auto [at, is_new] = last_changes_.try_emplace(entry.host, std::max(entry.change, entry.previous));
  std::uint64_t& last = at->second;
  const bool missing = !is_new && entry.change > last && entry.previous > last;
  last = std::max({last, entry.change, entry.previous});
  return !missing;
}

void Fleet::fleet_heard(std::vector<std::string> sealed, Done done) {
  std::vector<Rule> rules;
  bool whole = true;
  for (const std::string& bytes : sealed) {
    auto entry = seal_.open(bytes);
    if (!entry) {
      ++refused_;
      refusal_ = entry.error().message;
      whole = false;
      continue;
    }
    if (!follows(*entry)) {
      ++missing_;
      whole = false;
    }
    if (outbox_.read_back(*entry)) continue;
    // A copy of this host's state directory would go by its name: what it revokes counts like anybody's.
    const Rule& rule = entry->rule;
    if (entry->host == self_ && !parts_.rules.contains(rule.kind, rule.scope, rule.value)) ++own_foreign_;
    rules.push_back(std::move(entry->rule));
  }
  if (whole) return adopt(std::move(rules), std::move(done));
  adopt(std::move(rules), [this, done = std::move(done)]() mutable { read_copy(std::move(done)); });
}

void Fleet::adopt(std::vector<Rule> rules, Done done) {
  auto adoption = std::make_shared<Adoption>();
  adoption->done = std::move(done);
  for (Rule& rule : rules) {
    if (!parts_.revoker.tightens(rule)) {
      ++known_;
      continue;
    }
    adoption->rules.push_back(rule);
    ++adoption->under_way;
    parts_.revoker.adopt(std::move(rule), [this, adoption](const shm::Result<RevokeReport>& report) {
      if (report) {
        ++adopted_;
      } else {
        adoption->failed = true;
        adopt_trouble_ = report.error().message;
      }
      adopted(adoption);
    });
  }
  adopted(adoption);
}

void Fleet::adopted(const std::shared_ptr<Adoption>& adoption) {
  if (--adoption->under_way > 0) return;
  if (!adoption->failed) {
    adopt_trouble_.clear();
    return adoption->done();
  }
  // Nothing behind them is heard until they are durable here.
  timers_.after(kRetry_ns,
                [this, adoption] { adopt(std::move(adoption->rules), std::move(adoption->done)); });
}

void Fleet::wait_for_others() {
  const std::int64_t staleness = std::chrono::nanoseconds(config_.staleness).count();
  settled_from_ns_ = parts_.clock.boot_ns() + std::min(kSettle_ns, staleness);
}

void Fleet::fleet_moved(Done done) {
  ++moves_;
  wait_for_others();
  if (ever_current_) {
    outbox_.repeat_recent();
    return done();
  }
  // What this host told before it was started anew is not in its memory: the copy shows what is missing.
  read_copy(std::move(done));
}

void Fleet::fleet_gap(std::string_view why, bool engine_lost, Done done) {
  last_gap_ = why;
  lost_ = true;
  look();
  last_changes_.clear();
  outbox_.doubt_all();
  read_copy([this, engine_lost, done = std::move(done)]() mutable {
    if (engine_lost) wait_for_others();
    lost_ = false;
    heard_until_ns_ = INT64_MIN;  // until the stream is read on from where it was when the copy was begun
    done();
  });
}

void Fleet::read_copy(Done done) {
  ++copies_;
  auto copy = std::make_shared<Copy>();
  transport_->read_copy(
      [this, copy](const std::vector<FleetParcel>& parcels, FleetTransport::Next next) {
        take_parcels(parcels, *copy, std::move(next));
      },
      [this, copy, done = std::move(done)](const shm::Result<void>& read) mutable {
        if (read && copy->refused == 0) {
          copy_trouble_.clear();
          return outbox_.put_back(std::move(copy->own_places), std::move(done));
        }
        copy_trouble_ = !read ? read.error().message
                              : std::to_string(copy->refused) +
                                    " of the rules in the fleet's copy are not signed with this host's "
                                    "key_file, or stand in "
                                    "another's place: compare the file with the other hosts', or remove what "
                                    "others wrote there";
        timers_.after(kRetry_ns, [this, done = std::move(done)]() mutable { read_copy(std::move(done)); });
      });
}

void Fleet::take_parcels(const std::vector<FleetParcel>& parcels, Copy& copy, FleetTransport::Next next) {
  std::vector<Rule> rules;
  for (const FleetParcel& parcel : parcels) {
    auto entry = seal_.open(parcel.sealed);
    // A rule in the place of another one would hide that.
    if (!entry || copy_place(entry->host, entry->rule) != parcel.place) {
      ++refused_;
      ++copy.refused;
      continue;
    }
    if (entry->host == self_) copy.own_places.insert(parcel.place);
    rules.push_back(std::move(entry->rule));
  }
  adopt(std::move(rules), std::move(next));
}

void Fleet::fleet_confirmed(const FleetMoment& moment) {
  outbox_.confirmed(moment.boot_ns);
  if (parts_.clock.boot_ns() < settled_from_ns_) return;
  heard_until_ns_ = std::max(heard_until_ns_, moment.boot_ns);
  if (!lost_) transport_->tell_position(moment.engine_ms);
  keep_cursor(moment.cursor);
  look();
}

void Fleet::keep_cursor(const FleetCursor& cursor) {
  const std::int64_t now = parts_.clock.boot_ns();
  if (keeping_cursor_ || (cursor_kept_ns_ != INT64_MIN && now - cursor_kept_ns_ < kCursorEvery_ns)) return;
  keeping_cursor_ = true;
  cursor_kept_ns_ = now;
  // An older one only makes the next start hear again what it knows.
  parts_.state.with_fleet([cursor](FleetStore& store) { return store.put_cursor(cursor); },
                          [this](const shm::Result<void>&) { keeping_cursor_ = false; });
}

}  // namespace authcached
