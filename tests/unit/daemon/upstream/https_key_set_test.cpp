// Key sets over HTTPS, and tokens checked against them: what is fetched, when, and what is said meanwhile.
#include "daemon/upstream/https_key_set.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <optional>

#include "daemon/upstream/jwks_upstream.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/support/manual_loop.hpp"
#include "tests/support/scripted_http.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_test::Claims;
using authcache_test::jwks;
using authcache_test::KeyKind;
using authcache_test::SigningKey;
using authcached::testing::ManualExecutor;
using authcached::testing::ManualLoop;
using authcached::testing::MovedClock;
using authcached::testing::ScriptedHttp;

constexpr std::int64_t kSecond = MovedClock::kSecond;
constexpr const char* kIssuer = "https://issuer.example";
constexpr const char* kAudience = "https://api.example";
constexpr const char* kSetUrl = "https://keys.example/jwks";
constexpr uid_t kAlice = 1'000, kMallory = 6'666;

const SigningKey& key(std::size_t number) {
  static const std::vector<SigningKey> keys = [] {
    std::vector<SigningKey> made;
    for (int i = 0; i < 3; ++i) made.push_back(SigningKey::generate(KeyKind::kP256));
    return made;
  }();
  return keys[number];
}
std::string kid(std::size_t number) { return "ec-" + std::to_string(number); }
std::string set_of(std::initializer_list<std::size_t> numbers) {
  std::vector<std::string> members;
  for (const std::size_t number : numbers) members.push_back(key(number).public_jwk(kid(number), "ES256"));
  return jwks(members);
}

class HttpsKeySetTest : public ::testing::Test {
 protected:
  void open(bool discover = false) {
    ProfileConfig profile;
    profile.upstream = UpstreamKind::kJwks;
    profile.issuer = issuer_;
    if (!discover) profile.jwks_url = kSetUrl;
    profile.jwks_max_stale = std::chrono::seconds(max_stale_s_);
    profile.algorithms = {Algorithm::kES256};
    profile.audience = {kAudience};
    source_ = HttpsKeySet::open(profile, http_, reader_, loop_, clock_);
    upstream_ = std::make_shared<JwksUpstream>(profile, source_, std::vector<Executor*>{&pool_}, loop_, clock_);
  }
  void open_with(std::initializer_list<std::size_t> numbers, std::vector<HttpHeader> headers = {}) {
    open();
    http_->answer(200, set_of(numbers), std::move(headers));
    work();
    (void)changes();
  }
  void work() {
    while (reader_.run_all() + pool_.run_all() + loop_.run_all() > 0) {
    }
  }
  std::string token(std::size_t number, const std::string& named = {}) const {
    return mint_access_token(key(number), "ES256", named.empty() ? kid(number) : named,
                             Claims(issuer_, kAudience, clock_.wall / kSecond).json());
  }
  struct Seen {
    std::optional<Proof> proof;
    [[nodiscard]] std::string text() const {
      if (!proof) return "nothing yet";
      const std::string verdict(authcache::shm::verdict_name(proof->verdict)), reason(authcache::shm::reason_name(proof->reason));
      return reason.empty() ? verdict : verdict + "/" + reason;
    }
  };
  std::shared_ptr<Seen> ask(const std::string& presented, uid_t uid = kAlice, std::int64_t within_ns = 2 * kSecond) {
    auto seen = std::make_shared<Seen>();
    upstream_->resolve({presented, static_cast<std::uint64_t>(clock_.monotonic + within_ns), uid}, [seen](Proof proof) {
      EXPECT_FALSE(seen->proof.has_value()) << "answered twice";
      seen->proof = std::move(proof);
    });
    EXPECT_FALSE(seen->proof.has_value()) << "answered from within";
    work();
    return seen;
  }
  std::string verdict(const std::string& presented, uid_t uid = kAlice) { return ask(presented, uid)->text(); }
  // As housekeeping does, once a second.
  KeySetChange changes() {
    KeySetChange seen;
    source_->poll([&](const KeySetChange& change) { seen = change; });
    return seen;
  }
  // Lets time pass, a second at a time, until a request waits; the seconds it took.
  std::int64_t seconds_until_asked(std::int64_t most) {
    for (std::int64_t s = 0; s <= most; ++s) {
      (void)changes();
      if (http_->waits()) return s;
      loop_.pass(kSecond);
    }
    return -1;
  }
  // By what a token of key 1 was proven, over a set that has it.
  static Sha256 sha256_of_key_1() { return KeySet::parse(set_of({1}))->keys().front().thumbprint; }
  boost::json::object state() const { return boost::json::parse(upstream_->state_json()).as_object(); }
  std::string state_word() const { return std::string(state().at("state").as_string()); }

  std::string issuer_ = kIssuer;
  std::int64_t max_stale_s_ = 3'600;
  MovedClock clock_;
  ManualLoop loop_{clock_};
  ManualExecutor reader_, pool_;
  std::shared_ptr<ScriptedHttp> http_ = std::make_shared<ScriptedHttp>();
  std::shared_ptr<HttpsKeySet> source_;
  std::shared_ptr<JwksUpstream> upstream_;
};

TEST_F(HttpsKeySetTest, TheFirstTokensWaitForTheFirstSetAndAreThenJudged) {
  open();
  EXPECT_EQ(http_->oldest().url, kSetUrl);
  EXPECT_EQ(http_->oldest().body_max, 512u * 1024);  // A4_12
  EXPECT_EQ(state_word(), "starting");
  const auto good = ask(token(0)), unknown = ask(token(1));
  EXPECT_EQ(good->text(), "nothing yet");
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(good->text(), "valid");
  EXPECT_EQ(state_word(), "fresh");
  // A2_11: the other names a key that this set lacks, so one more fetch is made for it.
  EXPECT_EQ(unknown->text(), "nothing yet");
  http_->answer(200, set_of({0, 1}));
  work();
  EXPECT_EQ(unknown->text(), "valid");
}

TEST_F(HttpsKeySetTest, AnUnknownKidIsFetchedOnceInACooldownCountedFromTheAttempt_A2_11) {
  open_with({0});
  const auto first = ask(token(1));
  EXPECT_EQ(first->text(), "nothing yet");
  EXPECT_EQ(http_->sent, 2u);
  loop_.pass(kSecond);  // the attempt's own time counts
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(first->text(), "invalid/unknown_key");
  ASSERT_TRUE(first->proof->retry_wall_ns);
  EXPECT_EQ(*first->proof->retry_wall_ns - clock_.wall, 29 * kSecond);  // B12: a refusal lasts for the cooldown at most
  EXPECT_TRUE(first->proof->signing_input);
  loop_.pass(20 * kSecond);
  const auto second = ask(token(2), kMallory);
  EXPECT_EQ(second->text(), "invalid/unknown_key");
  EXPECT_EQ(*second->proof->retry_wall_ns - clock_.wall, 9 * kSecond);
  EXPECT_EQ(http_->sent, 2u);
  loop_.pass(9 * kSecond);
  EXPECT_EQ(ask(token(2), kMallory)->text(), "nothing yet");
  EXPECT_EQ(http_->sent, 3u);
}

TEST_F(HttpsKeySetTest, IfTheFetchForAnUnknownKidFailsNothingIsKnown_A2_11) {
  open_with({0});
  const auto waiting = ask(token(1));
  http_->fail("keys.example refuses the connection");
  work();
  EXPECT_EQ(waiting->text(), "unavailable/upstream");
  EXPECT_EQ(verdict(token(1)), "unavailable/upstream");  // within the cooldown, as the last attempt failed
  EXPECT_EQ(verdict(token(0)), "valid");
}

TEST_F(HttpsKeySetTest, ManyQuestionsForUnknownKidsMakeOneFetch_B14) {
  open_with({0});
  std::vector<std::shared_ptr<Seen>> waiting;
  for (int i = 0; i < 1'000; ++i) waiting.push_back(ask(token(1), static_cast<uid_t>(i)));
  EXPECT_EQ(http_->sent, 2u);
  http_->answer(200, set_of({0, 1}));
  work();
  for (const auto& each : waiting) ASSERT_EQ(each->text(), "valid");
}

TEST_F(HttpsKeySetTest, OneUsersInventedKidsLeaveTheOthersTheirFetch_A2_11_B13) {
  open_with({0});
  ask(token(2, "invented"), kMallory);
  http_->answer(200, set_of({0}));
  work();
  loop_.pass(30 * kSecond);
  EXPECT_EQ(verdict(token(2, "again"), kMallory), "unavailable/over_budget");
  EXPECT_EQ(http_->sent, 2u);
  const auto honest = ask(token(1), kAlice);
  EXPECT_EQ(http_->sent, 3u);
  http_->answer(200, set_of({0, 1}));
  work();
  EXPECT_EQ(honest->text(), "valid");
  // It brought a key, so it cost nothing: the next rotation is not held up either.
  loop_.pass(30 * kSecond);
  EXPECT_EQ(ask(token(2), kAlice)->text(), "nothing yet");
  EXPECT_EQ(http_->sent, 4u);
}

TEST_F(HttpsKeySetTest, AWaitingTokenWaitsForItsOwnDeadlineAndBlocksNobody) {
  open_with({0});
  const auto hasty = ask(token(1), kAlice, kSecond), patient = ask(token(1), kAlice, 5 * kSecond);
  EXPECT_EQ(verdict(token(0)), "valid");
  loop_.pass(kSecond - 1);
  EXPECT_EQ(hasty->text(), "nothing yet");
  loop_.pass(1);
  EXPECT_EQ(hasty->text(), "unavailable/timeout");
  EXPECT_EQ(patient->text(), "nothing yet");
  http_->answer(200, set_of({0, 1}));
  work();
  EXPECT_EQ(patient->text(), "valid");
  loop_.pass(10 * kSecond);  // its timer finds nobody
}

TEST_F(HttpsKeySetTest, IsFetchedAheadOfItsTimeWithJitter_A4_13) {
  open_with({0}, {{"cache-control", "max-age=1000"}});
  const std::int64_t asked = seconds_until_asked(2'000);
  EXPECT_GE(asked, 800);
  EXPECT_LE(asked, 901);
  EXPECT_EQ(state_word(), "fresh");  // before anybody waits
}

TEST_F(HttpsKeySetTest, WithoutCachingHeadersIsFetchedWithinTenMinutes_A4_13) {
  open_with({0});
  EXPECT_LE(seconds_until_asked(2'000), 541);
}

TEST_F(HttpsKeySetTest, ATagIsSentBackAndNotModifiedExtends_A4_13) {
  open_with({0}, {{"etag", "\"v1\""}, {"cache-control", "max-age=100"}});
  ASSERT_GE(seconds_until_asked(200), 0);
  EXPECT_EQ(http_->oldest_header("If-None-Match"), "\"v1\"");
  const auto before = source_->keys();
  http_->answer(304, "", {{"cache-control", "max-age=1000"}});
  work();
  EXPECT_EQ(source_->keys(), before);
  EXPECT_GE(seconds_until_asked(2'000), 790);
  EXPECT_EQ(state().at("unchanged").as_int64(), 1);
}

TEST_F(HttpsKeySetTest, NotModifiedWithoutATagIsAFailure) {
  open_with({0});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  EXPECT_EQ(http_->oldest_header("If-None-Match"), "");
  http_->answer(304, "");
  work();
  EXPECT_EQ(source_->last_error(), "The request for the key set was answered with status 304.");
}

TEST_F(HttpsKeySetTest, WhatIsNoUsableSetLeavesTheLastGoodOne_A4_12) {
  open_with({0});
  std::string many = R"({"keys":[)";
  for (int i = 0; i <= 100; ++i) many += std::string(i > 0 ? "," : "") + R"({"kty":"x"})";
  for (const std::string& body : {std::string("<html>welcome</html>"), std::string(R"({"keys":[]})"), many + "]}",
                                  std::string(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})"), std::string()}) {
    ASSERT_GE(seconds_until_asked(1'000), 0);
    http_->answer(200, body);
    work();
    EXPECT_TRUE(changes().failed) << body.substr(0, 40);
    EXPECT_FALSE(source_->last_error().empty());
    EXPECT_EQ(verdict(token(0)), "valid");
  }
  EXPECT_TRUE(upstream_->complaint().starts_with("goes on with its last good key set: ")) << upstream_->complaint();
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(200, set_of({0, 1}));
  work();
  EXPECT_EQ(upstream_->complaint(), "");
  EXPECT_TRUE(changes().added);
}

TEST_F(HttpsKeySetTest, FailuresAreAskedAgainAfterAGrowingTime_A4_12) {
  open_with({0});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 10; ++i) {
    http_->fail("no route to keys.example");
    work();
    waits.push_back(seconds_until_asked(200));
  }
  EXPECT_LE(waits.front(), 2);
  EXPECT_GE(waits.back(), 45);
  EXPECT_LE(waits.back(), 76);
}

TEST_F(HttpsKeySetTest, TheLastGoodSetIsUsedForMaxStaleAndNotLonger_A4_15) {
  max_stale_s_ = 300;
  open_with({0}, {{"cache-control", "max-age=100"}});
  const auto down = [&](std::int64_t seconds) {
    for (std::int64_t s = 0; s < seconds; ++s) {
      (void)changes();
      while (http_->waits()) http_->fail("keys.example is down");
      work();
      loop_.pass(kSecond);
    }
  };
  down(101);
  EXPECT_EQ(state_word(), "stale");
  const auto late = ask(token(0));
  EXPECT_EQ(late->text(), "valid");
  // B10: a record may not outlive the set that proved it.
  EXPECT_EQ(*late->proof->keep_until_wall_ns - clock_.wall, 299 * kSecond);
  down(298);
  EXPECT_EQ(verdict(token(0)), "valid");
  down(2);
  EXPECT_EQ(state_word(), "failed");
  const auto refused = ask(token(0));
  while (http_->waits()) http_->fail("keys.example is down");  // if a fetch was just due
  work();
  EXPECT_EQ(refused->text(), "unavailable/upstream");
  EXPECT_TRUE(upstream_->complaint().starts_with("has no key set that may still be relied on: "));
  // Recovery needs no restart, and nobody waits long for it.
  const std::int64_t asked = seconds_until_asked(10);
  EXPECT_GE(asked, 0);
  EXPECT_LE(asked, 7);
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(verdict(token(0)), "valid");
  EXPECT_EQ(state_word(), "fresh");
}

TEST_F(HttpsKeySetTest, ASuspendedMachinesSetAges_A4_15) {
  open_with({0});
  clock_.suspend((600 + 3'600) * kSecond);
  EXPECT_FALSE(source_->keys());
}

TEST_F(HttpsKeySetTest, WithoutAnySetTokensAreUnavailableAndTheIssuerIsNotFlooded) {
  open();
  http_->fail("keys.example is down");
  work();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(verdict(token(0)), "unavailable/upstream");
  EXPECT_EQ(http_->sent, 1u);
  EXPECT_TRUE(upstream_->complaint().starts_with("has no key set yet: keys.example is down"));
  ASSERT_GE(seconds_until_asked(5), 0);
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(verdict(token(0)), "valid");
}

TEST_F(HttpsKeySetTest, RotationAddsAKeyAndRemovesNone_A4_14) {
  open_with({0});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(200, set_of({1, 0}));
  work();
  const KeySetChange change = changes();
  EXPECT_TRUE(change.added);
  EXPECT_TRUE(change.removed.empty());
  EXPECT_EQ(verdict(token(0)), "valid");
  EXPECT_EQ(verdict(token(1)), "valid");
}

TEST_F(HttpsKeySetTest, AKeyGoneFromTwoSetsInARowDies_A4_14) {
  open_with({0, 1});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(200, set_of({0}));
  work();
  EXPECT_TRUE(changes().removed.empty());
  const auto still = ask(token(1));
  EXPECT_EQ(still->text(), "valid");
  EXPECT_TRUE(upstream_->has_key(*still->proof->key_thumbprint));
  // The second look follows soon, whatever the caching headers said.
  const std::int64_t asked = seconds_until_asked(1'000);
  EXPECT_GE(asked, 1);
  EXPECT_LE(asked, 30);
  http_->answer(200, set_of({0}));
  work();
  const KeySetChange change = changes();
  ASSERT_EQ(change.removed.size(), 1u);
  EXPECT_EQ(change.removed[0], *still->proof->key_thumbprint);
  EXPECT_FALSE(upstream_->has_key(change.removed[0]));
  EXPECT_EQ(verdict(token(0)), "valid");
  const auto dead = ask(token(1));
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(dead->text(), "invalid/unknown_key");
}

TEST_F(HttpsKeySetTest, AKeyGoneFromOneSetOnlyLivesOn_A4_14) {
  open_with({0, 1});
  for (int i = 0; i < 4; ++i) {  // two servers behind one name, one of them late
    ASSERT_GE(seconds_until_asked(1'000), 0);
    http_->answer(200, i % 2 == 0 ? set_of({0}) : set_of({0, 1}));
    work();
    EXPECT_TRUE(changes().removed.empty());
    EXPECT_EQ(verdict(token(1)), "valid");
  }
}

TEST_F(HttpsKeySetTest, AKidGivenToAnotherKeyLeavesTheOldOneAtOnce_A4_14) {
  open_with({0});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(200, jwks({key(1).public_jwk(kid(0), "ES256")}));
  work();
  EXPECT_EQ(changes().removed.size(), 1u);
  EXPECT_EQ(verdict(token(0)), "invalid/bad_signature");
  EXPECT_EQ(verdict(token(1, kid(0))), "valid");
}

TEST_F(HttpsKeySetTest, AKeyThatIsPublishedWithItsPrivatePartLeavesAtOnce_A4_5) {
  open_with({0, 1});
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(200, jwks({key(0).public_jwk(kid(0), "ES256"), key(1).public_jwk(kid(1), "ES256", R"("d":"AAAA")")}));
  work();
  EXPECT_EQ(changes().removed.size(), 1u);
  EXPECT_EQ(verdict(token(0)), "valid");
}

TEST_F(HttpsKeySetTest, AProofWhoseKeyWentWhileItWasCheckedDoesNotStand_A4_14) {
  open_with({0, 1});
  std::optional<Proof> seen;
  const auto deadline = static_cast<std::uint64_t>(clock_.monotonic + 10'000 * kSecond);
  const std::string long_lived =
      mint_access_token(key(1), "ES256", kid(1), Claims(issuer_, kAudience, clock_.wall / kSecond).number("exp", clock_.wall / kSecond + 10'000).json());
  upstream_->resolve({long_lived, deadline, kAlice}, [&](Proof proof) { seen = std::move(proof); });
  for (int i = 0; i < 2; ++i) {  // the check has the old set in hand and is not run yet
    ASSERT_GE(seconds_until_asked(1'000), 0);
    http_->answer(200, set_of({0}));
    reader_.run_all();
    loop_.run_all();
  }
  ASSERT_FALSE(source_->has_key(sha256_of_key_1()));
  work();
  EXPECT_FALSE(seen) << "a proof by a withdrawn key stood";
  ASSERT_TRUE(http_->waits());  // the key is looked for, as that of any token
  http_->answer(200, set_of({0}));
  work();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->verdict, Verdict::kInvalid);
  EXPECT_EQ(seen->reason, Reason::kUnknownKey);
}

TEST_F(HttpsKeySetTest, WhatASetTooOldToBeReliedOnHadIsNotCalledWithdrawn) {
  max_stale_s_ = 300;
  open_with({0, 1}, {{"cache-control", "max-age=100"}});
  clock_.pass(401 * kSecond);
  ASSERT_FALSE(source_->keys());
  ASSERT_GE(seconds_until_asked(10), 0);
  http_->answer(200, set_of({0}));
  work();
  const KeySetChange change = changes();
  EXPECT_TRUE(change.removed.empty());  // what it proved has ended with it
  EXPECT_TRUE(change.added);
  EXPECT_FALSE(source_->has_key(sha256_of_key_1()));
}

TEST_F(HttpsKeySetTest, IsNotReadyBeforeItsFirstSetAndReadyEverAfter_D8) {
  open();
  EXPECT_FALSE(upstream_->ready());
  http_->fail("keys.example is down");
  work();
  EXPECT_FALSE(upstream_->ready());
  ASSERT_GE(seconds_until_asked(10), 0);
  http_->answer(200, set_of({0}));
  work();
  EXPECT_TRUE(upstream_->ready());
  clock_.pass((600 + 3'600) * kSecond);
  EXPECT_TRUE(upstream_->ready());
}

TEST_F(HttpsKeySetTest, TheStateNamesWhatAnOperatorNeeds) {
  open_with({0});
  const auto seen = state();
  for (const char* member : {"state", "url", "keys", "age_s", "fresh_for_s", "usable_for_s", "next_fetch_s", "cooldown_s", "fetches",
                             "failures", "out_of_turn", "over_budget", "waiting", "error", "questions", "in_flight", "http"}) {
    EXPECT_TRUE(seen.contains(member)) << member;
  }
  EXPECT_EQ(seen.at("fresh_for_s").as_int64(), 600);
  EXPECT_EQ(seen.at("usable_for_s").as_int64(), 4'200);
}

TEST_F(HttpsKeySetTest, DiscoveryTriesBothPlacesOfAnIssuerWithAPath_A4_11) {
  issuer_ = "https://issuer.example/tenants/one";
  open(true);
  EXPECT_EQ(http_->oldest().url, "https://issuer.example/tenants/one/.well-known/openid-configuration");
  http_->answer(404, "not here");
  EXPECT_EQ(http_->oldest().url, "https://issuer.example/.well-known/oauth-authorization-server/tenants/one");
  http_->answer(200, R"({"issuer":"https://issuer.example/tenants/one","jwks_uri":"https://keys.example/one"})");
  EXPECT_EQ(http_->oldest().url, "https://keys.example/one");
  http_->answer(200, set_of({0}));
  work();
  EXPECT_EQ(verdict(token(0)), "valid");
  // Where it was found is asked first the next time.
  ASSERT_GE(seconds_until_asked(1'000), 0);
  loop_.pass(100 * kSecond);
  http_->answer(200, set_of({0}));
  work();
  ASSERT_GE(seconds_until_asked(1'000), 0);
  EXPECT_EQ(http_->oldest().url, "https://issuer.example/.well-known/oauth-authorization-server/tenants/one");
}

TEST_F(HttpsKeySetTest, MetadataOfAnotherIssuerIsNotUsed_A4_10) {
  open(true);
  const std::string other = R"({"issuer":"https://issuer.example/","jwks_uri":"https://keys.example/one"})";
  http_->answer(200, other);
  http_->answer(200, other);
  work();
  EXPECT_FALSE(http_->waits());
  EXPECT_EQ(verdict(token(0)), "unavailable/upstream");
  EXPECT_TRUE(source_->last_error().contains("another issuer")) << source_->last_error();
}

TEST_F(HttpsKeySetTest, AJwksUriOverHttpIsRefused_A4_9) {
  open(true);
  const std::string plain = R"({"issuer":"https://issuer.example","jwks_uri":"http://keys.example/one"})";
  http_->answer(200, plain);
  http_->answer(200, plain);
  work();
  EXPECT_FALSE(http_->waits());
  EXPECT_TRUE(source_->last_error().contains("http URL")) << source_->last_error();
}

TEST_F(HttpsKeySetTest, AMovedKeySetIsFoundByNewMetadata) {
  open(true);
  const auto at = [](const std::string& path) { return R"({"issuer":"https://issuer.example","jwks_uri":"https://keys.example/)" + path + "\"}"; };
  http_->answer(200, at("one"));
  http_->answer(200, set_of({0}), {{"etag", "\"v1\""}});
  work();
  ASSERT_GE(seconds_until_asked(1'000), 0);
  http_->answer(404, "");  // not due for discovery yet: the set itself was asked for
  work();
  ASSERT_GE(seconds_until_asked(10), 0);
  EXPECT_EQ(http_->oldest().url, "https://issuer.example/.well-known/openid-configuration");
  http_->answer(200, at("two"));
  EXPECT_EQ(http_->oldest().url, "https://keys.example/two");
  EXPECT_EQ(http_->oldest_header("If-None-Match"), "");
  http_->answer(200, set_of({0, 1}));
  work();
  EXPECT_EQ(verdict(token(1)), "valid");
}

TEST_F(HttpsKeySetTest, AnUpstreamThatGoesWhileItFetchesLeavesNothingBehind_B14) {
  open();
  const auto waiting = ask(token(0));
  const std::weak_ptr<HttpsKeySet> source = source_;
  upstream_.reset();
  source_.reset();
  EXPECT_TRUE(source.expired());
  http_->answer(200, set_of({0}));
  work();
  loop_.pass(100 * kSecond);
  EXPECT_EQ(waiting->text(), "nothing yet");
}

}  // namespace
