#include "daemon/io/redis/redis_client.hpp"

#include <algorithm>

#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/redis/redis_command.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

// What may wait in the transport before more is written: a turn of a fast network.
constexpr std::size_t kOutputWaiting = 256 * 1024;

}  // namespace

RedisClient::Flight::~Flight() { wipe(commands); }

void RedisClient::send(RedisQuestion question) {
  ++counters_.questions;
  auto flight = std::make_unique<Flight>();
  flight->commands = std::move(question.commands);
  flight->replies = question.replies;
  flight->deadline_ns = question.deadline_ns;
  flight->answer = std::move(question.answer);
  if (full() || (state_ != State::kOpen && hopeless())) return refuse_soon(std::move(flight));
  waiting_.push_back(std::move(flight));
  tick_soon();
  if (waiting_.size() >= kFlushAt) return flush();
  flush_soon();
}

void RedisClient::refuse_soon(std::unique_ptr<Flight> flight) {
  refused_soon_.push_back(std::move(flight));
  if (refused_soon_.size() > 1) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->give_up(std::exchange(self->refused_soon_, {}), self->last_error_);
  });
}

void RedisClient::give_up(std::vector<std::unique_ptr<Flight>> flights, const std::string& sentence) {
  counters_.refused += flights.size();
  const Result<RedisReply> why =
      fail(ErrorCode::kUnavailable,
           sentence.empty() ? place_ + ": too many questions wait for it already" : sentence);
  for (const auto& flight : flights) {
    if (flight->answer) flight->answer(why);
  }
}

void RedisClient::flush_soon() {
  if (state_ != State::kOpen || std::exchange(flushing_soon_, true)) return;
  // Whatever else is asked in this turn of the loop goes out in the same write.
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->flushing_soon_ = false;
    self->flush();
  });
}

void RedisClient::flush() {
  if (state_ != State::kOpen || waiting_.empty() || channel_->waiting() >= kOutputWaiting) return;
  const std::uint64_t now = exact_monotonic_ns();
  while (!waiting_.empty() && flights_.size() < kPipelinedMax && out_.size() < kOutputWaiting) {
    Flight& flight = *waiting_.front();
    append_secret(out_, flight.commands);
    flight.replies_left = flight.replies;
    flight.fault.clear();
    flight.reconnect = false;
    flight.sent_ns = now;
    ++flight.attempts;
    flights_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  channel_->write(out_);
  wipe(out_);
}

void RedisClient::channel_drained() { flush(); }

void RedisClient::channel_reply(const RedisReply& reply) {
  if (state_ == State::kGreeting) return greeted(reply);
  if (flights_.empty()) return lost({FailureKind::kMalformed, "it answers what nobody asked"});
  Flight& front = *flights_.front();
  --front.replies_left;
  if (reply.is(RedisReply::Kind::kError)) {
    RedisFault fault = redis_fault_of(reply.text());
    front.reconnect = front.reconnect || fault.reconnect;
    if (front.fault.empty()) front.fault = place_ + ": " + std::move(fault.sentence);
  } else if (front.replies_left > 0 && !reply.is(RedisReply::Kind::kStatus)) {
    return lost({FailureKind::kMalformed, "its answers do not fit the questions"});
  }
  if (front.replies_left > 0) return;
  const std::unique_ptr<Flight> flight = std::move(flights_.front());
  flights_.pop_front();
  failed_ = 0;
  refused_ = false;
  ++counters_.answers;
  latency_.add(std::max(channel_->heard_ns(), flight->sent_ns) - flight->sent_ns);
  const auto self = shared_from_this();
  bool fits = true;
  if (!flight->fault.empty()) {
    ++counters_.errors;
    remember(flight->fault);
    if (flight->answer) flight->answer(fail(ErrorCode::kRefused, flight->fault));
  } else if (flight->answer) {
    fits = flight->answer(reply);
  }
  if (state_ != State::kOpen) return;
  // The question is answered: those behind it are not to blame.
  if (!fits) return lost({FailureKind::kLost, "its answers do not fit the questions"});
  if (flight->reconnect) lost({FailureKind::kNotTaken, flight->fault.substr(place_.size() + 2)});
}

void RedisClient::tick_soon() {
  if (std::exchange(ticking_, true)) return;
  timers_.after(kTick_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->ticking_ = false;
    self->sweep();
    if (!self->waiting_.empty() || !self->flights_.empty()) self->tick_soon();
  });
}

// Answers what is past its deadline. What is on the wire keeps its place there, since its replies still come.
void RedisClient::sweep() {
  const std::uint64_t now = exact_monotonic_ns();
  std::vector<std::unique_ptr<Flight>> late;
  bool silent = false;
  for (const auto& flight : flights_) {
    if (!flight->answer || flight->deadline_ns > now) continue;
    // Nothing at all was heard since it was asked: nobody may be there any more.
    silent = silent || channel_->heard_ns() <= flight->sent_ns;
    late.push_back(std::make_unique<Flight>());
    late.back()->answer = std::exchange(flight->answer, nullptr);
  }
  std::erase_if(waiting_, [&](std::unique_ptr<Flight>& flight) {
    if (flight->deadline_ns > now) return false;
    late.push_back(std::move(flight));
    return true;
  });
  if (silent) lost({FailureKind::kLost, "it gives no answer"});
  if (!late.empty()) give_up(std::move(late), place_ + ": no answer came in time");
}

// Finds a peer that went without a word, and keeps servers from closing a connection that is not used.
void RedisClient::check_health() {
  timers_.after(kQuiet_ns, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->check_health();
  });
  if (state_ != State::kOpen || !flights_.empty() || !waiting_.empty()) return;
  const std::uint64_t now = exact_monotonic_ns();
  if (now - channel_->heard_ns() < kQuiet_ns / 2) return;
  RedisQuestion ping;
  append_redis_command(ping.commands, {"PING"});
  ping.deadline_ns = now + kPingPatience_ns;
  ping.answer = [](const Result<RedisReply>&) { return true; };  // any reply is a sign of life
  --counters_.questions;
  send(std::move(ping));
}

}  // namespace authcached
