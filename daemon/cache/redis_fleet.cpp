#include "daemon/cache/redis_fleet.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "daemon/io/redis/redis_command.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using Kind = RedisReply::Kind;

namespace {

// For a transaction of some hundred commands on a server that is busy; the outcome of a later one is not
// known.
constexpr std::uint64_t kPatience_ns = 5'000'000'000;
// Fields at a time: 9 KB each at the most, well below what one reply may hold (redis_channel.hpp).
constexpr std::string_view kScanCount = "40";
constexpr std::string_view kField = "e";
constexpr unsigned kTransaction = 2;  // MULTI and EXEC
// A look often enough that a host which hears all is never near its staleness, and never more than once in
// this time.
constexpr std::chrono::milliseconds kLookMin{100}, kLookMax{1'000};
constexpr int kLooksPerStaleness = 5;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

struct Page {
  std::string server;  // run id
  std::string next;    // where to go on; "0" at the end
  std::vector<FleetParcel> parcels;
};

shm::Result<Page> page_of(const RedisReply& reply) {
  const auto none = shm::fail(shm::ErrorCode::kRefused, "what the server says of the fleet's copy is none");
  if (!reply.is(Kind::kArray) || reply.size() != 2 || !reply.first().is(Kind::kText)) return none;
  const auto server = run_id_of(reply.first().text());
  const RedisReply scanned = reply.first().next();
  if (!server || !scanned.is(Kind::kArray) || scanned.size() != 2 || !scanned.first().is(Kind::kText))
    return none;
  const RedisReply list = scanned.first().next();
  if (!list.is(Kind::kArray) || list.size() % 2 != 0) return none;
  Page page{*server, std::string(scanned.first().text()), {}};
  if (list.size() == 0) return page;
  RedisReply place = list.first();
  for (std::size_t i = 0; i < list.size(); i += 2) {
    const RedisReply sealed = place.next();
    if (!place.is(Kind::kText) || !sealed.is(Kind::kText)) return none;
    page.parcels.push_back({std::string(place.text()), std::string(sealed.text())});
    if (i + 2 < list.size()) place = sealed.next();
  }
  return page;
}

}  // namespace

struct RedisFleet::Scan {
  Chunk chunk;
  FleetTransport::Done done;
  std::string at = "0";
};

RedisFleet::RedisFleet(const FleetConfig& config, const HostId& self)
    : config_(config),
      stream_key_(config.key + ":stream"),
      rules_key_(config.key + ":rules"),
      hosts_key_(config.key + ":hosts"),
      self_(host_id_text(self)) {}

shm::Result<std::unique_ptr<RedisFleet>> RedisFleet::create(const FleetConfig& config, const HostId& self,
                                                            Loop& loop, Executor& blocking,
                                                            const Clock& clock) {
  std::unique_ptr<RedisFleet> fleet(new RedisFleet(config, self));
  auto writer = RedisClient::create(config.redis, config.ca_file, loop, blocking, clock);
  if (!writer) return std::unexpected(writer.error());
  fleet->writer_ = std::move(*writer);
  RedisStreamOptions options{.server = config.redis, .ca_file = config.ca_file, .key = fleet->stream_key_};
  options.look_every = std::clamp(config.staleness / kLooksPerStaleness, kLookMin, kLookMax);
  auto stream = RedisStream::create(std::move(options), loop, blocking, clock, *fleet);
  if (!stream) return std::unexpected(stream.error());
  fleet->stream_ = std::move(*stream);
  return fleet;
}

// A cursor is worth nothing without the name of the key that it was read from.
FleetCursor RedisFleet::written(const StreamCursor& cursor) const {
  return {stream_key_ + " " + cursor.server, cursor.id.text() + " " + std::to_string(cursor.added)};
}

std::optional<StreamCursor> RedisFleet::read(const FleetCursor& cursor) const {
  const std::string_view source = cursor.source, position = cursor.position;
  const std::size_t blank = position.find(' ');
  if (!source.starts_with(stream_key_ + " ") || blank == std::string_view::npos) return std::nullopt;
  const auto id = stream_id_of(position.substr(0, blank));
  const auto added = number_of(position.substr(blank + 1));
  if (!id || !added) return std::nullopt;
  return StreamCursor{std::string(source.substr(stream_key_.size() + 1)), *id, *added};
}

void RedisFleet::start(std::optional<FleetCursor> cursor, FleetListener& listener) {
  listener_ = &listener;
  stream_->start(cursor ? read(*cursor) : std::nullopt);
}

void RedisFleet::stream_entries(std::vector<StreamEntry> entries, RedisStreamEvents::Done done) {
  std::vector<std::string> sealed;
  for (const StreamEntry& entry : entries) {
    const std::string* const bytes = entry.field(kField);
    sealed.push_back(bytes != nullptr ? *bytes : std::string());
  }
  listener_->fleet_heard(std::move(sealed), std::move(done));
}

void RedisFleet::stream_confirmed(const StreamMoment& moment) {
  engine_ms_ = std::max(engine_ms_, moment.server_ms);
  listener_->fleet_confirmed({moment.boot_ns, moment.server_ms, written(moment.cursor)});
}

void RedisFleet::stream_gap(StreamGap gap, const StreamCursor&, RedisStreamEvents::Done done) {
  listener_->fleet_gap(stream_gap_name(gap), gap == StreamGap::kOtherServer || gap == StreamGap::kRegressed,
                       std::move(done));
}

unsigned RedisFleet::accompany_look(std::string& commands) {
  const auto before = [this](std::uint64_t ms) {
    return std::to_string(engine_ms_ > ms ? engine_ms_ - ms : 0);
  };
  if (position_ms_ > 0) {
    append_redis_command(commands, {"ZADD", hosts_key_, std::to_string(position_ms_), self_});
  } else {
    append_redis_command(commands, {"ZREM", hosts_key_, self_});  // it has heard nothing yet
  }
  append_redis_command(commands, {"ZREMRANGEBYSCORE", hosts_key_, "-inf", before(kHostForgotten_ms)});
  append_redis_command(commands, {"ZCARD", hosts_key_});
  append_redis_command(commands, {"ZCOUNT", hosts_key_, "-inf",
                                  before(static_cast<std::uint64_t>(config_.staleness.count()))});
  append_redis_command(commands, {"ZRANGE", hosts_key_, "0", "0", "WITHSCORES"});
  return 5;
}

bool RedisFleet::take_accompanied(const RedisReply& first) {
  const RedisReply forgotten = first.next(), card = forgotten.next(), stale = card.next(),
                   worst = stale.next();
  for (const RedisReply& each : {first, forgotten, card, stale}) {
    if (!each.is(Kind::kInteger)) return false;  // a replica refuses the write
  }
  if (!worst.is(Kind::kArray)) return false;
  hosts_ = {static_cast<std::uint64_t>(std::max<std::int64_t>(card.integer(), 0)),
            static_cast<std::uint64_t>(std::max<std::int64_t>(stale.integer(), 0)), 0};
  if (worst.size() != 2) return true;
  const RedisReply told = worst.first().next();
  const auto score = told.is(Kind::kText) ? number_of(told.text()) : std::nullopt;
  if (score && *score > 0 && *score < engine_ms_) hosts_.worst_lag_ms = engine_ms_ - *score;
  return true;
}

void RedisFleet::ask(std::string commands, unsigned replies, RedisAnswer answer) {
  RedisQuestion question;
  question.commands = std::move(commands);
  question.replies = replies;
  question.deadline_ns = exact_monotonic_ns() + kPatience_ns;
  question.answer = [alive = std::weak_ptr(alive_),
                     answer = std::move(answer)](const shm::Result<RedisReply>& reply) mutable {
    return alive.expired() || answer(reply);
  };
  writer_->send(std::move(question));
}

void RedisFleet::publish(const std::vector<FleetParcel>& parcels, Done done) {
  const auto kept_ms = static_cast<std::uint64_t>(std::chrono::milliseconds(config_.retention).count());
  const std::string oldest = std::to_string(engine_ms_ > kept_ms ? engine_ms_ - kept_ms : 0);
  std::string commands;
  append_redis_command(commands, {"MULTI"});
  for (const FleetParcel& parcel : parcels) {
    append_redis_command(commands, {"HSET", rules_key_, parcel.place, parcel.sealed});
    append_redis_command(commands, {"XADD", stream_key_, "MINID", "~", oldest, "*", kField, parcel.sealed});
  }
  append_redis_command(commands, {"EXEC"});
  const std::size_t made = 2 * parcels.size();
  ask(std::move(commands), static_cast<unsigned>(made) + kTransaction,
      [made, done = std::move(done)](const shm::Result<RedisReply>& reply) mutable {
        if (!reply) {
          done(std::unexpected(reply.error()));
          return true;
        }
        bool whole = reply->is(Kind::kArray) && reply->size() == made;
        RedisReply each = whole ? reply->first() : *reply;
        for (std::size_t i = 0; whole && i < made; ++i) {
          whole = !each.is(Kind::kError);
          if (i + 1 < made) each = each.next();
        }
        if (whole) {
          done({});
        } else {
          done(shm::fail(shm::ErrorCode::kRefused,
                         "the server refuses a revocation; compare the types of the fleet's keys and the "
                         "rights of its user"));
        }
        return true;
      });
}

void RedisFleet::read_copy(Chunk chunk, Done done) {
  auto job = std::make_shared<Scan>();
  job->chunk = std::move(chunk);
  job->done = std::move(done);
  scan(std::move(job));
}

void RedisFleet::scan(std::shared_ptr<Scan> job) {
  std::string commands;
  append_redis_command(commands, {"MULTI"});
  append_redis_command(commands, {"INFO", "server"});
  append_redis_command(commands, {"HSCAN", rules_key_, job->at, "COUNT", kScanCount});
  append_redis_command(commands, {"EXEC"});
  ask(std::move(commands), 2 + kTransaction, [this, job](const shm::Result<RedisReply>& reply) {
    auto page = reply ? page_of(*reply) : shm::Result<Page>(std::unexpected(reply.error()));
    // Asked elsewhere, the copy could lack what the stream does not tell any more.
    if (page && page->server != stream_->server())
      page = shm::fail(shm::ErrorCode::kUnavailable,
                       "the fleet's copy is not on the server that its stream is read from; they part in a "
                       "failover, and a name may lead to two servers");
    if (!page) {
      job->done(std::unexpected(page.error()));
      return true;
    }
    job->at = std::move(page->next);
    job->chunk(std::move(page->parcels), [this, alive = std::weak_ptr(alive_), job] {
      if (alive.expired()) return;
      if (job->at == "0") return job->done({});
      scan(job);
    });
    return true;
  });
}

void RedisFleet::remove_from_copy(const std::vector<std::string>& places, Done done) {
  std::vector<std::string_view> arguments{"HDEL", rules_key_};
  arguments.insert(arguments.end(), places.begin(), places.end());
  std::string commands;
  append_redis_command(commands, arguments);
  ask(std::move(commands), 1, [done = std::move(done)](const shm::Result<RedisReply>& reply) mutable {
    done(reply ? shm::Result<void>() : std::unexpected(reply.error()));
    return true;
  });
}

std::string RedisFleet::trouble() const {
  const std::string writing = writer_->trouble();
  return stream_->trouble().empty() ? writing : stream_->trouble();
}

std::string RedisFleet::state_json() const {
  const json::object state{{"kind", "redis"},
                           {"address", config_.redis.address()},
                           {"stream", stream_key_},
                           {"reads", json::parse(stream_->connection_json())},
                           {"writes", json::parse(writer_->state_json())},
                           {"entries_read", stream_->entries()},
                           {"gaps", stream_->gaps()}};
  return json::serialize(state);
}

shm::Result<std::unique_ptr<FleetTransport>> open_fleet_transport(const FleetConfig& config, const Uuid& self,
                                                                  Loop& loop, Executor& blocking,
                                                                  const Clock& clock) {
  auto fleet = RedisFleet::create(config, self, loop, blocking, clock);
  if (!fleet) return std::unexpected(fleet.error());
  return std::unique_ptr<FleetTransport>(std::move(*fleet));
}

}  // namespace authcached
