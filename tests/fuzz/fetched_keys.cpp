// Key sets as an issuer's server sends them: statuses, caching headers, tags, bodies, in any order. Whatever comes, the
// last good set stays until its time, no key comes into it that was in no body, and how long it is kept has its bounds.
//
// Each answer: 1 byte status (0: 200, 1: 304, 2: 500, 3: no answer, 4: 200 with the good set), 1 byte number of headers,
// each a byte for its name and a counted value, 2 bytes length of the body, the body.
#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>

#include "daemon/upstream/http_freshness.hpp"
#include "daemon/upstream/https_key_set.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/support/manual_loop.hpp"
#include "tests/support/scripted_http.hpp"

namespace {

using namespace authcached;
using authcache_fuzz::Bytes;
using authcached::testing::ManualExecutor;
using authcached::testing::ManualLoop;
using authcached::testing::MovedClock;
using authcached::testing::ScriptedHttp;

constexpr std::int64_t kMaxStaleS = 3'600;
constexpr std::size_t kAnswersMax = 6;
constexpr std::array<std::string_view, 7> kNames{"cache-control", "age", "expires", "date", "etag", "content-type", "x"};

const std::string& good_set() {
  static const std::string set = authcache_test::jwks(
      {authcache_test::SigningKey::from_ed25519_seed("a seed of 32 bytes, as good as 1").public_jwk("good", "EdDSA")});
  return set;
}
const Sha256& good_key() {
  static const Sha256 thumbprint = KeySet::parse(good_set())->keys().front().thumbprint;
  return thumbprint;
}

struct World {
  MovedClock clock;
  ManualLoop loop{clock};
  ManualExecutor reader;
  std::shared_ptr<ScriptedHttp> http = std::make_shared<ScriptedHttp>();
  std::shared_ptr<HttpsKeySet> source;

  World() {
    ProfileConfig profile;
    profile.upstream = UpstreamKind::kJwks;
    profile.jwks_url = "https://keys.example/";
    profile.jwks_max_stale = std::chrono::seconds(kMaxStaleS);
    source = HttpsKeySet::open(profile, http, reader, loop, clock);
    http->answer(200, good_set());
    work();
  }
  void work() {
    while (reader.run_all() + loop.run_all() > 0) {
    }
  }
  // Lets time pass until the set is asked for again.
  void until_asked() {
    for (std::int64_t passed = 0; !http->waits() && passed <= 86'400; passed += 30) {
      clock.pass(30 * MovedClock::kSecond);
      source->poll([](const KeySetChange&) {});
    }
    FUZZ_REQUIRE(http->waits());
  }
};

void answer(World& world, Bytes& bytes) {
  const std::uint8_t status = bytes.byte() % 5;
  std::vector<HttpHeader> headers;
  for (std::size_t left = bytes.byte() % 8; left > 0; --left) {
    const auto name = kNames[bytes.byte() % kNames.size()];
    headers.push_back({std::string(name), std::string(bytes.take_counted())});
  }
  const std::string body(bytes.take_bytes(bytes.take<std::uint16_t>()));
  const std::int64_t fresh = freshness_ns(headers);
  FUZZ_REQUIRE(fresh >= kFreshMinNs && fresh <= kFreshMaxNs);
  if (const auto tag = entity_tag(headers)) {
    FUZZ_REQUIRE(tag->size() <= 256 && tag->find_first_of("\r\n \t") == std::string_view::npos);
  }
  const auto before = world.source->keys();
  const bool had_good = before && before->proves_by(good_key());
  const auto set = KeySet::parse(body);
  const bool takes = status == 0 && set.has_value();
  switch (status) {
    case 0: world.http->answer(200, body, headers); break;
    case 1: world.http->answer(304, "", headers); break;
    case 2: world.http->answer(500, body, headers); break;
    case 3: world.http->fail("keys.example does not answer"); break;
    default: world.http->answer(200, good_set(), headers); break;
  }
  world.work();
  const auto after = world.source->keys();
  // What is no set changes nothing; a set takes at most the keys away that it lacks.
  if (!takes && status != 4 && status != 1) FUZZ_REQUIRE(after == before);
  if (status == 4) FUZZ_REQUIRE(after && after->proves_by(good_key()));
  if (takes) {
    FUZZ_REQUIRE(after != nullptr);
    const bool named = std::ranges::any_of(set->keys(), [](const auto& key) { return key.kid == "good"; }) ||
                       std::ranges::any_of(set->skipped(), [](const auto& key) { return key.kid == "good"; });
    const bool was_listed = before && std::ranges::any_of(before->keys(), [](const auto& key) { return key.thumbprint == good_key(); });
    if (was_listed && !named) FUZZ_REQUIRE(after->proves_by(good_key()));  // gone from one only
  }
  if (status != 4 && !takes && !had_good) FUZZ_REQUIRE(!after || !after->proves_by(good_key()));
}

}  // namespace

FUZZ_TARGET(fetched_keys) {
  World world;
  Bytes bytes(input);
  for (std::size_t i = 0; i < kAnswersMax && !bytes.empty(); ++i) {
    world.until_asked();
    answer(world, bytes);
    boost::json::error_code unreadable;
    (void)boost::json::parse(world.source->state_json(), unreadable);
    FUZZ_REQUIRE(!unreadable);
  }
}
