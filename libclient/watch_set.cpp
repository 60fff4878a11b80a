#include "libclient/watch_set.hpp"

#include <algorithm>
#include <new>
#include <string>

#include "libclient/random_bytes.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/table_reader.hpp"

namespace authcache::client {

namespace wire = shm::wire;
using shm::Reason;
using shm::Verdict;

namespace {

// While the daemon is there it is asked twice in its timeout; while it is gone, ten times, so that a restart
// is short.
constexpr std::uint64_t kTicksConnected = 2;
constexpr std::uint64_t kTicksAlone = 10;
// What a header may say without driving the timer mad; the same as the daemon's configuration permits.
constexpr std::uint64_t kTimeoutLeastNs = 1 * shm::kNsPerSecond;
constexpr std::uint64_t kTimeoutMostNs = 60 * shm::kNsPerSecond;

}  // namespace

WatchSet::WatchSet(std::uint64_t owner, Attacher& attacher, LastError& last_error, bool may_reattach)
    // Not from 1: a number that a parent gave out must mean nothing to its child.
    : owner_(owner),
      attacher_(attacher),
      last_error_(last_error),
      may_reattach_(may_reattach),
      next_number_(random_word()) {}

WatchSet::~WatchSet() { stream_.shut_down(); }

void WatchSet::close_copies() {
  stream_.close_copy();
  if (poll_) poll_->close_numbers();
}

shm::Result<void> WatchSet::ensure_poll() {
  if (poll_ && poll_->is_ours() && (!stream_.is_open() || stream_.socket().is_ours())) return {};
  // The program closed some or all of them. What is still ours goes too: a new epoll holds none of it.
  stream_.shut_down();
  stream_ = WatchStream();
  poll_.reset();
  hello_id_ = 0;
  if (!live_.empty() && unanswered_since_ns_ == 0) unanswered_since_ns_ = shm::coarse_now_ns();
  may_connect_ = true;
  auto made = WatchPoll::create();
  if (!made) {
    last_error_.set(made.error().message);
    return std::unexpected(made.error());
  }
  poll_ = std::move(*made);
  poll_->show_events(!ended_.empty());
  set_timer();
  return {};
}

shm::Result<int> WatchSet::fd() {
  const std::lock_guard lock(mutex_);
  if (auto ready = ensure_poll(); !ready) return std::unexpected(ready.error());
  return poll_->fd();
}

shm::Result<std::uint64_t> WatchSet::add(const shm::Key& key, std::uint64_t data) {
  const std::lock_guard lock(mutex_);
  if (by_number_.size() >= kWatchesMax) {
    return shm::fail(
        shm::ErrorCode::kUnavailable,
        "this client has as many watches as it may; unwatch some, or fetch the events of those that ended");
  }
  if (auto ready = ensure_poll(); !ready) return std::unexpected(ready.error());
  if (++next_number_ == 0) ++next_number_;
  std::string frame;
  wire::append_watch(frame, next_number_, key);
  Watches made{{next_number_, key, data, std::nullopt}};
  by_number_.emplace(next_number_, made.begin());
  try {
    if (stream_.is_open()) stream_.queue(frame);
  } catch (...) {
    by_number_.erase(next_number_);
    throw;
  }
  // What was not answered while nothing was watched is not held against the daemon.
  if (live_.empty()) unanswered_since_ns_ = hello_id_ == 0 ? 0 : shm::coarse_now_ns();
  live_.splice(live_.end(), made);
  if (stream_.is_open()) send();
  if (!stream_.is_open() && may_connect_) connect();
  if (!stream_.is_open() && unanswered_since_ns_ == 0) unanswered_since_ns_ = shm::coarse_now_ns();
  set_timer();
  return next_number_;
}

bool WatchSet::remove(std::uint64_t watch) {
  const std::lock_guard lock(mutex_);
  const auto found = by_number_.find(watch);
  if (found == by_number_.end()) return false;
  const Watches::iterator at = found->second;
  by_number_.erase(found);
  if (at->end) {
    ended_.erase(at);
    if (poll_ && poll_->is_ours()) poll_->show_events(!ended_.empty());
    return true;
  }
  live_.erase(at);
  if (!stream_.is_open() || !poll_ || !poll_->is_ours() || !stream_.socket().is_ours()) return true;
  try {
    std::string frame;
    wire::append_unwatch(frame, watch);
    stream_.queue(frame);
    send();
  } catch (const std::bad_alloc&) {
    hang_up();  // else the daemon would go on counting it
  }
  set_timer();
  return true;
}

std::optional<WatchEvent> WatchSet::next() {
  const std::lock_guard lock(mutex_);
  if (ended_.empty()) {
    if (!poll_ || !ensure_poll()) return std::nullopt;
    attend();
  }
  std::optional<WatchEvent> event;
  if (!ended_.empty()) {
    const Watch& first = ended_.front();
    event = {.watch = first.number, .data = first.data, .end = *first.end};
    by_number_.erase(first.number);
    ended_.pop_front();
  }
  if (poll_ && poll_->is_ours()) poll_->show_events(!ended_.empty());
  return event;
}

// One round of what there is to do. Without watches the timer rests, and a connection only goes away.
void WatchSet::attend() {
  const bool tick = poll_->take_tick();
  may_connect_ = may_connect_ || tick;
  if (stream_.is_open()) take_frames();
  if (live_.empty()) return set_timer();
  if (stream_.is_open() && tick && unanswered_since_ns_ == 0) say_hello();
  if (stream_.is_open()) send();
  if (!stream_.is_open() && may_connect_) connect();
  judge_daemon();
  set_timer();
}

void WatchSet::take_frames() {
  const bool open = stream_.receive();
  wire::Head head;
  std::string_view payload;
  for (;;) {
    const WatchStream::Next next = stream_.next_frame(head, payload);
    if (next == WatchStream::Next::kNone) break;
    if (next == WatchStream::Next::kFrame && head.type == wire::Type::kError &&
        !by_number_.contains(head.request_id)) {
      return hang_up();  // it stops, or has too many connections
    }
    if (next == WatchStream::Next::kNotOurs || !take(head, payload)) {
      return end_all(Reason::kProtocol,
                     "authcached sent what no version of it should, or does not know watches; install "
                     "matching daemon and library");
    }
  }
  if (!open) hang_up();
}

bool WatchSet::take(const wire::Head& head, std::string_view payload) {
  if (head.type == wire::Type::kHelloReply) {
    if (hello_id_ == 0 || head.request_id != hello_id_ || !wire::decode_hello_reply(payload)) return false;
    hello_id_ = 0;
    unanswered_since_ns_ = 0;
    return true;
  }
  if (head.type != wire::Type::kWatchEnded) return false;
  const auto how = wire::decode_watch_ended(payload);
  if (!how) return false;
  const auto found = by_number_.find(head.request_id);
  if (found != by_number_.end() && !found->second->end)
    end(found->second, *how);  // else it crossed an unwatch
  return true;
}

void WatchSet::connect() {
  may_connect_ = false;
  if (unanswered_since_ns_ == 0) unanswered_since_ns_ = shm::coarse_now_ns();
  try {
    auto connected = WatchStream::connect(attacher_.dir(), attacher_.daemon_uid());
    if (!connected) return last_error_.set(connected.error().message);
    if (!poll_->add(connected->socket()))
      return last_error_.set("cannot add the connection to the epoll of the watches");
    stream_ = std::move(*connected);
    say_hello();
    std::string frame;
    for (const Watch& watch : live_) {
      frame.clear();
      wire::append_watch(frame, watch.number, watch.key);
      stream_.queue(frame);
    }
  } catch (const std::bad_alloc&) {
    last_error_.set("out of memory while watches were registered; it is tried again");
    return hang_up();
  }
  send();
}

void WatchSet::hang_up() {
  if (!stream_.is_open()) return;
  poll_->remove(stream_.socket());
  stream_.shut_down();
  stream_ = WatchStream();
  hello_id_ = 0;
  if (!live_.empty() && unanswered_since_ns_ == 0) unanswered_since_ns_ = shm::coarse_now_ns();
}

void WatchSet::say_hello() {
  const std::uint64_t id = random_word();
  std::string frame;
  wire::append_hello(frame, id);
  stream_.queue(frame);
  hello_id_ = id;
  if (unanswered_since_ns_ == 0) unanswered_since_ns_ = shm::coarse_now_ns();
}

void WatchSet::send() {
  if (!stream_.send_queued()) return hang_up();
  poll_->await_room(stream_.socket(), stream_.has_queued());
}

void WatchSet::end(Watches::iterator watch, const wire::WatchEnded& how) {
  watch->end = how;
  ended_.splice(ended_.end(), live_, watch);
}

// Whoever watches anew after this begins with a new connection.
void WatchSet::end_all(Reason why, std::string_view sentence) {
  last_error_.set(sentence);
  while (!live_.empty()) end(live_.begin(), {Verdict::kUnavailable, why});
  hang_up();
  unanswered_since_ns_ = 0;
  may_connect_ = true;
}

void WatchSet::judge_daemon() {
  if (table_is_stale())
    return end_all(Reason::kHeartbeatStale,
                   "the table's heartbeat is too old, so nothing can be said of what is watched; see whether "
                   "authcached is running");
  if (unanswered_since_ns_ == 0 || shm::coarse_now_ns() - unanswered_since_ns_ <= timeout_ns()) return;
  end_all(Reason::kDaemonUnreachable,
          "authcached did not answer for heartbeat_timeout, so nothing can be said of what is watched; see "
          "whether it is running");
}

// A retired table says nothing of its daemon, whose answers then decide alone.
bool WatchSet::table_is_stale() {
  const auto stale = [&] {
    const Attachment* const table = attacher_.current();
    if (table == nullptr || !shm::still_serving(table->view)) return false;
    const std::uint64_t heartbeat_ns = shm::StdAtomics::load_acquire(table->view.header().heartbeat_ns);
    return shm::liveness(table->view, heartbeat_ns, shm::coarse_now_ns()) != Reason::kNone;
  };
  if (!stale()) return false;
  if (may_reattach_) (void)attacher_.attach_if_due();
  return stale();
}

std::uint64_t WatchSet::timeout_ns() const {
  const Attachment* const table = attacher_.current();
  return std::clamp(table == nullptr ? 0 : table->view.heartbeat_timeout_ns, kTimeoutLeastNs, kTimeoutMostNs);
}

void WatchSet::set_timer() {
  const std::uint64_t ticks = stream_.is_open() ? kTicksConnected : kTicksAlone;
  poll_->tick_every(live_.empty() ? 0 : timeout_ns() / ticks);
}

}  // namespace authcache::client
