#include "daemon/cache/watch_list.hpp"

#include <exception>

namespace authcached {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;
using shm::Reason;
using shm::Verdict;

namespace {

// Of a record with one of these, the bits do not say all that it grants.
constexpr std::uint16_t kToldByText = shm::kGrantsInText | shm::kAudienceInText | shm::kTextOnSocket;

void tell(Connection& connection, std::uint64_t watch, const wire::WatchEnded& ended) {
  std::string frame;
  wire::append_watch_ended(frame, watch, ended);
  connection.send(frame);
}

}  // namespace

WatchList::WatchList(Tables& tables, Executor& loop, const Clock& clock, WatchBounds bounds)
    : tables_(tables), loop_(loop), clock_(clock), bounds_(bounds) {
  tables_.add_end_observer(this);
}

WatchList::~WatchList() { tables_.remove_end_observer(this); }

bool WatchList::has_room_for(const Watcher& watcher) const {
  const auto user = of_user_.find(watcher.uid);
  return active_ < bounds_.in_all && watcher.watches.size() < bounds_.of_connection &&
         (user == of_user_.end() || user->second < bounds_.of_user);
}

WatchList::Watcher& WatchList::watcher_of(const std::shared_ptr<Connection>& connection) {
  Watcher& watcher = watchers_[connection.get()];
  if (watcher.connection.lock() == connection) return watcher;
  while (!watcher.watches.empty())
    drop(watcher.watches.begin()->second);  // one that is gone stood at this address
  watcher.connection = connection;
  watcher.uid = connection->peer().uid;
  return watcher;
}

bool WatchList::add(const std::shared_ptr<Connection>& connection, std::uint64_t watch, const shm::Key& key) {
  Watcher& watcher = watcher_of(connection);
  if (watcher.watches.contains(watch)) return false;
  if (!has_room_for(watcher)) {
    ++counters_.refused;
    tell(*connection, watch, {Verdict::kUnavailable, Reason::kOverloaded});
    return true;
  }
  Entry entry;
  entry.key = key;
  auto end = judge(entry);
  // Of an entry that is ending, others are still to be told: what came after that is another record.
  const auto known = entries_.find(key);
  if (known != entries_.end() && (known->second.end || known->second.revoked) && !end)
    end = wire::WatchEnded{Verdict::kMiss, Reason::kNone};
  if (end) {
    ++counters_.ended;
    tell(*connection, watch, *end);
    return true;
  }
  enter(watcher, watch, std::move(entry));
  return true;
}

void WatchList::enter(Watcher& watcher, std::uint64_t number, Entry&& looked_at) {
  std::size_t& of_user = of_user_[watcher.uid];
  const auto [place, first] = entries_.try_emplace(looked_at.key);
  Entry& entry = place->second;
  if (first) {
    entry.key = looked_at.key;
    entry.deadline = looked_at.deadline;
    entry.generation = looked_at.generation;
    entry.grants = looked_at.grants;
    settle(entry);
  }
  try {
    Watch& watch = watcher.watches[number];
    watch.number = number;
    watch.watcher = &watcher;
    watch.entry = &entry;
    entry.watches.push_back(watch);
  } catch (...) {
    if (first) entries_.erase(place);
    throw;
  }
  ++active_;
  ++of_user;
}

void WatchList::remove(const Connection& connection, std::uint64_t watch) {
  const auto watcher = watchers_.find(&connection);
  if (watcher == watchers_.end()) return;
  const auto found = watcher->second.watches.find(watch);
  if (found != watcher->second.watches.end()) drop(found->second);
}

void WatchList::drop(Watch& watch) {
  Watcher& watcher = *watch.watcher;
  Entry& entry = *watch.entry;
  const auto user = of_user_.find(watcher.uid);
  if (--user->second == 0) of_user_.erase(user);
  --active_;
  watcher.watches.erase(watch.number);
  if (entry.watches.empty()) entries_.erase(entries_.find(entry.key));
}

// The generation that was looked at before comes first: only there do the same bits mean the same grants.
std::optional<wire::WatchEnded> WatchList::judge(Entry& entry) const {
  if (entry.revoked) return wire::WatchEnded{Verdict::kInvalid, Reason::kRevoked};
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  for (const Generation* generation : {static_cast<const Generation*>(tables_.generation(entry.generation)),
                                       static_cast<const Generation*>(&tables_.newest()),
                                       static_cast<const Generation*>(&tables_.current())}) {
    shm::Found found;
    if (generation == nullptr || !generation->writer.find(entry.key, found)) continue;
    const shm::TableView& view = generation->writer.view();
    if (!shm::is_current(view, found.record, now)) continue;
    const shm::Facts facts = shm::unpack_facts(found.record.facts);
    if (facts.verdict != Verdict::kValid) return wire::WatchEnded{Verdict::kInvalid, facts.reason};
    const Grants grants{found.record.grants, shm::principals_without_hint(found.record.principals),
                        facts.flags};
    const bool comparable = (facts.flags & kToldByText) == 0;
    if (entry.killed && entry.generation == view.generation && (!comparable || grants != entry.grants)) break;
    entry.generation = view.generation;
    entry.grants = grants;
    entry.deadline = found.record.deadline;
    return std::nullopt;
  }
  return wire::WatchEnded{Verdict::kMiss, Reason::kNone};
}

void WatchList::settle(Entry& entry) {
  entry.killed = false;
  entry.by_state.unlink();
  entry.by_deadline.unlink();
  settled_.push_back(entry);
  deadlines_.insert(entry);
}

void WatchList::ended(const shm::Key& key, shm::SlotState dead) noexcept {
  if (entries_.empty()) return;
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.killed = true;
  entry.revoked = entry.revoked || dead == shm::SlotState::kRevoked;
  entry.by_state.unlink();
  entry.by_deadline.unlink();
  doubtful_.push_front(entry);  // before those that were told of only by an epoch, of which most may go on
  ask_for_turn();
}

void WatchList::any_may_have_ended() noexcept {
  if (settled_.empty()) return;
  doubtful_.splice(doubtful_.end(), settled_);
  ask_for_turn();
}

// By state, then by deadline. An entry that an epoch made doubtful is among the deadlines still, which does
// no harm.
WatchList::Entry* WatchList::next_to_look_at() {
  if (!doubtful_.empty()) return &doubtful_.front();
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  if (deadlines_.empty() || deadlines_.begin()->deadline > now) return nullptr;
  return &*deadlines_.begin();
}

void WatchList::look_at(Entry& entry, std::size_t& steps) {
  ++steps;
  if (!entry.end) entry.end = judge(entry);
  if (!entry.end) return settle(entry);
  const wire::WatchEnded end = *entry.end;
  if (!entry.by_state.is_linked() ||
      &doubtful_.front() != &entry) {  // found by its deadline: what is left of it comes next
    entry.by_state.unlink();
    doubtful_.push_front(entry);
  }
  for (bool last = false; !last && steps < kSlice; ++steps) {
    Watch& watch = entry.watches.front();
    if (const auto connection = watch.watcher->connection.lock()) {
      tell(*connection, watch.number, end);
      ++counters_.ended;
    }
    last = &watch == &entry.watches.back();
    drop(watch);  // the last takes the entry with it
  }
}

// What it throws (no memory is left for a frame) leaves the watch where it was, and tick() begins again.
void WatchList::turn() {
  turn_to_come_ = false;
  try {
    for (std::size_t steps = 0; steps < kSlice;) {
      Entry* const entry = next_to_look_at();
      if (entry == nullptr) {
        if (!closed_are_left_) return;
        forget_closed_connections();
        break;
      }
      look_at(*entry, steps);
    }
  } catch (const std::exception&) {
    return;
  }
  ask_for_turn();
}

void WatchList::ask_for_turn() noexcept {
  if (turn_to_come_) return;
  try {
    loop_.post([this] { turn(); });
    turn_to_come_ = true;
  } catch (const std::exception&) {
    turn_to_come_ = false;  // tick() asks again
  }
}

void WatchList::forget_closed_connections() {
  std::size_t steps = 0;
  closed_are_left_ = false;
  for (auto each = watchers_.begin(); each != watchers_.end() && steps < kSlice;) {
    Watcher& watcher = each->second;
    const bool closed = watcher.connection.expired();
    for (; closed && !watcher.watches.empty() && steps < kSlice; ++steps)
      drop(watcher.watches.begin()->second);
    closed_are_left_ = closed && !watcher.watches.empty();
    each = watcher.watches.empty() ? watchers_.erase(each) : std::next(each);
  }
}

void WatchList::tick() {
  forget_closed_connections();
  if (closed_are_left_ || next_to_look_at() != nullptr) ask_for_turn();
}

}  // namespace authcached
