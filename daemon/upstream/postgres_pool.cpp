#include "daemon/upstream/postgres_pool.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <span>
#include <utility>

#include "daemon/base/random.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/upstream/postgres_changes.hpp"

namespace authcached {

using authcache::shm::Result;

struct PostgresPool::Member {
  std::unique_ptr<PostgresPipeline> pipeline;
  std::shared_ptr<const PostgresSessions> sessions;
  std::string host;
  std::string server;  // empty where nobody cares
};

struct PostgresPool::Arrival {
  Result<PostgresLink> link;
  std::shared_ptr<const PostgresSessions> sessions;
  std::string server;
};

namespace {

// In [0, 1): spreads daemons that lost the same server, decides nothing.
double jitter() {
  std::uint8_t byte = 0;
  (void)fill_random({&byte, 1});
  return byte / 256.0;
}

}  // namespace

PostgresPool::PostgresPool(Loop& loop, Executor& worker, const ProfileConfig& profile, PostgresTarget target,
                           std::function<void()> changed)
    : loop_(loop),
      worker_(worker),
      min_(profile.pool_min),
      max_(profile.pool_max),
      patience_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(profile.statement_timeout).count()) +
                   kGrace_ns),
      query_(profile.query),
      encoding_(profile.key_encoding),
      hears_changes_(profile.changes.heard()),
      changed_(std::move(changed)) {
  order_.target = std::move(target);
  order_.password_file = profile.password_file;
  order_.statement_timeout = profile.statement_timeout;
}

PostgresPool::~PostgresPool() { *cancelled_ = true; }

PostgresPool::Member* PostgresPool::roomy() {
  const std::uint64_t now = exact_monotonic_ns();
  for (const auto& member : members_) {
    const PostgresPipeline& pipeline = *member->pipeline;
    if (!pipeline.usable()) continue;
    if (pipeline.in_flight() == 0) return member.get();
    const bool slow = now - pipeline.oldest_ns() > kSlow_ns;
    if (!slow && pipeline.in_flight() < kInFlightMax) return member.get();
  }
  return nullptr;
}

bool PostgresPool::has_room() { return roomy() != nullptr; }

void PostgresPool::ask(std::span<const std::string_view> keys, Answered answered) {
  Member* const member = roomy();
  std::string array = postgres_array(keys, member->sessions->key_type);
  member->pipeline->ask(member->sessions->statement.c_str(), array,
                        [answered = std::move(answered), sessions = member->sessions](
                            const pg_result* result) mutable { answered(result, *sessions); });
  // With raw keys these bytes are tokens.
  OPENSSL_cleanse(array.data(), array.size());
}

void PostgresPool::want_more() {
  const std::uint64_t now = exact_monotonic_ns();
  const bool all_slow = std::ranges::all_of(members_, [now](const auto& member) {
    return member->pipeline->in_flight() > 0 && now - member->pipeline->oldest_ns() > kSlow_ns;
  });
  if (all_slow && !connecting_ && members_.size() < max_ && now >= connect_at_ns_) connect();
}

void PostgresPool::renew(const std::string& why) {
  const std::uint64_t now = exact_monotonic_ns();
  if (now < renew_at_ns_) return;
  renew_at_ns_ = now + kRenewAgain_ns;
  for (const auto& member : members_) member->pipeline->abandon(why);
}

bool PostgresPool::require_server(const std::string& server) {
  const bool strayed = std::ranges::any_of(servers_seen_, [&](const std::string& seen) { return seen != server; });
  server_ = server;
  servers_seen_.clear();
  for (const auto& member : members_) {
    if (member->server != server_) member->pipeline->abandon("another server tells of changes");
  }
  return strayed;
}

void PostgresPool::connect() {
  connecting_ = true;
  worker_.post([weak = weak_from_this(), &loop = loop_, cancelled = cancelled_, order = order_, query = query_,
                encoding = encoding_, hears_changes = hears_changes_]() mutable {
    Arrival arrival{std::unexpected(authcache::shm::Error{}), nullptr, {}};
    order.prepare = [&](PostgresSetup& setup) -> Result<void> {
      auto prepared = prepare_sessions(setup, query, encoding);
      if (!prepared) return std::unexpected(std::move(prepared.error()));
      arrival.sessions = std::move(*prepared);
      if (!hears_changes) return {};
      if (encoding == KeyEncoding::kIdHexSha256 && arrival.sessions->columns.place(SessionColumn::kSid) < 0) {
        return authcache::shm::fail(authcache::shm::ErrorCode::kUsage,
                                    "with changes and key_encoding \"id_hex_sha256\" the query must return a column \"sid\": a "
                                    "stored key does not say whose token it is, so changes name sessions by their sid");
      }
      auto run = look_at_server(setup);
      if (!run) return std::unexpected(std::move(run.error()));
      arrival.server = std::move(run->name);
      return {};
    };
    arrival.link = connect_postgres(order, *cancelled);
    loop.post([weak = std::move(weak), arrival = std::move(arrival)]() mutable {
      if (const auto self = weak.lock()) self->arrived(std::move(arrival));
    });
  });
}

void PostgresPool::arrived(Arrival arrival) {
  connecting_ = false;
  Result<PostgresLink>& link = arrival.link;
  if (link && !server_.empty() && arrival.server != server_) {
    servers_seen_.push_back(arrival.server);
    link = authcache::shm::fail(authcache::shm::ErrorCode::kUnavailable, link->host + ": it is not the server that tells of changes");
  }
  if (!link) {
    ++failures_;
    ++failures_in_a_row_;
    last_error_ = std::move(link.error().message);
    last_error_ns_ = exact_monotonic_ns();
    pause();
    return changed_();
  }
  ++connects_;
  failures_in_a_row_ = 0;
  pause_ns_ = connect_at_ns_ = 0;
  auto member = std::make_shared<Member>();
  member->sessions = std::move(arrival.sessions);
  member->server = std::move(arrival.server);
  if (hears_changes_) servers_seen_.push_back(member->server);
  member->host = std::move(link->host);
  member->pipeline = std::make_unique<PostgresPipeline>(
      loop_, std::move(link->connection), [weak = weak_from_this(), lost = member.get()](std::string why) {
        if (const auto self = weak.lock()) self->member_lost(lost, std::move(why));
      });
  members_.push_back(std::move(member));
  changed_();
}

void PostgresPool::pause() {
  pause_ns_ = pause_ns_ == 0 ? kFirstPause_ns : std::min(pause_ns_ * 2, kLongestPause_ns);
  connect_at_ns_ = exact_monotonic_ns() + pause_ns_ -
                   static_cast<std::uint64_t>(static_cast<double>(pause_ns_) / 4 * jitter());
}

void PostgresPool::close(const Member* member) {
  const auto at = std::ranges::find(members_, member, [](const auto& each) { return each.get(); });
  if (at != members_.end()) members_.erase(at);
}

void PostgresPool::member_lost(const Member* member, std::string why) {
  const auto at = std::ranges::find(members_, member, [](const auto& each) { return each.get(); });
  if (at == members_.end()) return;
  ++losses_;
  last_error_ = (*at)->host + ": " + std::move(why);
  last_error_ns_ = exact_monotonic_ns();
  const auto gone = std::move(*at);
  members_.erase(at);
  // At once, for another host may serve; what then fails pauses.
  if (members_.size() < min_ && !connecting_ && exact_monotonic_ns() >= connect_at_ns_) connect();
  changed_();
}

void PostgresPool::tick() {
  const std::uint64_t now = exact_monotonic_ns();
  std::vector<const Member*> idle;
  for (const auto& member : members_) {
    PostgresPipeline& pipeline = *member->pipeline;
    if (pipeline.in_flight() > 0) {
      if (now - pipeline.oldest_ns() > patience_ns_) pipeline.abandon("no answer came in time");
    } else if (now - pipeline.used_ns() > kIdleMax_ns && members_.size() - idle.size() > min_) {
      idle.push_back(member.get());
    } else if (now - pipeline.used_ns() > kPingAfter_ns && members_.size() <= min_) {
      pipeline.ask(kPingStatement, [](const pg_result*) {});
    }
  }
  for (const Member* member : idle) close(member);
  if (members_.size() < min_ && !connecting_ && now >= connect_at_ns_) connect();
}

boost::json::object PostgresPool::state() const {
  const std::uint64_t now = exact_monotonic_ns();
  std::size_t in_flight = 0;
  boost::json::array hosts;
  for (const auto& member : members_) {
    in_flight += member->pipeline->in_flight();
    hosts.emplace_back(member->host);
  }
  const char* const breaker = !members_.empty() || failures_in_a_row_ == 0 ? "closed"
                              : connecting_                                ? "half-open"
                                                                           : "open";
  const std::uint64_t wait_ns = connect_at_ns_ > now ? connect_at_ns_ - now : 0;
  return {{"breaker",
           {{"state", breaker},
            {"failures", failures_in_a_row_},
            {"wait_ms", members_.empty() ? wait_ns / 1'000'000 : 0}}},
          {"connections",
           {{"open", members_.size()}, {"connecting", connecting_ ? 1 : 0}, {"min", min_}, {"max", max_}}},
          {"hosts", std::move(hosts)},
          {"statements_in_flight", in_flight},
          {"handshakes", connects_},
          {"connections_lost", losses_},
          {"connections_failed", failures_},
          {"last_error", last_error_},
          {"last_error_age_s", last_error_.empty() ? 0 : (now - last_error_ns_) / 1'000'000'000}};
}

}  // namespace authcached
