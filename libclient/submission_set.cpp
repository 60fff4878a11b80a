#include "libclient/submission_set.hpp"

#include <algorithm>
#include <new>
#include <string_view>

#include "libclient/daemon_socket.hpp"
#include "libclient/random_bytes.hpp"
#include "libclient/reply_judge.hpp"

namespace authcache::client {

namespace wire = shm::wire;
using shm::Reason;
using shm::Verdict;

namespace {

// Where nobody serves, the socket is tried this often while questions wait: a restart of the daemon takes
// longer, and a try costs three system calls.
constexpr std::uint64_t kRetryNs = 50'000'000;
// Frames are made when there is room for them, so that ten thousand questions of 16 KiB do not stand in
// memory twice.
constexpr std::size_t kOutputBytes = 64 * 1024;
// Of 64 KiB each, in one call without an answer: more than all replies to kSubmissionsMax questions. What is
// left keeps the descriptor readable.
constexpr int kReceiveRounds = 32;

}  // namespace

SubmissionSet::~SubmissionSet() { stream_.shut_down(); }

void SubmissionSet::close_copies() {
  stream_.close_copy();
  if (poll_) poll_->close_numbers();
}

shm::Result<void> SubmissionSet::ensure_poll() {
  if (poll_ && poll_->is_ours() && (!stream_.is_open() || stream_.socket().is_ours())) return {};
  // The program closed some or all of them. What is still ours goes too: a new epoll holds none of it.
  forget_connection();
  poll_.reset();
  wakes_at_ns_ = UINT64_MAX;
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

shm::Result<int> SubmissionSet::fd() {
  const std::lock_guard lock(mutex_);
  if (auto ready = ensure_poll(); !ready) return std::unexpected(ready.error());
  return poll_->fd();
}

shm::Result<std::uint64_t> SubmissionSet::add(const Question& question, std::uint64_t data,
                                              const Deadline& deadline) {
  const std::lock_guard lock(mutex_);
  if (by_number_.size() >= kSubmissionsMax) {
    return shm::fail(
        shm::ErrorCode::kUnavailable,
        "this client has as many questions in flight as it may; collect the answers that are there, "
        "or answer this request by 503");
  }
  if (auto ready = ensure_poll(); !ready) return std::unexpected(ready.error());
  const std::uint64_t number = random_word();
  if (number == 0) return shm::fail(shm::ErrorCode::kSystem, "the kernel gives no random bytes");
  Submissions made;
  made.emplace_back(number, question, data, deadline);
  const Submissions::iterator at = made.begin();
  if (!by_number_.emplace(number, at).second)
    return shm::fail(shm::ErrorCode::kSystem, "the kernel gives the same random bytes twice");
  try {
    at->timed = deadlines_.emplace(deadline.at_ns(), at);
  } catch (...) {
    by_number_.erase(number);
    throw;
  }
  waiting_.splice(waiting_.end(), made);
  // As for a thread that waited in vain: its connection is used no more once nobody else waits for it.
  if (silent_ && asked_.empty()) hang_up();
  if (!stream_.is_open()) retry_at_ns_ = 0;
  pump(Deadline::now_ns());
  poll_->show_events(!ended_.empty());
  set_timer();
  if (at->stage != Stage::kWaiting || stream_.is_open() || !nobody_serves_) return number;
  erase(at);
  return 0;
}

bool SubmissionSet::remove(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return false;
  erase(found->second);
  if (poll_ && poll_->is_ours()) poll_->show_events(!ended_.empty());
  return true;
}

// What there is to do, but that no more is taken off the socket once there are as many answers as are asked
// for.
shm::Result<void> SubmissionSet::begin_collecting(std::size_t n) {
  if (!poll_) return {};
  if (auto ready = ensure_poll(); !ready) {
    if (ended_.empty()) return ready;
    return {};
  }
  followed_ = 0;
  if (poll_->take_tick()) wakes_at_ns_ = UINT64_MAX;
  const std::uint64_t now_ns = Deadline::now_ns();
  const bool due = !deadlines_.empty() && deadlines_.begin()->first <= now_ns;
  // All before anything expires: a reply that lies on the socket came in time.
  if (due) {
    if (take_all_frames()) expire(now_ns);
  } else {
    (void)take_frames_until(std::max<std::size_t>(n, 1));
  }
  pump(now_ns);
  return {};
}

std::optional<SubmissionSet::Collected> SubmissionSet::take_one() {
  while (!ended_.empty()) {
    const Submissions::iterator first = ended_.begin();
    Collected one{.number = first->number, .data = first->data, .answer = {}};
    if (!settle(first, one.answer)) continue;
    erase(first);
    return one;
  }
  return std::nullopt;
}

void SubmissionSet::finish_collecting() {
  if (!poll_) return;
  pump(Deadline::now_ns());
  poll_->show_events(!ended_.empty());
  set_timer();
}

// False: there may be more.
bool SubmissionSet::take_frames_until(std::size_t ended) {
  bool has_more = stream_.is_open();
  for (int round = 0; round < kReceiveRounds && has_more && ended_.size() < ended; ++round) {
    take_frames();
    has_more = stream_.is_open() && stream_.may_have_more();
  }
  return !has_more;
}

void SubmissionSet::take_frames() {
  std::vector<shm::UniqueFd> files;
  const bool open = stream_.receive(files);
  wire::Head head;
  std::string_view payload;
  for (;;) {
    const WatchStream::Next next = stream_.next_frame(head, payload);
    if (next == WatchStream::Next::kNone) break;
    if (next == WatchStream::Next::kNotOurs) return refuse_protocol();
    silent_ = false;
    if (!take(head, payload, files)) return;
  }
  if (!open) hang_up();
}

// A reply to a question that is not there comes too late for it: cancelled, or past its deadline. That of one
// which never was is not believed either, and no harm.
bool SubmissionSet::take(const wire::Head& head, std::string_view payload,
                         const std::vector<shm::UniqueFd>& files) {
  const auto found = by_number_.find(head.request_id);
  const bool asked = found != by_number_.end() && found->second->stage == Stage::kAsked;
  if (head.type == wire::Type::kError) {
    // To one question, or to the connection as such (its daemon stops, or has too many).
    if (asked) end(found->second, Reason::kProtocol);
    last_error_.set("authcached ended the connection: " + printable(payload));
    hang_up();
    return false;
  }
  if (head.type == wire::Type::kHelloReply && hello_id_ != 0 && head.request_id == hello_id_) {
    const auto hello = wire::decode_hello_reply(payload);
    hello_id_ = 0;
    greeted_ = true;
    if (hello && hello->recency_bytes > 0 && files.size() == 1)
      attacher_.adopt_recency(files.front(), *hello);
    return true;
  }
  const auto reply =
      head.type == wire::Type::kValidateReply ? wire::decode_validate_reply(payload) : std::nullopt;
  if (!reply) {
    refuse_protocol();
    return false;
  }
  if (!asked) return true;
  found->second->reply = *reply;
  move(found->second, ended_, Stage::kEnded);
  return true;
}

// Asking it again would bring the same.
void SubmissionSet::refuse_protocol() {
  last_error_.set("authcached sent what no version of it should; install matching daemon and library");
  while (!asked_.empty()) end(asked_.begin(), Reason::kProtocol);
  while (!waiting_.empty()) end(waiting_.begin(), Reason::kProtocol);
  hang_up();
}

void SubmissionSet::expire(std::uint64_t now_ns) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    const Submissions::iterator at = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    at->timed.reset();
    if (at->stage == Stage::kEnded) continue;
    if (!stream_.is_open()) {
      end(at, Reason::kDaemonUnreachable);
      continue;
    }
    last_error_.set("authcached did not answer in time");
    silent_ = true;
    end(at, Reason::kTimeout);
  }
}

// That a daemon has closed may show only when it is written to: then there is a second try, over a fresh
// connection.
void SubmissionSet::pump(std::uint64_t now_ns) {
  for (int tries = 0; tries < 2; ++tries) {
    if (!stream_.is_open() && !waiting_.empty() && now_ns >= retry_at_ns_) connect(now_ns);
    if (!stream_.is_open() || send()) return;
  }
}

void SubmissionSet::connect(std::uint64_t now_ns) {
  retry_at_ns_ = now_ns + kRetryNs;
  nobody_serves_ = false;
  try {
    auto connected = WatchStream::connect(attacher_.dir(), attacher_.daemon_uid());
    if (!connected) {
      nobody_serves_ = connected.error().code != shm::ErrorCode::kSystem;
      return last_error_.set(connected.error().message);
    }
    std::string hello;
    const std::uint64_t id = random_word();
    wire::append_hello(hello, id);
    connected->queue(hello);
    if (id == 0 || !poll_->add(connected->socket()))
      return last_error_.set("cannot add the connection to the descriptor to poll");
    stream_ = std::move(*connected);
    hello_id_ = id;
  } catch (const std::bad_alloc&) {
    last_error_.set("out of memory while connecting to authcached; it is tried again");
  }
}

// False: the connection is gone. What the daemon sent before it closed is still taken, but not waited for: it
// may have closed its reading side only.
bool SubmissionSet::send() {
  do {
    if (!stream_.has_queued()) refill();
    if (stream_.send_queued()) continue;
    try {
      (void)take_all_frames();
    } catch (const std::bad_alloc&) {
      last_error_.set("out of memory while replies were taken; what they answer is asked again");
    }
    hang_up();
    return false;
  } while (greeted_ && !stream_.has_queued() && !waiting_.empty() && !out_of_memory_);
  poll_->await_room(stream_.socket(), stream_.has_queued() || out_of_memory_);
  return true;
}

void SubmissionSet::refill() {
  out_of_memory_ = false;
  if (!greeted_) return;
  try {
    std::string frame;
    for (std::size_t bytes = 0; !waiting_.empty() && bytes < kOutputBytes; bytes += frame.size()) {
      const Submissions::iterator next = waiting_.begin();
      frame.clear();
      wire::append_validate(frame, next->number,
                            {.timeout_ms = static_cast<std::uint32_t>(next->deadline.remaining_ms()),
                             .profile = next->requirement->profile(),
                             .token = next->token});
      stream_.queue(frame);
      ++next->asks;
      next->digest_when_asked = current_digest(attacher_, next->question());
      move(next, asked_, Stage::kAsked);
    }
  } catch (const std::bad_alloc&) {
    last_error_.set("out of memory while questions were sent; it is tried again");
    out_of_memory_ = true;
  }
}

void SubmissionSet::hang_up() {
  if (stream_.is_open()) poll_->remove(stream_.socket());
  forget_connection();
}

void SubmissionSet::forget_connection() {
  if (!stream_.is_open()) return;
  stream_.shut_down();
  stream_ = WatchStream();
  if (greeted_) retry_at_ns_ = 0;  // it served: whoever comes after it will, too
  hello_id_ = 0;
  greeted_ = silent_ = false;
  for (auto at = asked_.begin(); at != asked_.end();) {
    const auto each = at++;
    if (each->asks >= kAsksMax) {
      end(each, Reason::kDaemonUnreachable);
    } else {
      each->stage = Stage::kWaiting;
    }
  }
  waiting_.splice(waiting_.begin(), asked_);
}

SubmissionSet::Submissions& SubmissionSet::list_of(Stage stage) {
  return stage == Stage::kWaiting ? waiting_ : stage == Stage::kAsked ? asked_ : ended_;
}

void SubmissionSet::move(Submissions::iterator at, Submissions& to, Stage stage) {
  to.splice(to.end(), list_of(at->stage), at);
  at->stage = stage;
}

void SubmissionSet::end(Submissions::iterator at, Reason why) {
  at->why = why;
  move(at, ended_, Stage::kEnded);
}

bool SubmissionSet::settle(Submissions::iterator at, Answer& answer) {
  if (!at->reply) {
    answer = answer_without_record(Verdict::kUnavailable, at->why);
    return true;
  }
  follow_generation(at->reply->newest_generation);
  switch (judge_reply(attacher_, at->question(), at->digest_when_asked, *at->reply, answer)) {
    case Judged::kDecided: break;
    case Judged::kNotBelieved:
      last_error_.set(kNotBelievedSentence);
      hang_up();
      break;
    case Judged::kAskAgain:
      if (at->asks < kAsksMax && !at->deadline.past()) {
        at->reply.reset();
        move(at, waiting_, Stage::kWaiting);
        return false;
      }
      if (at->asks >= kAsksMax) last_error_.set(kAlwaysGoneSentence);
      answer = answer_without_record(Verdict::kUnavailable,
                                     at->asks < kAsksMax ? Reason::kTimeout : Reason::kOverloaded);
  }
  return true;
}

// Once for all replies taken together. Another thread that is attaching just now is not waited for: what its
// table is needed for is asked again.
void SubmissionSet::follow_generation(std::uint64_t newest) {
  const Attachment* const table = attacher_.current();
  if (!may_reattach_ || newest <= followed_ || (table != nullptr && newest <= table->view.generation)) return;
  followed_ = newest;
  try {
    (void)attacher_.attach();
  } catch (const std::bad_alloc&) {
    last_error_.set("out of memory while attaching to the table");
  }
}

void SubmissionSet::erase(Submissions::iterator at) {
  if (at->timed) deadlines_.erase(*at->timed);
  by_number_.erase(at->number);
  list_of(at->stage).erase(at);
}

// A timer that is due too early is left: the wake costs less than setting it for each question.
void SubmissionSet::set_timer() {
  std::uint64_t at_ns = deadlines_.empty() ? UINT64_MAX : deadlines_.begin()->first;
  if (!stream_.is_open() && !waiting_.empty())
    at_ns = std::min(at_ns, std::max<std::uint64_t>(retry_at_ns_, 1));
  if (at_ns >= wakes_at_ns_) return;
  poll_->wake_at(at_ns);
  wakes_at_ns_ = at_ns;
}

}  // namespace authcache::client
