// The descriptor that a program polls for its watches, or for the answers to what it submitted: an epoll that
// holds a timer, the connection to the daemon, and a mark that says "events are waiting". One thread at a time.
//
// The program may close or reuse any number behind our back. epoll, timer and the like all bear one inode, so
// they cannot be told by fstat as a socket can; but an epoll knows exactly which files it holds. So the mark
// is a socket that is known by its inode, the epoll is ours if it holds the mark, and what the epoll holds
// under its number is ours. That question changes nothing, so a forked child may ask it of its parent's epoll
// too.
#pragma once

#include <cstdint>
#include <memory>

#include "libclient/own_socket.hpp"
#include "shm/result.hpp"

namespace authcache::client {

class WatchPoll {
 public:
  [[nodiscard]] static shm::Result<std::unique_ptr<WatchPoll>> create();
  WatchPoll(const WatchPoll&) = delete;
  WatchPoll& operator=(const WatchPoll&) = delete;
  // Closes the numbers that are still ours, and touches none of the files behind them: a parent may go on
  // using those.
  ~WatchPoll() { close_numbers(); }
  void close_numbers();

  [[nodiscard]] int fd() const { return epoll_; }
  [[nodiscard]] bool is_ours() const;
  // Readable from now on, until the contrary is said.
  void show_events(bool waiting);
  // The timer makes it readable every so often; 0: never.
  void tick_every(std::uint64_t period_ns);
  // Or once, at this moment of CLOCK_MONOTONIC; an owner uses the one or the other.
  void wake_at(std::uint64_t at_ns);
  [[nodiscard]] bool take_tick();

  // One socket at a time.
  [[nodiscard]] bool add(const OwnSocket& socket);
  void await_room(const OwnSocket& socket, bool wanted);  // readable also when the socket takes more output
  void remove(const OwnSocket& socket);  // before it is closed: a copy in a child would keep it in here

 private:
  WatchPoll(int epoll, int timer, OwnSocket mark) : epoll_(epoll), timer_(timer), mark_(std::move(mark)) {}
  [[nodiscard]] bool holds(int fd) const;
  [[nodiscard]] bool control(int operation, int fd, std::uint32_t events) const;

  const int epoll_;
  const int timer_;
  OwnSocket mark_;  // a datagram socket that nobody can send to: never readable, always writable
  bool shows_events_ = false;
  bool awaits_room_ = false;
  std::uint64_t period_ns_ = 0;
};

}  // namespace authcache::client
