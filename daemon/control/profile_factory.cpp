#include "daemon/control/profile_factory.hpp"

#include "daemon/upstream/jwks_upstream.hpp"
#include "daemon/upstream/sqlite_upstream.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Signature checks take 15 to 90 us; two threads keep them off the loop without taking the machine from the services.
constexpr int kVerifyThreads = 2;

bool same_upstream(const ProfileConfig& one, const ProfileConfig& other) {
  return one.id() == other.id() && one.upstream == other.upstream && one.max_token_lifetime == other.max_token_lifetime;
}

}  // namespace

ProfileFactory::ProfileFactory(Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {
  for (int i = 0; i < kVerifyThreads; ++i) pool_.push_back(std::make_unique<Worker>("verify"));
}

shm::Result<std::shared_ptr<Upstream>> ProfileFactory::make_upstream(const ProfileConfig& profile, const Config& config) {
  if (profile.upstream == UpstreamKind::kJwks) {
    std::vector<Executor*> pool;
    for (const auto& worker : pool_) pool.push_back(worker.get());
    auto upstream = JwksUpstream::open(profile, std::move(pool), reader_, loop_, clock_);
    if (!upstream) return std::unexpected(upstream.error());
    return std::shared_ptr<Upstream>(std::move(*upstream));
  }
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
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

std::vector<shm::ProfileDescription> describe_profiles(const Profiles& profiles) {
  std::vector<shm::ProfileDescription> descriptions;
  for (const auto& profile : profiles) {
    descriptions.push_back({profile->config.name, profile->id, shm::ProfileState::kCurrent, profile->config.audience});
  }
  return descriptions;
}

}  // namespace authcached
