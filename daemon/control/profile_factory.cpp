#include "daemon/control/profile_factory.hpp"

#include <algorithm>

#include "daemon/control/profile_client.hpp"
#include "daemon/upstream/file_key_set.hpp"
#include "daemon/upstream/https_key_set.hpp"
#include "daemon/upstream/introspection_upstream.hpp"
#include "daemon/upstream/jwks_upstream.hpp"
#include "daemon/upstream/postgres_upstream.hpp"
#include "daemon/upstream/redis_upstream.hpp"
#include "daemon/upstream/sqlite_upstream.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Signature checks take 15 to 90 us; two threads keep them off the loop without taking the machine from the services.
constexpr int kVerifyThreads = 2;

bool same_upstream(const ProfileConfig& one, const ProfileConfig& other) {
  return one.id() == other.id() && one.upstream == other.upstream && one.max_token_lifetime == other.max_token_lifetime &&
         one.jwks_max_stale == other.jwks_max_stale && one.pool_min == other.pool_min && one.pool_max == other.pool_max &&
         one.statement_timeout == other.statement_timeout && one.changes.kind == other.changes.kind &&
         one.changes.table == other.changes.table;
}

}  // namespace

ProfileFactory::ProfileFactory(Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {
  for (int i = 0; i < kVerifyThreads; ++i) pool_.push_back(std::make_unique<Worker>("verify"));
}

std::vector<Executor*> ProfileFactory::verifiers() const {
  std::vector<Executor*> pool;
  for (const auto& worker : pool_) pool.push_back(worker.get());
  return pool;
}

// Profiles of one issuer share its key set, so that it is asked once for all of them.
shm::Result<std::shared_ptr<KeySetSource>> ProfileFactory::make_https_key_set(const ProfileConfig& profile) {
  std::erase_if(key_sets_, [](const SharedKeySet& shared) { return shared.source.expired(); });
  const auto same = [&](const SharedKeySet& shared) {
    return shared.issuer == profile.issuer && shared.url == profile.jwks_url && shared.ca_file == profile.ca_file &&
           shared.max_stale == profile.jwks_max_stale;
  };
  if (const auto found = std::ranges::find_if(key_sets_, same); found != key_sets_.end()) return found->source.lock();
  auto client = make_profile_client(profile, loop_, resolver_, clock_);
  if (!client) return std::unexpected(client.error());
  std::shared_ptr<KeySetSource> source = HttpsKeySet::open(profile, std::move(*client), reader_, loop_, clock_);
  key_sets_.push_back({profile.issuer, profile.jwks_url, profile.ca_file, profile.jwks_max_stale, source});
  return source;
}

shm::Result<std::shared_ptr<KeySetSource>> ProfileFactory::make_key_set(const ProfileConfig& profile) {
  if (profile.key_source() == KeySource::kNone) return std::shared_ptr<KeySetSource>();
  if (profile.key_source() != KeySource::kFile) return make_https_key_set(profile);
  auto file = FileKeySet::open(profile.jwks_file, reader_, loop_, clock_);
  if (!file) return std::unexpected(file.error());
  return std::shared_ptr<KeySetSource>(std::move(*file));
}

shm::Result<std::shared_ptr<Upstream>> ProfileFactory::make_issuer_upstream(const ProfileConfig& profile) {
  auto keys = make_key_set(profile);
  if (!keys) return std::unexpected(keys.error());
  if (profile.upstream == UpstreamKind::kJwks) return std::make_shared<JwksUpstream>(profile, std::move(*keys), verifiers(), loop_, clock_);
  // Its own client: keys that cannot be fetched must not open the breaker of the endpoint, nor the other way round.
  auto client = make_profile_client(profile, loop_, resolver_, clock_);
  if (!client) return std::unexpected(client.error());
  auto upstream = IntrospectionUpstream::open(profile, std::move(*client), std::move(*keys), verifiers(), reader_, loop_, clock_);
  if (!upstream) return std::unexpected(upstream.error());
  return std::shared_ptr<Upstream>(std::move(*upstream));
}

// A thread of its own for its connections: a database that does not answer must not hold up another one's.
shm::Result<std::shared_ptr<Upstream>> ProfileFactory::make_postgres_upstream(const ProfileConfig& profile) {
  auto worker = std::make_unique<Worker>("postgres");
  auto listener = profile.changes.heard() ? std::make_unique<Worker>("pg-changes") : nullptr;
  Executor& listens = listener ? *listener : *worker;
  auto upstream = PostgresUpstream::open(profile, loop_, *worker, listens, clock_);
  if (!upstream) return std::unexpected(upstream.error());
  std::shared_ptr<Upstream> shared(std::move(*upstream));
  databases_.push_back({std::move(worker), shared});
  if (listener) databases_.push_back({std::move(listener), shared});
  return shared;
}

shm::Result<std::shared_ptr<Upstream>> ProfileFactory::make_upstream(const ProfileConfig& profile, const Config& config) {
  if (profile.upstream == UpstreamKind::kPostgresql) return make_postgres_upstream(profile);
  if (profile.upstream == UpstreamKind::kRedis) {
    auto redis = RedisUpstream::open(profile, loop_, resolver_, clock_);
    if (!redis) return std::unexpected(redis.error());
    return std::shared_ptr<Upstream>(std::move(*redis));
  }
  if (profile.upstream != UpstreamKind::kSqlite) return make_issuer_upstream(profile);
  auto worker = std::make_unique<Worker>("sessions");
  auto upstream = SqliteUpstream::open(profile, config.state_dir / "sessions.db", *worker, loop_, clock_);
  if (!upstream) return std::unexpected(upstream.error());
  std::shared_ptr<Upstream> shared(std::move(*upstream));
  databases_.push_back({std::move(worker), shared});
  return shared;
}

shm::Result<Profiles> ProfileFactory::make(const Config& config, const Profiles& before) {
  // Threads of stores that an earlier reload replaced. A flight keeps its profile, so nobody asks there any more.
  std::erase_if(databases_, [](const SessionThread& thread) { return thread.upstream.expired(); });
  Profiles profiles;
  for (const ProfileConfig& wanted : config.profiles) {
    auto profile = std::make_shared<Profile>();
    profile->config = wanted;
    profile->id = wanted.id();
    const auto old = profile_named(before, wanted.name);
    if (old && same_upstream(old->config, wanted)) {
      profile->upstream = old->upstream;
    } else {
      auto upstream = make_upstream(wanted, config);
      if (!upstream) return shm::fail(upstream.error().code, "profile " + wanted.name + ": " + upstream.error().message);
      profile->upstream = std::move(*upstream);
    }
    // Never served as if it were heard.
    if (wanted.changes.heard() && profile->upstream->changes() == nullptr) {
      return shm::fail(shm::ErrorCode::kUsage, "profile " + wanted.name + ": its changes cannot be heard; write changes = \"off\"");
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

std::vector<shm::ProfileDescription> describe_profiles(const Profiles& profiles) {
  std::vector<shm::ProfileDescription> descriptions;
  for (const auto& profile : profiles) {
    const auto state = profile->upstream->catching_up() ? shm::ProfileState::kUnavailable : shm::ProfileState::kCurrent;
    descriptions.push_back({profile->config.name, profile->id, state, profile->config.audience});
  }
  return descriptions;
}

}  // namespace authcached
