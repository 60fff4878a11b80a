// The cache over a real store of our own sessions, whose thread and clock the test moves by hand. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/base/sha256.hpp"
#include "daemon/upstream/sqlite_upstream.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace authcached::testing {

struct SessionCache : Cache {
  explicit SessionCache(ProfileConfig config) {
    auto recency = Recency::create(tables.newest().writer.view().geometry.slots);
    if (!recency) throw std::runtime_error(recency.error().message);
    tables.newest().recency = std::move(*recency);
    tables.newest().writer.set_recency(tables.newest().recency->bytes());
    configure(std::move(config));
  }

  // As a start does, or a reload that changed the profile: the store is opened anew.
  void configure(ProfileConfig config) {
    config.name = "sessions";
    config.upstream = UpstreamKind::kSqlite;
    auto opened = SqliteUpstream::open(config, state_dir / "sessions.db", worker, turns, clock);
    if (!opened) throw std::runtime_error(opened.error().message);
    store = std::move(*opened);
    auto made = std::make_shared<Profile>();
    made->config = config;
    made->id = config.id();
    made->upstream = store;
    profile = made;
    profiles = {made};
    revoker.set_profiles(profiles);
  }

  [[nodiscard]] SessionSpec spec(std::int64_t life_ns) const {
    return {.subject = "alice",
            .client_id = {},
            .scopes = {"read"},
            .roles = {},
            .permissions = {"orders:list"},
            .created_wall_ns = clock.wall,
            .expires_wall_ns = clock.wall + life_ns};
  }
  // In the database only, unless they are admitted as authctl's new ones are.
  std::vector<NewSession> create(std::uint32_t count, bool admitted = false,
                                 std::int64_t life_ns = 36'000 * kSecond) {
    std::vector<NewSession> made;
    store->create_sessions(spec(life_ns), count, [&](auto result) { made = std::move(*result); });
    settle();
    for (const NewSession& session : made) {
      if (admitted) (void)admit(session.token, session.proof);
    }
    return made;
  }

  // A question through the miss socket, answered.
  authcache::shm::Verdict present(std::string_view token) {
    auto verdict = authcache::shm::Verdict::kMiss;
    resolver.validate(profile, token, 1'000, [&](const auto& reply) { verdict = reply.verdict; });
    settle();
    return verdict;
  }
  // What an application does: a hit, which the daemon hears of by its hint alone, or else a question.
  authcache::shm::Verdict use(std::string_view token, bool hinted = true) {
    const authcache::shm::Verdict hit = seen(token);
    if (hit != authcache::shm::Verdict::kValid) return present(token);
    authcache::shm::Found found;
    if (hinted && tables.find(authcache::shm::key_of(digest_of(token)), found))
      tables.newest().recency->bytes()[found.slot] = 1;
    return hit;
  }

  std::shared_ptr<SqliteUpstream> store;
};

}  // namespace authcached::testing
