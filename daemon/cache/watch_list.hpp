// Who is to be told when a record ends: watches by the record's key, for connections that outlive a request.
// Loop thread only.
//
// Invariants
// 1. Every watch has an entry, and every entry is settled (its key had a valid record in a generation written
//    when last looked at, and nothing was told of it since) or waits to be looked at. So a watch that is kept
//    cannot miss the end of its record, whichever way it ends; what is told twice is looked at once.
// 2. A store into the table costs O(1) here and sends nothing: ends are told from turns of the loop's own, in
//    slices. That is after the kill store, and a revocation's acknowledgement waits for none of it.
// 3. A watch ends once: with its event, its connection, or by its owner's word.
//
// "Ended" is judged in the turn, by looking for a record: a fresh one in place of the old (a token proved
// anew), or one in another generation, goes on; but a record that was killed as revoked has ended, whatever
// came after it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "daemon/base/clock.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/frame_server.hpp"
#include "shm/wire.hpp"

namespace authcached {

struct WatchBounds {
  std::size_t of_connection =
      65'536;  // as many as the library asks for: more than a process has open sockets, as a rule
  std::size_t of_user = 131'072;  // half of all: no user keeps the others out
  std::size_t in_all = 262'144;   // at a quarter of a kilobyte each, 64 MB
};

struct WatchCounters {
  std::uint64_t ended = 0;    // events sent
  std::uint64_t refused = 0;  // over a bound
};

class WatchList final : public EndObserver {
 public:
  WatchList(Tables& tables, Executor& loop, const Clock& clock, WatchBounds bounds = {});
  WatchList(const WatchList&) = delete;
  WatchList& operator=(const WatchList&) = delete;
  ~WatchList() override;

  // Tells the connection at once if there is no such record, or no room. False if it has a watch of this
  // number already.
  [[nodiscard]] bool add(const std::shared_ptr<Connection>& connection, std::uint64_t watch,
                         const authcache::shm::Key& key);
  void remove(const Connection& connection, std::uint64_t watch);
  // From time to time: records past their deadline, connections that are gone, and what stopped for want of
  // memory.
  void tick();

  void ended(const authcache::shm::Key& key, authcache::shm::SlotState dead) noexcept override;
  void any_may_have_ended() noexcept override;

  [[nodiscard]] std::size_t active() const { return active_; }
  [[nodiscard]] const WatchCounters& counters() const { return counters_; }

  // Steps of one turn: a record looked at, or an event sent. Either takes a microsecond or two, and a turn 5
  // ms at most.
  static constexpr std::size_t kSlice = 1'000;

 private:
  using Hook = boost::intrusive::link_mode<boost::intrusive::auto_unlink>;
  using ListHook = boost::intrusive::list_member_hook<Hook>;
  using SetHook = boost::intrusive::set_member_hook<Hook>;
  struct Entry;
  struct Watcher;
  struct Watch {
    std::uint64_t number = 0;
    Watcher* watcher = nullptr;
    Entry* entry = nullptr;
    ListHook of_entry;
  };
  // What a fresh record must have in common with the old one to be the same to who was let in by that.
  struct Grants {
    std::uint64_t grants = 0;
    std::uint64_t principals = 0;
    std::uint16_t flags = 0;
    bool operator==(const Grants&) const = default;
  };
  struct Entry {
    authcache::shm::Key key{};
    std::uint64_t deadline = 0;
    std::uint64_t generation = 0;  // whose indices and bits `grants` are
    Grants grants;
    bool killed = false;  // since it was settled
    bool revoked = false;
    std::optional<authcache::shm::wire::WatchEnded> end;  // judged; some are still to be told
    ListHook by_state;
    SetHook by_deadline;
    boost::intrusive::list<Watch, boost::intrusive::member_hook<Watch, ListHook, &Watch::of_entry>,
                           boost::intrusive::constant_time_size<false>>
        watches;
  };
  struct Watcher {
    std::weak_ptr<Connection> connection;
    uid_t uid = 0;
    std::unordered_map<std::uint64_t, Watch> watches;
  };
  struct KeyHash {  // of digests that had a valid record: nobody chooses them
    std::size_t operator()(const authcache::shm::Key& key) const noexcept { return key[0]; }
  };
  struct Earlier {
    bool operator()(const Entry& one, const Entry& other) const noexcept {
      return one.deadline < other.deadline;
    }
  };
  using Entries =
      boost::intrusive::list<Entry, boost::intrusive::member_hook<Entry, ListHook, &Entry::by_state>,
                             boost::intrusive::constant_time_size<false>>;
  using Deadlines =
      boost::intrusive::multiset<Entry, boost::intrusive::member_hook<Entry, SetHook, &Entry::by_deadline>,
                                 boost::intrusive::compare<Earlier>,
                                 boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] bool has_room_for(const Watcher& watcher) const;
  Watcher& watcher_of(const std::shared_ptr<Connection>& connection);
  void enter(Watcher& watcher, std::uint64_t number, Entry&& looked_at);
  // How the entry's record ended; nothing if it goes on, and then the entry says until when.
  [[nodiscard]] std::optional<authcache::shm::wire::WatchEnded> judge(Entry& entry) const;
  void settle(Entry& entry);
  void drop(Watch& watch);  // and its entry with the last one
  Entry* next_to_look_at();
  void look_at(Entry& entry, std::size_t& steps);
  void turn();
  void ask_for_turn() noexcept;
  void forget_closed_connections();

  Tables& tables_;
  Executor& loop_;
  const Clock& clock_;
  const WatchBounds bounds_;
  std::unordered_map<authcache::shm::Key, Entry, KeyHash> entries_;
  std::unordered_map<const Connection*, Watcher> watchers_;
  std::unordered_map<uid_t, std::size_t> of_user_;
  Entries settled_, doubtful_;  // they hold members of entries_, and let go of those that end
  Deadlines deadlines_;         // of the settled ones
  std::size_t active_ = 0;
  WatchCounters counters_;
  bool turn_to_come_ = false;
  bool closed_are_left_ = false;  // connections that are gone, with watches that are not
};

}  // namespace authcached
