// The whole of daemon/cache around a clock, an upstream and executors that the test moves by hand. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "daemon/cache/admission.hpp"
#include "daemon/cache/resolver.hpp"
#include "daemon/cache/revoker.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/cache/token_hash.hpp"
#include "tests/support/manual_executor.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/support/temporary_directory.hpp"

namespace authcached::testing {

inline constexpr std::int64_t kSecond = 1'000'000'000;

struct FakeClock final : Clock {
  std::int64_t monotonic = 1'000 * kSecond;
  std::int64_t boot = 1'000 * kSecond;
  std::int64_t wall = 1'700'000'000 * kSecond;
  bool throws = false;  // at a look at the wall clock
  std::int64_t monotonic_ns() const override { return monotonic; }
  std::int64_t boot_ns() const override { return boot; }
  std::int64_t wall_ns() const override { return throws ? throw std::bad_alloc() : wall; }
  void pass(std::int64_t ns) {
    monotonic += ns;
    boot += ns;
    wall += ns;
  }
};

// Asks nobody: the test gives each answer, when it likes.
struct ScriptedUpstream final : Upstream {
  std::deque<std::pair<Query, Answer>> asked;
  bool throws = false;
  bool knows_key = true;
  KeySetSource* keys = nullptr;
  bool is_ready = true;

  void resolve(Query query, Answer answer) override {
    if (throws) throw std::bad_alloc();
    asked.emplace_back(std::move(query), std::move(answer));
  }
  bool well_formed(std::string_view token) const override { return token.front() != '!'; }
  bool has_key(const Sha256&) const override { return knows_key; }
  KeySetSource* key_set() const override { return keys; }
  bool ready() const override { return is_ready; }
  std::string state_json() const override { return "{}"; }
  void answer(Proof proof) {
    Answer first = std::move(asked.front().second);
    asked.pop_front();
    first(std::move(proof));
  }
};

inline std::unique_ptr<Generation> make_test_generation(const std::filesystem::path& dir, std::uint64_t number,
                                                        std::uint64_t negative_max = 100) {
  auto spec = authcache_test::small_table_spec();
  spec.generation = number;
  spec.negative_max = negative_max;
  auto file = authcache::shm::create_table(dir, spec);
  if (!file) throw std::runtime_error(file.error().message);
  return std::make_unique<Generation>(std::move(*file), std::nullopt);
}

inline StateDb open_state_db(const std::filesystem::path& file) {
  auto db = StateDb::open(file, "boot");
  if (!db) throw std::runtime_error(db.error().message);
  return std::move(*db);
}

inline std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create();
  if (!loop) throw std::runtime_error(loop.error().message);
  return std::move(*loop);
}

struct Cache {
  explicit Cache(std::uint64_t negative_max = 100, LimitsConfig limits = {})
      : tables(directory.path(), make_test_generation(directory.path(), 1, negative_max)),
        resolver(tables, admission, clock, limits) {
    authcache::shm::publish_table(tables.newest().writer.view());
    if (auto named = authcache::shm::name_table(tables.newest().writer.file(), directory.path()); !named) {
      throw std::runtime_error(named.error().message);
    }
    ProfileConfig config;
    config.name = "web";
    config.issuer = "https://issuer.example";
    config.upstream = UpstreamKind::kJwks;
    config.audience = {"api"};
    config.max_token_lifetime = std::chrono::seconds(3'600);
    set_profile(config);
  }

  void set_profile(const ProfileConfig& config) {
    auto made = std::make_shared<Profile>();
    made->config = config;
    made->id = config.id();
    made->upstream = upstream;
    profile = made;
    profiles = {made};
    revoker.set_profiles(profiles);
  }

  [[nodiscard]] Proof valid(std::int64_t life_ns = 600 * kSecond) const {
    Proof proof;
    proof.verdict = authcache::shm::Verdict::kValid;
    proof.identity.subject = "alice";
    proof.identity.issuer = "https://issuer.example";
    proof.identity.audience = {"api"};
    proof.identity.scopes = {"read"};
    proof.issued_wall_ns = clock.wall;
    proof.expires_wall_ns = clock.wall + life_ns;
    proof.key_thumbprint = sha256("key");
    return proof;
  }
  [[nodiscard]] static Proof invalid() {
    Proof proof;
    proof.verdict = authcache::shm::Verdict::kInvalid;
    proof.reason = authcache::shm::Reason::kUnknown;
    return proof;
  }

  Admitted admit(std::string_view token, const Proof& proof) {
    const auto digest = digest_of(token);
    const Sha256 hash = sha256(token);
    return admission.admit({profile.get(), &digest, &hash, tables.epoch()}, proof);
  }
  [[nodiscard]] authcache::shm::Digest digest_of(std::string_view token) const {
    return authcache::shm::token_digest(profile->id, token);
  }
  // What a lookup in shared memory would find now; kMiss if no record counts.
  [[nodiscard]] authcache::shm::Verdict seen(std::string_view token) const {
    authcache::shm::Found found;
    const auto now = static_cast<std::uint64_t>(clock.monotonic);
    if (!tables.find(authcache::shm::key_of(digest_of(token)), found) ||
        !authcache::shm::is_current(tables.newest().writer.view(), found.record, now)) {
      return authcache::shm::Verdict::kMiss;
    }
    return authcache::shm::unpack_facts(found.record.facts).verdict;
  }
  void settle() {
    while (worker.run_all() + turns.run_all() + loop->context().poll() > 0) loop->context().restart();
    loop->context().restart();
  }

  authcache_test::TempTableDirectory directory;
  TemporaryDirectory state_dir;
  FakeClock clock;
  WallClock wall{clock};
  std::unique_ptr<Loop> loop = make_loop();
  ManualExecutor worker, turns;
  RuleSet rules{1'000};
  OversizeTexts texts;
  Tables tables;
  Admission admission{tables, texts, rules, clock, wall};
  StateWriter state{open_state_db(state_dir / "state.db"), worker, turns};
  Resolver resolver;
  Revoker revoker{tables, rules, state, *loop, clock, 0};
  std::shared_ptr<ScriptedUpstream> upstream = std::make_shared<ScriptedUpstream>();
  std::shared_ptr<const Profile> profile;
  Profiles profiles;
};

}  // namespace authcached::testing
