// The questions of one process that nobody blocks for: submitted, asked over one connection to the daemon,
// and collected when their answers are there. Any thread: a mutex covers everything. Nothing waits but for
// that mutex, and no thread is started: work is done by whoever calls, which the descriptor makes a program
// do when there is some.
//
// Invariants
// 1. A question is waiting, asked or ended, and leaves by being collected or removed: it is answered once.
// 2. What the daemon replied is judged while it is collected, never before (reply_judge.hpp): a `valid` that
// a
//    revocation overtook in between is no `valid` any more.
// 3. Each question ends: by a reply, at its deadline, or after it was asked kAsksMax times.
// 4. A connection that is lost is made anew, and what was asked over it is asked again. Nothing is asked
// before
//    the daemon has greeted: one that is starting or dying may accept a connection and never serve it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "libclient/attachment.hpp"
#include "libclient/deadline.hpp"
#include "libclient/lookup.hpp"
#include "libclient/submission.hpp"
#include "libclient/watch_poll.hpp"
#include "libclient/watch_stream.hpp"

namespace authcache::client {

// Those whose answers were not fetched yet count too. As many callers as one flight of the daemon's has
// places for at least (`waiters_per_flight`); 4 MB here beside the tokens.
inline constexpr std::size_t kSubmissionsMax = 10'000;

class SubmissionSet {
 public:
  SubmissionSet(std::uint64_t owner, Attacher& attacher, LastError& last_error, bool may_reattach)
      : owner_(owner), attacher_(attacher), last_error_(last_error), may_reattach_(may_reattach) {}
  SubmissionSet(const SubmissionSet&) = delete;
  SubmissionSet& operator=(const SubmissionSet&) = delete;
  ~SubmissionSet();

  // The question's number, which is never 0 and is used for nothing else. 0: nobody serves the socket, and
  // the question was let go. May throw bad_alloc, and has done nothing then; so too on an error.
  [[nodiscard]] shm::Result<std::uint64_t> add(const Question& question, std::uint64_t data,
                                               const Deadline& deadline);
  // May throw bad_alloc.
  [[nodiscard]] shm::Result<int> fd();

  struct Collected {
    std::uint64_t number = 0;
    std::uint64_t data = 0;
    Answer answer;
  };
  // Does what there is to do, and gives up to n answers to give(Collected), each for the last time. How many.
  // May throw bad_alloc, and has given none then.
  template <class Give>
  [[nodiscard]] shm::Result<std::size_t> collect(std::size_t n, Give&& give) {
    const std::lock_guard lock(mutex_);
    if (auto begun = begin_collecting(n); !begun) return std::unexpected(begun.error());
    std::size_t given = 0;
    for (; given < n; ++given) {
      const std::optional<Collected> one = take_one();
      if (!one) break;
      give(*one);
    }
    finish_collecting();
    return given;
  }

  // False if there is no such question: its answer was collected.
  [[nodiscard]] bool remove(std::uint64_t number);

  [[nodiscard]] std::uint64_t owner() const { return owner_; }
  // For a forked child, of its parent's set: see WatchSet.
  void close_copies();

 private:
  using Submissions = std::list<Submission>;
  using Stage = Submission::Stage;

  shm::Result<void> begin_collecting(std::size_t n);
  std::optional<Collected> take_one();
  void finish_collecting();
  shm::Result<void> ensure_poll();

  // What came.
  [[nodiscard]] bool take_frames_until(std::size_t ended);
  [[nodiscard]] bool take_all_frames() { return take_frames_until(SIZE_MAX); }
  void take_frames();
  [[nodiscard]] bool take(const shm::wire::Head& head, std::string_view payload,
                          const std::vector<shm::UniqueFd>& files);  // false: the connection is gone
  void refuse_protocol();
  void expire(std::uint64_t now_ns);

  // What is to be sent.
  void pump(std::uint64_t now_ns);
  void connect(std::uint64_t now_ns);
  [[nodiscard]] bool send();
  void refill();
  void hang_up();
  void forget_connection();

  // What one question goes through.
  void move(Submissions::iterator at, Submissions& to, Stage stage);
  void end(Submissions::iterator at, shm::Reason why);
  [[nodiscard]] bool settle(Submissions::iterator at, Answer& answer);  // false: it is asked again
  void follow_generation(std::uint64_t newest);
  void erase(Submissions::iterator at);
  [[nodiscard]] Submissions& list_of(Stage stage);
  void set_timer();

  const std::uint64_t owner_;
  Attacher& attacher_;
  LastError& last_error_;
  const bool may_reattach_;

  std::mutex mutex_;
  std::unique_ptr<WatchPoll> poll_;
  WatchStream stream_;
  Submissions waiting_, asked_, ended_;
  std::unordered_map<std::uint64_t, Submissions::iterator> by_number_;
  SubmissionDeadlines deadlines_;
  std::uint64_t hello_id_ = 0;     // of the hello that has no answer yet
  bool greeted_ = false;           // this connection's hello has one
  bool out_of_memory_ = false;     // for the next frame
  bool silent_ = false;            // a question timed out, and nothing came over this connection since
  bool nobody_serves_ = false;     // what the last connect found
  std::uint64_t retry_at_ns_ = 0;  // no connect before
  std::uint64_t wakes_at_ns_ = UINT64_MAX;
  std::uint64_t followed_ = 0;  // the newest generation that an attach was tried for since frames were taken
};

}  // namespace authcache::client
