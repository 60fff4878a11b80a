#include "tests/history/control_line.hpp"

#include <time.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <stdexcept>

#include "shm/wire.hpp"

namespace authcache_test {

namespace json = boost::json;
namespace wire = authcache::shm::wire;

namespace {

// An acknowledgement may be held until a table that nobody can reach has died: a heartbeat_timeout of one
// second here.
constexpr std::chrono::seconds kAnswerWithin{20};

std::int64_t now_ns(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() { return now_ns(CLOCK_MONOTONIC); }
std::int64_t wall_ns() { return now_ns(CLOCK_REALTIME); }

bool ControlAnswer::had_no_effect() const {
  const json::value* code = outcome == Outcome::kFailed ? reply.if_contains("code") : nullptr;
  return code != nullptr && (code->as_string() == "not_found" || code->as_string() == "usage");
}

std::optional<ControlAnswer> ControlLine::ask(const json::object& request) {
  if (!connection_) {
    connection_.emplace(socket_);
    if (!connection_->connected()) {
      connection_.reset();
      return std::nullopt;
    }
  }
  std::string frame;
  wire::append_frame(frame, wire::Type::kControl, ++requests_, json::serialize(request));
  ControlAnswer answer;
  answer.start_ns = monotonic_ns();
  const bool sent = connection_->send(frame);
  const auto reply = sent ? connection_->receive(kAnswerWithin) : std::nullopt;
  if (!reply) {
    // A connection that the daemon's end closed says that this life of it does nothing any more.
    const bool closed = !sent || connection_->is_closed(std::chrono::milliseconds(100));
    answer.end_ns = closed ? monotonic_ns() : kNever;
    connection_.reset();
    return answer;
  }
  answer.end_ns = monotonic_ns();
  answer.reply = json::parse(reply->payload).as_object();
  answer.outcome = answer.reply.at("ok").as_bool() ? Outcome::kDone : Outcome::kFailed;
  return answer;
}

}  // namespace authcache_test
