#include "daemon/control/change_watch.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::ProfileState;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::ChangeBatch;
using authcached::ChangeFeed;
using authcached::ChangeSink;
using authcached::ChangesKind;
using authcached::ChangeWatch;
using authcached::FeedCursor;
using authcached::KnownCursor;
using authcached::ProfileConfig;
using authcached::SessionChange;
using authcached::testing::Cache;
using authcached::testing::kSecond;
using authcached::testing::ScriptedUpstream;

using Kind = SessionChange::Kind;

struct ScriptedFeed final : ChangeFeed {
  ChangeSink* sink = nullptr;
  FeedCursor from;
  int starts = 0, taken = 0;
  void start(ChangeSink& to, FeedCursor cursor) override {
    sink = &to;
    from = std::move(cursor);
    ++starts;
  }
  void stop() override { sink = nullptr; }
  void tell(ChangeBatch batch) {
    sink->heard(std::move(batch), [this] { ++taken; });
  }
};

struct TellingUpstream final : authcached::Upstream {
  mutable ScriptedFeed feed;
  void resolve(authcached::Query, authcached::Answer) override {}
  bool well_formed(std::string_view) const override { return true; }
  ChangeFeed* changes() const override { return &feed; }
  std::string state_json() const override { return "{}"; }
};

struct Watched : Cache {
  std::shared_ptr<TellingUpstream> telling = std::make_shared<TellingUpstream>();
  std::optional<ChangeWatch> watch;

  explicit Watched(bool records_stand, bool serve = false, std::vector<KnownCursor> known = {}) {
    begin(records_stand, serve, std::move(known));
  }
  void begin(bool records_stand, bool serve, std::vector<KnownCursor> known) {
    ProfileConfig config;
    config.name = "shop";
    config.upstream = authcached::UpstreamKind::kPostgresql;
    config.connection = "host=/run";
    config.query = "SELECT $1";
    config.changes.kind = ChangesKind::kListen;
    config.changes.max_lag = std::chrono::seconds(5);
    config.changes.serve_when_lost = serve;
    auto made = std::make_shared<authcached::Profile>();
    made->config = config;
    made->id = config.id();
    made->upstream = telling;
    profile = made;
    profiles = {made};
    for (KnownCursor& each : known) each.profile_id = made->id;
    tables.set_profiles({{"shop", made->id, ProfileState::kCurrent, {}}});
    watch.emplace(tables, admission, state, turns, clock, std::move(known));
    watch->follow(profiles, records_stand);
  }
  [[nodiscard]] bool served() {
    const auto told =
        authcache::shm::read_profiles(tables.newest().writer.view()).at(0).state == ProfileState::kCurrent;
    EXPECT_EQ(told, !telling->catching_up());
    return told;
  }
  [[nodiscard]] std::uint64_t now() const { return static_cast<std::uint64_t>(clock.monotonic); }
  void confirm(std::string position = "1") {
    telling->feed.tell({{}, {}, now(), {"server", std::move(position)}});
  }
  void pass(std::int64_t ns) {
    clock.pass(ns);
    watch->tick();
    settle();
  }
};

TEST(ChangeWatch, WhatIsNotConfirmedForLongerThanMaxLagIsServedToNobody) {
  Watched cache(false);
  EXPECT_TRUE(cache.served()) << "an empty table cannot hold anything old";
  cache.pass(4 * kSecond);
  EXPECT_TRUE(cache.served());
  cache.pass(2 * kSecond);
  EXPECT_FALSE(cache.served());
  cache.confirm();
  EXPECT_TRUE(cache.served());
  cache.pass(6 * kSecond);
  EXPECT_FALSE(cache.served());
}

TEST(ChangeWatch, ServeGoesOnWhileChangesAreLost) {
  Watched cache(true, true);
  EXPECT_TRUE(cache.served());
  cache.pass(100 * kSecond);
  EXPECT_TRUE(cache.served());
  EXPECT_TRUE(cache.telling->feed.status().lost);
}

TEST(ChangeWatch, RecordsOfAPredecessorWaitUntilAllSinceWasHeard) {
  Watched cache(true, false, {{0, {"server", "7"}}});
  EXPECT_FALSE(cache.served());
  EXPECT_EQ(cache.telling->feed.from, (FeedCursor{"server", "7"}));
  cache.pass(kSecond);
  EXPECT_FALSE(cache.served());
  cache.confirm();
  EXPECT_TRUE(cache.served());
}

TEST(ChangeWatch, AResyncForgetsTheProfileBeforeItAnswersAgainEvenWhereItServes) {
  Watched cache(false, true);
  for (int i = 0; i < 700; ++i) cache.admit("tok-" + std::to_string(i), cache.valid());
  ASSERT_EQ(cache.seen("tok-7"), Verdict::kValid);
  cache.telling->feed.tell({{}, "another server", cache.now(), {"other", "1"}});
  EXPECT_EQ(cache.telling->feed.taken, 0) << "a slice at a time";
  EXPECT_FALSE(cache.served());
  cache.settle();
  EXPECT_EQ(cache.telling->feed.taken, 1);
  EXPECT_TRUE(cache.served());
  for (int i = 0; i < 700; ++i) ASSERT_EQ(cache.seen("tok-" + std::to_string(i)), Verdict::kMiss);
  EXPECT_EQ(cache.telling->feed.status().resyncs, 1u);
}

TEST(ChangeWatch, ACursorIsStoredAfterWhatItCoversAndOnceInASecond) {
  Watched cache(false);
  cache.admit("tok", cache.valid());
  cache.telling->feed.tell({{{Kind::kSubject, "alice"}}, {}, cache.now(), {"server", "5"}});
  cache.settle();
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  cache.watch->tick();
  cache.confirm("6");
  cache.watch->tick();
  cache.settle();
  const auto stored = [&] {
    auto again = authcached::testing::open_state_db(cache.state_dir / "state.db");
    return again.load_cursors().value().at(0);
  };
  EXPECT_EQ(stored().cursor, (FeedCursor{"server", "5"}));
  EXPECT_EQ(stored().profile_id, cache.profile->id);
  cache.pass(kSecond);
  EXPECT_EQ(stored().cursor, (FeedCursor{"server", "6"}));
}

TEST(ChangeWatch, AReloadKeepsAFeedAndANewOneBeginsWhereTheOldOneWas) {
  Watched cache(false);
  cache.confirm("9");
  cache.watch->follow(cache.profiles, true);
  EXPECT_EQ(cache.telling->feed.starts, 1);
  EXPECT_TRUE(cache.served());
  const auto before = std::exchange(cache.telling, std::make_shared<TellingUpstream>());
  auto other = std::make_shared<authcached::Profile>(*cache.profile);
  other->upstream = cache.telling;
  cache.profiles = {other};
  cache.watch->follow(cache.profiles, true);
  EXPECT_EQ(before->feed.sink, nullptr);
  EXPECT_EQ(cache.telling->feed.from, (FeedCursor{"server", "9"}));
  EXPECT_FALSE(cache.served()) << "what happened between the two is not known yet";
}

TEST(ChangeWatch, ABatchForWhichThereWasNoMemoryIsTakenInLater) {
  Watched cache(false);
  for (int i = 0; i < 700; ++i) cache.admit("tok-" + std::to_string(i), cache.valid());
  cache.turns.run_out(1);
  cache.telling->feed.tell({{{Kind::kSubject, "alice"}}, {}, cache.now(), {"server", "5"}});
  cache.settle();
  cache.pass(kSecond / 10);
  cache.pass(kSecond / 10);
  EXPECT_EQ(cache.telling->feed.taken, 1);
  EXPECT_EQ(cache.seen("tok-1"), Verdict::kMiss);
}

}  // namespace
