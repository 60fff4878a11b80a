// The cache with a refresher: time passes in its turns, clients' uses are set by hand. One thread.
#pragma once

#include "daemon/cache/refresher.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace authcached::testing {

inline constexpr std::int64_t kTurnNs = std::chrono::nanoseconds(Refresher::kInterval).count();
inline constexpr std::int64_t kTtlNs = 10 * kSecond;

// Keys that nobody looks into: how long they may be relied on is all that is asked of them.
struct StillKeySet final : KeySetSource {
  std::optional<std::int64_t> keep_until;
  std::string none;
  std::shared_ptr<const KeySet> keys() const override { return nullptr; }
  std::optional<std::int64_t> keep_until_wall_ns() const override { return keep_until; }
  void poll(Changed) override {}
  void seek(const KeySet*, uid_t, std::uint64_t, Found) override {}
  const std::string& last_error() const override { return none; }
  std::int64_t loaded_wall_ns() const override { return 0; }
  std::string complaint() const override { return {}; }
  std::string state_json() const override { return "{}"; }
};

struct RefreshCache : Cache {
  explicit RefreshCache(UpstreamKind kind = UpstreamKind::kIntrospection,
                        std::chrono::seconds stale_if_error = {},
                        std::size_t sealed_max = SealedTokens::kEntriesMax)
      : refresher(tables, admission, resolver, profiles, clock, wall, sealed_max) {
    auto recency = Recency::create(tables.newest().writer.view().geometry.slots);
    if (!recency) throw std::runtime_error(recency.error().message);
    tables.newest().recency = std::move(*recency);
    tables.newest().writer.set_recency(tables.newest().recency->bytes());
    upstream->keys = &keys;
    ProfileConfig config;
    config.name = "web";
    config.issuer = "https://issuer.example";
    config.upstream = kind;
    config.audience = {"api"};
    config.ttl_max =
        std::chrono::nanoseconds(kTtlNs) / std::chrono::milliseconds(1) * std::chrono::milliseconds(1);
    config.stale_if_error = stale_if_error;
    set_profile(config);
  }

  // A miss, answered: the record stands, and its token is sealed.
  void learn(std::string_view token, const Proof& proof) {
    resolver.validate(profile, token, 1'000, [](const auto&) {});
    upstream->answer(proof);
  }
  void learn(std::string_view token) { learn(token, proven(token)); }
  // Its subject is its own, and it lasts.
  [[nodiscard]] Proof proven(std::string_view token) const {
    Proof proof = valid();
    proof.identity.subject = "subject of " + std::string(token);
    proof.issued_wall_ns = 1'700'000'000 * kSecond;
    proof.expires_wall_ns = std::nullopt;
    if (profile->config.upstream != UpstreamKind::kJwks) proof.key_thumbprint = std::nullopt;
    return proof;
  }
  void use(std::string_view token) { tables.newest().recency->bytes()[found(token).slot] = 1; }
  [[nodiscard]] authcache::shm::Found found(std::string_view token) const {
    authcache::shm::Found found{};
    EXPECT_TRUE(tables.find(authcache::shm::key_of(digest_of(token)), found)) << token;
    return found;
  }
  [[nodiscard]] std::int64_t deadline(std::string_view token) const {
    return static_cast<std::int64_t>(found(token).record.deadline);
  }
  [[nodiscard]] std::int64_t left(std::string_view token) const { return deadline(token) - clock.monotonic; }
  [[nodiscard]] std::int64_t tick() const {
    return static_cast<std::int64_t>(tables.newest().writer.view().tick_ns);
  }
  // In turns of the refresher.
  void pass(std::int64_t ns) {
    for (; ns > 0; ns -= kTurnNs) {
      clock.pass(std::min(ns, kTurnNs));
      refresher.tick();
    }
  }
  // Until somebody is asked, at most so long.
  bool pass_until_asked(std::int64_t ns) {
    for (; ns > 0 && upstream->asked.empty(); ns -= kTurnNs) pass(kTurnNs);
    return !upstream->asked.empty();
  }
  static Proof unavailable(authcache::shm::Reason reason = authcache::shm::Reason::kUpstream) {
    Proof proof;
    proof.reason = reason;
    return proof;
  }

  StillKeySet keys;
  Refresher refresher;
};

}  // namespace authcached::testing
