#include "daemon/io/redis/redis_stream.hpp"

#include <algorithm>
#include <chrono>

#include "daemon/io/redis/redis_command.hpp"

namespace authcached {

using authcache::shm::Result;

namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
// MULTI, TIME, XINFO, EXEC; of a connection that is new also INFO and XRANGE.
constexpr unsigned kLookCommands = 4;
constexpr unsigned kGreetingCommands = 2;

}  // namespace

std::string_view stream_gap_name(StreamGap gap) {
  switch (gap) {
    case StreamGap::kNoCursor: return "no_cursor";
    case StreamGap::kOtherServer: return "other_server";
    case StreamGap::kRegressed: return "regressed";
    case StreamGap::kTrimmed: return "trimmed";
  }
  return "?";
}

RedisStream::RedisStream(RedisStreamOptions options, Loop& loop, const Clock& clock,
                         RedisStreamEvents& events)
    : options_(std::move(options)), clock_(clock), events_(events), timers_(loop) {}

Result<std::shared_ptr<RedisStream>> RedisStream::create(RedisStreamOptions options, Loop& loop,
                                                         Executor& blocking, const Clock& clock,
                                                         RedisStreamEvents& events) {
  std::shared_ptr<RedisStream> stream(new RedisStream(std::move(options), loop, clock, events));
  auto client = RedisClient::create(stream->options_.server, stream->options_.ca_file, loop, blocking, clock);
  if (!client) return std::unexpected(client.error());
  stream->client_ = std::move(*client);
  return stream;
}

void RedisStream::start(std::optional<StreamCursor> cursor) {
  cursor_ = std::move(cursor);
  look();
}

void RedisStream::look() {
  target_.reset();
  const bool greets = client_->connection() == 0 || known_connection_ != client_->connection();
  RedisQuestion question;
  question.replies = kLookCommands;
  append_redis_command(question.commands, {"MULTI"});
  append_redis_command(question.commands, {"TIME"});
  append_redis_command(question.commands, {"XINFO", "STREAM", options_.key});
  if (greets) {
    const std::string at = cursor_ ? cursor_->id.text() : "0-0";
    append_redis_command(question.commands, {"INFO", "server"});
    append_redis_command(question.commands, {"XRANGE", options_.key, at, at});
    question.replies += kGreetingCommands;
  }
  question.replies += events_.accompany_look(question.commands);
  append_redis_command(question.commands, {"EXEC"});
  question.deadline_ns = exact_monotonic_ns() + kPatience_ns;
  // Before the command goes out: what is written after this moment may be unheard.
  looked_boot_ns_ = clock_.boot_ns();
  question.answer = [weak = weak_from_this(), at = looked_boot_ns_, greets](const Answered& answer) {
    const auto self = weak.lock();
    return !self || self->looked(answer, at, greets);
  };
  client_->send(std::move(question));
}

bool RedisStream::looked(const Answered& answer, std::int64_t boot_ns, bool greeted) {
  if (!answer) {
    fail_for_now(answer.error().message);
    return true;
  }
  // Asked over one connection and answered over the next, which may lead to another server.
  if (!greeted && client_->connection() != known_connection_) {
    look();
    return true;
  }
  auto look = look_of(*answer, greeted);
  if (!look) {
    fail_for_now(
        "the key holds no stream of Redis 7.0 or newer, or the server refuses a part of the question about "
        "it");
    return true;
  }
  known_connection_ = client_->connection();
  look->boot_ns = boot_ns;
  judge(*look);
  return true;
}

std::optional<RedisStream::Look> RedisStream::look_of(const RedisReply& reply, bool greeted) const {
  using Kind = RedisReply::Kind;
  const std::size_t own = kLookCommands - 2 + (greeted ? kGreetingCommands : 0);
  if (!reply.is(Kind::kArray) || reply.size() < own) return std::nullopt;
  const RedisReply time = reply.first(), described = time.next();
  const auto server_ms = server_ms_of(time);
  const auto info = stream_info_of(described);
  if (!server_ms || !info) return std::nullopt;
  Look look;
  look.server_ms = *server_ms;
  look.info = *info;
  RedisReply last = described;
  if (greeted) {
    const RedisReply server = described.next();
    if (!server.is(Kind::kText)) return std::nullopt;
    auto run_id = run_id_of(server.text());
    last = server.next();
    if (!run_id || !last.is(Kind::kArray)) return std::nullopt;
    look.server = std::move(*run_id);
    // Before the first entry every stream is the same one.
    look.cursor_stands = last.size() == 1 || (cursor_ && cursor_->added == 0);
  } else {
    if (!cursor_) return std::nullopt;
    look.server = cursor_->server;
  }
  if (reply.size() > own && !events_.take_accompanied(last.next())) return std::nullopt;
  return look;
}

void RedisStream::judge(const Look& look) {
  const StreamCursor end{look.server, look.info.last, look.info.added};
  server_ = look.server;
  target_ = StreamMoment{look.boot_ns, look.server_ms, end};
  if (!cursor_) return gap(StreamGap::kNoCursor, end);
  const bool moved = cursor_->server != look.server;
  if (moved && !look.cursor_stands) return find_parting(end);
  if (end.id < cursor_->id || end.added < cursor_->added) return gap(StreamGap::kRegressed, end);
  const std::uint64_t unread = end.added - cursor_->added;
  if (unread > look.info.length || (end.id == cursor_->id && unread > 0))
    return gap(StreamGap::kTrimmed, end);
  trouble_.clear();
  if (moved) {
    cursor_->server = look.server;
    looked_boot_ns_ = 0;
    return events_.stream_moved(then(&RedisStream::go_on));
  }
  confirm_if_reached();
  read();
}

void RedisStream::find_parting(const StreamCursor& end) {
  if (places_.empty()) return gap(StreamGap::kOtherServer, end);
  RedisQuestion question;
  question.replies = 2;
  append_redis_command(question.commands, {"MULTI"});
  for (const StreamCursor& place : places_) {
    const std::string at = place.id.text();
    append_redis_command(question.commands, {"XRANGE", options_.key, at, at});
    ++question.replies;
  }
  append_redis_command(question.commands, {"EXEC"});
  question.deadline_ns = exact_monotonic_ns() + kPatience_ns;
  question.answer = [weak = weak_from_this(), end](const Answered& answer) {
    const auto self = weak.lock();
    return !self || self->parting_found(answer, end);
  };
  client_->send(std::move(question));
}

bool RedisStream::parting_found(const Answered& answer, const StreamCursor& end) {
  using Kind = RedisReply::Kind;
  if (!answer) {
    fail_for_now(answer.error().message);
    return true;
  }
  if (client_->connection() != known_connection_) {
    look();
    return true;
  }
  if (!answer->is(Kind::kArray) || answer->size() != places_.size()) {
    fail_for_now("the server does not say which entries it has");
    return false;
  }
  std::size_t shared = 0;  // places up to the last that is there
  RedisReply each = answer->first();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (each.is(Kind::kArray) && each.size() == 1) shared = i + 1;
    if (i + 1 < places_.size()) each = each.next();
  }
  places_.resize(shared);
  if (places_.empty()) {
    gap(StreamGap::kOtherServer, end);
    return true;
  }
  cursor_ = places_.back();
  cursor_->server = end.server;
  target_.reset();
  looked_boot_ns_ = 0;
  events_.stream_moved(then(&RedisStream::go_on));
  return true;
}

void RedisStream::read() {
  const std::int64_t look_due_ns =
      looked_boot_ns_ + std::chrono::nanoseconds(options_.look_every).count() - clock_.boot_ns();
  // 0 would wait for ever.
  const std::uint64_t wait_ms =
      std::max<std::int64_t>(look_due_ns, 1) / static_cast<std::int64_t>(kNsPerMs) + 1;
  RedisQuestion question;
  append_redis_command(question.commands,
                       {"XREAD", "COUNT", std::to_string(entries_at_once_), "BLOCK", std::to_string(wait_ms),
                        "STREAMS", options_.key, cursor_->id.text()});
  question.deadline_ns = exact_monotonic_ns() + wait_ms * kNsPerMs + kPatience_ns;
  question.answer = [weak = weak_from_this()](const Answered& answer) {
    const auto self = weak.lock();
    return !self || self->was_read(answer);
  };
  client_->send(std::move(question));
}

bool RedisStream::was_read(const Answered& answer) {
  if (!answer) {
    entries_at_once_ = std::max(entries_at_once_ / 2, 1U);
    fail_for_now(answer.error().message);
    return true;
  }
  if (client_->connection() != known_connection_) {
    look();
    return true;
  }
  auto entries = stream_entries_of(*answer);
  if (!entries || (!entries->empty() && entries->front().id <= cursor_->id)) {
    fail_for_now("the server's entries are none, or stand in no order");
    return false;
  }
  entries_at_once_ = std::min(entries_at_once_ * 2, kEntriesMax);
  if (entries->empty()) {
    // Everything up to the target was asked for, and it is not there.
    if (target_ && cursor_->id < target_->cursor.id) {
      gap(StreamGap::kTrimmed, target_->cursor);
    } else {
      go_on();
    }
    return true;
  }
  entries_ += entries->size();
  next_ = behind(*entries);
  events_.stream_entries(std::move(*entries), then(&RedisStream::entries_done));
  return true;
}

StreamCursor RedisStream::behind(const std::vector<StreamEntry>& entries) {
  StreamCursor cursor{cursor_->server, entries.back().id, cursor_->added + entries.size()};
  if (!target_ || cursor.id < target_->cursor.id) return cursor;
  const auto later = static_cast<std::uint64_t>(std::ranges::count_if(
      entries, [&](const StreamEntry& entry) { return entry.id > target_->cursor.id; }));
  trimmed_ = cursor.added - later != target_->cursor.added;
  cursor.added = target_->cursor.added + later;
  return cursor;
}

void RedisStream::entries_done() {
  if (std::exchange(trimmed_, false)) return gap(StreamGap::kTrimmed, *std::exchange(next_, std::nullopt));
  cursor_ = std::exchange(next_, std::nullopt);
  confirm_if_reached();
  go_on();
}

void RedisStream::gap(StreamGap why, StreamCursor position) {
  ++gaps_;
  places_.clear();
  target_.reset();
  looked_boot_ns_ = 0;  // so that the next step is another look
  next_ = position;
  events_.stream_gap(why, position, then(&RedisStream::entries_done));
}

void RedisStream::confirm_if_reached() {
  if (!target_ || cursor_->id < target_->cursor.id) return;
  StreamMoment moment = *std::exchange(target_, std::nullopt);
  moment.cursor = *cursor_;
  if (cursor_->added > 0 && (places_.empty() || places_.back().id != cursor_->id)) {
    if (places_.size() == kPlacesMax) places_.erase(places_.begin());
    places_.push_back(*cursor_);
  }
  events_.stream_confirmed(moment);
}

void RedisStream::go_on() {
  const std::int64_t every_ns = std::chrono::nanoseconds(options_.look_every).count();
  if (!cursor_ || clock_.boot_ns() - looked_boot_ns_ >= every_ns) return look();
  read();
}

void RedisStream::fail_for_now(std::string sentence) {
  trouble_ = std::move(sentence);
  target_.reset();
  timers_.after(kRetry_ns, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->look();
  });
}

RedisStreamEvents::Done RedisStream::then(void (RedisStream::*next)()) {
  return [weak = weak_from_this(), next] {
    if (const auto self = weak.lock()) (self.get()->*next)();
  };
}

}  // namespace authcached
