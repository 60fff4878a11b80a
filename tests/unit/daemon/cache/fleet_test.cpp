// A host of a fleet over a transport that the test plays: what is heard, when it counts, and what holds the
// tables.
#include "daemon/cache/fleet.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace authcached {
namespace {

using authcache::shm::Reason;
using authcache::shm::Result;
using authcache::shm::Verdict;
using testing::Cache;
using testing::kSecond;

struct ScriptedTransport final : FleetTransport {
  FleetListener* listener = nullptr;
  std::optional<FleetCursor> started_from;
  std::vector<std::pair<std::vector<FleetParcel>, Done>> published;
  std::vector<FleetParcel> copy;
  std::vector<std::string> removed;
  int copies_read = 0;
  Done reading;  // of a copy whose end the test gives, where it holds it
  bool holds_copy = false;
  std::uint64_t position = 0;

  void start(std::optional<FleetCursor> cursor, FleetListener& events) override {
    started_from = std::move(cursor);
    listener = &events;
  }
  void publish(const std::vector<FleetParcel>& parcels, Done done) override {
    published.emplace_back(parcels, std::move(done));
  }
  void read_copy(Chunk chunk, Done done) override {
    ++copies_read;
    reading = std::move(done);
    chunk(copy, [this] {
      if (!holds_copy) std::exchange(reading, nullptr)({});
    });
  }
  void remove_from_copy(const std::vector<std::string>& places, Done done) override {
    removed.insert(removed.end(), places.begin(), places.end());
    done({});
  }
  void tell_position(std::uint64_t engine_ms) override { position = engine_ms; }
  FleetHosts hosts() const override { return {2, 0, 7}; }
  std::string trouble() const override { return {}; }
  std::string state_json() const override { return "{}"; }
};

FleetSeal test_seal() {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory / "key") << std::string(32, 's');
  std::filesystem::permissions(directory / "key", std::filesystem::perms::owner_read);
  return FleetSeal::load(directory / "key", "fleet").value();
}

class FleetTest : public ::testing::Test {
 protected:
  FleetTest() {
    self_.fill(1);
    other_.fill(2);
    config_.staleness = std::chrono::seconds(5);
  }
  void start(std::optional<FleetCursor> cursor = FleetCursor{"s", "p"}, std::vector<SharedRule> stored = {}) {
    auto transport = std::make_unique<ScriptedTransport>();
    transport_ = transport.get();
    fleet_.emplace(
        config_, self_, test_seal(), std::move(transport),
        Fleet::Parts{cache_.tables, cache_.rules, cache_.revoker, cache_.state, *cache_.loop, cache_.clock});
    fleet_->start(std::move(cursor), stored);
  }
  [[nodiscard]] std::string sealed(const HostId& host, std::uint64_t change, std::uint64_t previous,
                                   const std::string& subject, std::int64_t not_before = 0) const {
    FleetEntry entry;
    entry.host = host;
    entry.change = change;
    entry.previous = previous;
    entry.rule.change = change;
    entry.rule.kind = RuleKind::kSubject;
    entry.rule.value = subject;
    entry.rule.not_before_ns = not_before == 0 ? cache_.clock.wall : not_before;
    entry.rule.created_wall_ns = cache_.clock.wall;
    entry.rule.life_ns = 60 * kSecond;
    return seal_.seal(entry);
  }
  // True once it says that it is done with them.
  bool hear(std::vector<std::string> entries) {
    done_ = false;
    const std::size_t rules_before = cache_.rules.size();
    transport_->listener->fleet_heard(std::move(entries), [this] { done_ = true; });
    const bool at_once = done_;
    cache_.settle();
    EXPECT_FALSE(at_once && cache_.rules.size() > rules_before) << "before it was durable";
    return done_;
  }
  void confirm() {
    transport_->listener->fleet_confirmed({cache_.clock.boot, 1'000, {"s", "p"}});
    cache_.settle();
  }
  void gap(bool engine_lost) {
    done_ = false;
    transport_->listener->fleet_gap("trimmed", engine_lost, [this] { done_ = true; });
    cache_.settle();
  }

  Cache cache_;
  HostId self_{}, other_{};
  FleetConfig config_;
  FleetSeal seal_ = test_seal();
  std::optional<Fleet> fleet_;
  ScriptedTransport* transport_ = nullptr;
  bool done_ = false;
};

TEST_F(FleetTest, NobodyIsServedBeforeAllWasHeardNorAfterTheStaleness) {
  start();
  EXPECT_TRUE(cache_.tables.held());
  confirm();
  EXPECT_FALSE(cache_.tables.held());
  cache_.clock.pass(5 * kSecond);
  cache_.tables.beat(1);
  EXPECT_FALSE(cache_.tables.held());
  cache_.clock.pass(1);
  cache_.tables.beat(2);
  EXPECT_TRUE(cache_.tables.held()) << "before the sign of life, whoever gives it";
  confirm();
  EXPECT_FALSE(cache_.tables.held());
}

TEST_F(FleetTest, TimeInSuspendCounts) {
  start();
  confirm();
  cache_.clock.boot += 6 * kSecond;
  cache_.tables.beat(1);
  EXPECT_TRUE(cache_.tables.held());
}

TEST_F(FleetTest, WhileHeldEveryAnswerIsUnavailable) {
  start();
  cache_.admit("tok", cache_.valid());
  cache_.tables.set_profiles({{"web", cache_.profile->id, authcache::shm::ProfileState::kCurrent, {}}});
  const auto shown = [&] {
    return authcache::shm::read_profiles(cache_.tables.newest().writer.view()).at(0).state;
  };
  EXPECT_EQ(shown(), authcache::shm::ProfileState::kUnavailable);
  std::vector<Reason> reasons;
  const auto ask = [&] {
    cache_.resolver.validate(cache_.profile, "tok", 1,
                             [&](const auto& reply) { reasons.push_back(reply.reason); });
  };
  ask();
  confirm();
  EXPECT_EQ(shown(), authcache::shm::ProfileState::kCurrent);
  ask();
  EXPECT_EQ(reasons, (std::vector{Reason::kCatchingUp, Reason::kNone}));
  // One whose question was under way when the host lost touch.
  Verdict late = Verdict::kMiss;
  cache_.resolver.validate(cache_.profile, "new", 1, [&](const auto& reply) { late = reply.verdict; });
  cache_.clock.pass(6 * kSecond);
  fleet_->look();
  cache_.upstream->answer(cache_.valid());
  EXPECT_EQ(late, Verdict::kUnavailable);
}

TEST_F(FleetTest, WithServeItWaitsAtTheStartAndThenGoesOn) {
  config_.serve_stale = true;
  start();
  EXPECT_TRUE(cache_.tables.held());
  cache_.clock.pass(5 * kSecond + 1);
  fleet_->look();
  EXPECT_FALSE(cache_.tables.held());
}

TEST_F(FleetTest, AForeignRuleKillsIsDurableAndIsNotToldAgain) {
  start();
  confirm();
  cache_.admit("tok", cache_.valid());
  EXPECT_TRUE(hear({sealed(other_, 5, 0, "alice")}));
  EXPECT_EQ(cache_.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache_.admit("tok", cache_.valid()).reason, Reason::kRevoked);
  EXPECT_TRUE(cache_.rules.list(0, 10).at(0).durable);
  EXPECT_TRUE(transport_->published.empty());
  // Again, and with less: nothing new.
  const auto changes = cache_.revoker.last_change();
  EXPECT_TRUE(hear({sealed(other_, 5, 0, "alice"), sealed(other_, 6, 5, "alice", 1)}));
  EXPECT_EQ(cache_.revoker.last_change(), changes);
}

TEST_F(FleetTest, AFutureNotBeforeIsTakenAsItIsTold) {
  start();
  EXPECT_TRUE(hear({sealed(other_, 5, 0, "alice", cache_.clock.wall + 100 * kSecond)}));
  EXPECT_EQ(cache_.rules.find(RuleKind::kSubject, "", "alice")->not_before_ns,
            cache_.clock.wall + 100 * kSecond);
}

TEST_F(FleetTest, WhatCannotBeReadMakesItReadTheCopyBeforeAnythingBehindItCounts) {
  start();
  transport_->holds_copy = true;
  FleetEntry entry = seal_.open(sealed(other_, 9, 0, "bob")).value();
  transport_->copy = {{copy_place(other_, entry.rule), seal_.seal(entry)}};
  EXPECT_FALSE(hear({sealed(other_, 5, 0, "alice"), "junk"}));
  EXPECT_EQ(transport_->copies_read, 1);
  EXPECT_TRUE(cache_.rules.contains(RuleKind::kSubject, "", "bob"));
  std::exchange(transport_->reading, nullptr)({});
  cache_.settle();
  EXPECT_TRUE(done_);
  EXPECT_EQ(fleet_->state().at("refused").to_number<int>(), 1);
}

TEST_F(FleetTest, AMissingEntryOfAHostMakesItReadTheCopy) {
  start();
  EXPECT_TRUE(hear({sealed(other_, 5, 3, "alice"), sealed(other_, 8, 5, "bob")}));
  EXPECT_EQ(transport_->copies_read, 0);
  EXPECT_TRUE(hear({sealed(other_, 12, 10, "carol")}));
  EXPECT_EQ(transport_->copies_read, 1);
  // What is published once more shows no hole.
  EXPECT_TRUE(hear({sealed(other_, 5, 12, "alice"), sealed(other_, 13, 12, "dave")}));
  EXPECT_EQ(transport_->copies_read, 1);
}

TEST_F(FleetTest, AGapHoldsAtOnceUntilTheCopyWasReadAndTheStreamHeardAgain) {
  start();
  confirm();
  transport_->holds_copy = true;
  gap(false);
  EXPECT_TRUE(cache_.tables.held());
  EXPECT_FALSE(done_);
  std::exchange(transport_->reading, nullptr)({});
  cache_.settle();
  EXPECT_TRUE(done_);
  fleet_->look();
  EXPECT_TRUE(cache_.tables.held());
  confirm();
  EXPECT_FALSE(cache_.tables.held());
}

TEST_F(FleetTest, AfterTheEngineLostSomethingItWaitsForTheOthersToPutItBack) {
  start();
  confirm();
  gap(true);
  EXPECT_TRUE(done_);
  confirm();
  EXPECT_TRUE(cache_.tables.held());
  cache_.clock.pass(5 * kSecond);
  confirm();
  EXPECT_FALSE(cache_.tables.held());
}

TEST_F(FleetTest, AnEngineThatTookOverIsToldWhatTheOneBeforeWasToldLatelyAndCountsAfterAWhile) {
  start();
  confirm();
  cache_.revoker.revoke({.kind = RuleKind::kSubject, .value = "alice", .scope = {}, .not_before_wall_ns = {}},
                        [](const auto&) {});
  cache_.settle();
  const std::string bytes = transport_->published.at(0).first.at(0).sealed;
  transport_->published.at(0).second({});
  EXPECT_TRUE(hear({bytes}));
  transport_->listener->fleet_moved([this] { done_ = true; });
  ASSERT_EQ(transport_->published.size(), 2U);
  EXPECT_EQ(transport_->published.at(1).first.at(0).sealed, bytes);
  EXPECT_EQ(transport_->copies_read, 0);
  EXPECT_FALSE(cache_.tables.held()) << "what was heard before counts for as long as it did";
  cache_.clock.pass(4 * kSecond);
  confirm();
  cache_.clock.pass(kSecond + 1);
  fleet_->look();
  EXPECT_TRUE(cache_.tables.held()) << "what is confirmed before the others had their time does not";
  confirm();
  EXPECT_FALSE(cache_.tables.held());
}

TEST_F(FleetTest, ACopyWithAForgedRuleOrOneInAnothersPlaceIsNone) {
  start();
  const FleetEntry entry = seal_.open(sealed(other_, 9, 0, "bob")).value();
  for (const FleetParcel& parcel : {FleetParcel{"place", "junk"}, FleetParcel{"place", seal_.seal(entry)}}) {
    transport_->copy = {parcel};
    gap(false);
    EXPECT_FALSE(done_);
    confirm();
    EXPECT_TRUE(cache_.tables.held());
    EXPECT_NE(fleet_->complaint().find("not signed"), std::string::npos) << fleet_->complaint();
  }
}

TEST_F(FleetTest, WhatIsRevokedHereGoesOutAndIsDoneWithWhenItIsReadBack) {
  start();
  cache_.revoker.revoke({.kind = RuleKind::kSubject, .value = "alice", .scope = {}, .not_before_wall_ns = {}},
                        [](const auto&) {});
  EXPECT_TRUE(transport_->published.empty()) << "before it is durable here";
  cache_.settle();
  ASSERT_EQ(transport_->published.size(), 1U);
  const std::string bytes = transport_->published.at(0).first.at(0).sealed;
  transport_->published.at(0).second({});
  EXPECT_EQ(fleet_->state().at("outbox").to_number<int>(), 1);
  EXPECT_TRUE(hear({bytes}));
  EXPECT_EQ(fleet_->state().at("outbox").to_number<int>(), 0);
  EXPECT_EQ(fleet_->state().at("adopted").to_number<int>(), 0);
}

TEST_F(FleetTest, WhatWasNotReadBackGoesOutAgain) {
  start();
  cache_.revoker.revoke({.kind = RuleKind::kSubject, .value = "alice", .scope = {}, .not_before_wall_ns = {}},
                        [](const auto&) {});
  cache_.settle();
  transport_->published.at(0).second({});
  confirm();
  EXPECT_EQ(transport_->published.size(), 1U) << "it may have come after that look";
  cache_.clock.pass(kSecond);
  confirm();
  ASSERT_EQ(transport_->published.size(), 2U);
  EXPECT_EQ(transport_->published.at(0).first.at(0).sealed, transport_->published.at(1).first.at(0).sealed);
}

TEST_F(FleetTest, WhatTheCopyLostIsPutBackByItsHost) {
  Rule rule;
  rule.change = 3;
  rule.kind = RuleKind::kSubject;
  rule.value = "alice";
  bool stored = false;
  cache_.state.with_fleet(
      [rule](FleetStore& store) -> Result<void> {
        if (auto put = store.put(rule); !put) return put;
        return store.mark_published(std::vector<std::uint64_t>{3});
      },
      [&](const Result<void>& done) { stored = done.has_value(); });
  cache_.settle();
  ASSERT_TRUE(stored);
  start(FleetCursor{"s", "p"}, {{rule, true}});
  EXPECT_TRUE(transport_->published.empty());
  gap(true);
  ASSERT_EQ(transport_->published.size(), 1U);
  EXPECT_EQ(transport_->published.at(0).first.at(0).place, copy_place(self_, rule));
}

TEST_F(FleetTest, ARuleOfAHostThatGoesByThisOnesNameIsAdoptedAndComplainedOf) {
  start();
  confirm();
  EXPECT_TRUE(hear({sealed(self_, 77, 0, "mallory")}));
  EXPECT_TRUE(cache_.rules.contains(RuleKind::kSubject, "", "mallory"));
  EXPECT_NE(fleet_->complaint().find("copied"), std::string::npos);
}

TEST_F(FleetTest, WithoutACommitNothingIsDoneWith) {
  start();
  confirm();
  std::filesystem::rename(cache_.state_dir / "state.db", cache_.state_dir / "gone.db");
  EXPECT_FALSE(hear({sealed(other_, 5, 0, "alice")}));
  EXPECT_NE(fleet_->state().at("adopted").to_number<int>(), 1);
}

TEST_F(FleetTest, AKeyThatItsIssuerWithdrewIsNotShared) {
  start();
  cache_.revoker.revoke({.kind = RuleKind::kKey,
                         .value = std::string(32, 'k'),
                         .scope = {},
                         .not_before_wall_ns = {},
                         .shared = false},
                        [](const auto&) {});
  cache_.settle();
  EXPECT_TRUE(transport_->published.empty());
}

}  // namespace
}  // namespace authcached
