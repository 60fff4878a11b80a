// The watches of one process: what is watched, what ended and is still to be told, and the connection that
// tells of it. Any thread: a mutex covers everything. Nothing waits but for that mutex, and no thread is
// started: work is done by whoever calls, which the descriptor makes a program do when there is some.
//
// Invariants
// 1. A watch is live or ended, never both, and ends once. None is dropped without an event but by remove().
// 2. Only the daemon's word ends a single watch. What it says while it can't be heard is made up for: a new
//    connection registers every live watch anew, and the daemon answers at once for each without a record.
// 3. A daemon that cannot say any more ends all: its table's heartbeat is stale, or a hello had no answer for
//    heartbeat_timeout. The watched connections are then to be closed or judged anew by whoever asked.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "libclient/attachment.hpp"
#include "libclient/watch_poll.hpp"
#include "libclient/watch_stream.hpp"
#include "shm/slot.hpp"
#include "shm/verdict.hpp"

namespace authcache::client {

// Events not fetched yet count too. What the daemon grants to one connection (shm/WIRE.md); 10 MB here.
inline constexpr std::size_t kWatchesMax = 65'536;

struct WatchEvent {
  std::uint64_t watch = 0;
  std::uint64_t data = 0;
  shm::wire::WatchEnded end;
};

class WatchSet {
 public:
  WatchSet(std::uint64_t owner, Attacher& attacher, LastError& last_error, bool may_reattach);
  WatchSet(const WatchSet&) = delete;
  WatchSet& operator=(const WatchSet&) = delete;
  ~WatchSet();

  // These may throw bad_alloc, and have done nothing then.
  [[nodiscard]] shm::Result<std::uint64_t> add(const shm::Key& key, std::uint64_t data);
  [[nodiscard]] shm::Result<int> fd();
  // The oldest event, after taking what has come if none was left. Empty: none now.
  [[nodiscard]] std::optional<WatchEvent> next();

  // False if there is no such watch: its event was fetched.
  [[nodiscard]] bool remove(std::uint64_t watch);

  [[nodiscard]] std::uint64_t owner() const { return owner_; }
  // For a forked child, of its parent's set: closes this process's copies and looks at nothing else, because
  // a thread that does not exist here may have been in the middle of a change.
  void close_copies();

 private:
  struct Watch {
    std::uint64_t number;
    shm::Key key;
    std::uint64_t data;
    std::optional<shm::wire::WatchEnded> end;
  };
  using Watches = std::list<Watch>;

  shm::Result<void> ensure_poll();
  void attend();
  void take_frames();
  [[nodiscard]] bool take(const shm::wire::Head& head,
                          std::string_view payload);  // false: no daemon sends this
  void connect();
  void hang_up();
  void say_hello();
  void send();
  void end(Watches::iterator watch, const shm::wire::WatchEnded& how);
  void end_all(shm::Reason why, std::string_view sentence);
  void judge_daemon();
  [[nodiscard]] bool table_is_stale();
  [[nodiscard]] std::uint64_t timeout_ns() const;
  void set_timer();

  const std::uint64_t owner_;
  Attacher& attacher_;
  LastError& last_error_;
  const bool may_reattach_;

  std::mutex mutex_;
  std::unique_ptr<WatchPoll> poll_;
  WatchStream stream_;
  Watches live_, ended_;
  std::unordered_map<std::uint64_t, Watches::iterator> by_number_;
  std::uint64_t next_number_;
  std::uint64_t hello_id_ = 0;             // of the hello that has no answer yet
  std::uint64_t unanswered_since_ns_ = 0;  // 0: the daemon has answered all that it was asked
  bool may_connect_ = true;                // once a tick
};

}  // namespace authcache::client
