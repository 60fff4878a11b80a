// Watches on the daemon's side: who is told of which end, when, and what bounds hold. Turns are taken by
// hand.
#include "daemon/cache/watch_list.hpp"

#include <gtest/gtest.h>

#include <map>
#include <new>

#include "daemon/cache/principal_id.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace authcached {
namespace {

using namespace authcached::testing;
namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;
using shm::Reason;
using shm::Verdict;

// Keeps what it is sent: by watch, in words.
class RecordingConnection final : public Connection {
 public:
  explicit RecordingConnection(uid_t uid = 1'000) : peer_{1, uid, uid} {}
  void send(std::string_view frames) override {
    if (sends_without_memory > 0) {
      --sends_without_memory;
      throw std::bad_alloc();
    }
    char bytes[wire::kHeadBytes];
    ASSERT_EQ(frames.size(), sizeof bytes + 2);
    std::memcpy(bytes, frames.data(), sizeof bytes);
    const wire::Head head = wire::decode_head(bytes);
    EXPECT_EQ(head.type, wire::Type::kWatchEnded);
    const auto ended = wire::decode_watch_ended(frames.substr(sizeof bytes));
    ASSERT_TRUE(ended);
    EXPECT_FALSE(told.contains(head.request_id)) << "told twice";
    const std::string reason(shm::reason_name(ended->reason));
    told[head.request_id] =
        std::string(shm::verdict_name(ended->verdict)) + (reason.empty() ? "" : "/" + reason);
  }
  bool send_with_descriptor(std::string_view, int) override { return false; }
  void end() override {}
  [[nodiscard]] const Peer& peer() const override { return peer_; }

  std::map<std::uint64_t, std::string> told;
  int sends_without_memory = 0;

 private:
  Peer peer_;
};

using Told = std::map<std::uint64_t, std::string>;

class WatchListTest : public ::testing::Test {
 protected:
  [[nodiscard]] shm::Key key(std::string_view token) const { return shm::key_of(cache.digest_of(token)); }
  void watch(std::uint64_t number, std::string_view token) {
    ASSERT_TRUE(watches.add(connection, number, key(token)));
  }
  // The deadline of each admitted token is later than any end that a test does not bring about.
  void admit(std::string_view token) {
    ASSERT_EQ(cache.admit(token, cache.valid()).verdict, Verdict::kValid);
  }
  void admit_and_watch(std::uint64_t number, std::string_view token) {
    admit(token);
    watch(number, token);
  }
  void revoke(std::string_view token) {
    cache.revoker.revoke_token(token, [](auto) {});
    cache.settle();
  }
  void begin_replacement() {
    cache.tables.begin_replacement(make_test_generation(cache.directory.path(), 2));
  }
  void end_replacement() {
    ASSERT_TRUE(cache.tables.name_successor());
    cache.tables.retire_predecessor();
    turns.run_all();
  }
  void copy_all() {
    while (!cache.tables.copy_slice(1'000, static_cast<std::uint64_t>(cache.clock.monotonic),
                                    [](auto&&...) { return true; })) {
    }
  }

  Cache cache;
  ManualExecutor turns;
  WatchList watches{cache.tables, turns, cache.clock, {.of_connection = 4, .of_user = 6, .in_all = 8}};
  std::shared_ptr<RecordingConnection> connection = std::make_shared<RecordingConnection>();
};

TEST_F(WatchListTest, ARevokedTokenIsToldInTheNextTurnAndTheOthersAreNot) {
  admit_and_watch(1, "one");
  admit_and_watch(2, "two");
  revoke("one");
  EXPECT_TRUE(connection->told.empty()) << "nothing is sent from within a store";
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}}));
  EXPECT_EQ(watches.active(), 1u);
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told.size(), 1u);
}

TEST_F(WatchListTest, EveryWatcherOfOneRecordIsTold) {
  const auto other = std::make_shared<RecordingConnection>(2'000);
  admit_and_watch(1, "one");
  watch(2, "one");
  ASSERT_TRUE(watches.add(other, 1, key("one")));
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}, {2, "invalid/revoked"}}));
  EXPECT_EQ(other->told, (Told{{1, "invalid/revoked"}}));
  EXPECT_EQ(watches.active(), 0u);
}

TEST_F(WatchListTest, WithoutWatchesAKillAsksForNoTurn) {
  admit("one");
  revoke("one");
  cache.tables.raise_all();
  EXPECT_EQ(turns.size(), 0u);
}

TEST_F(WatchListTest, WhatIsNotThereIsToldAtOnceAndNotWatched) {
  watch(1, "never seen");
  EXPECT_EQ(connection->told, (Told{{1, "miss"}}));
  ASSERT_EQ(cache.admit("bad", Cache::invalid()).verdict, Verdict::kInvalid);
  watch(2, "bad");
  EXPECT_EQ(connection->told[2], "invalid/unknown");
  admit("old");
  cache.clock.pass(601 * kSecond);
  watch(3, "old");
  EXPECT_EQ(connection->told[3], "miss");
  EXPECT_EQ(watches.active(), 0u);
}

TEST_F(WatchListTest, ANumberInUseIsRefused) {
  admit_and_watch(1, "one");
  EXPECT_FALSE(watches.add(connection, 1, key("one")));
  EXPECT_EQ(watches.active(), 1u);
}

TEST_F(WatchListTest, AKilledRecordOfAnyOtherReasonIsAMiss) {
  admit_and_watch(1, "one");
  admit_and_watch(2, "two");
  cache.tables.kill(key("one"), shm::SlotState::kEvicted);
  cache.tables.kill(key("two"), shm::SlotState::kExpired);
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "miss"}, {2, "miss"}}));
}

TEST_F(WatchListTest, AFreshRecordInPlaceOfTheOldOneIsNoEnd) {
  admit_and_watch(1, "one");
  admit("one");
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}}));
}

TEST_F(WatchListTest, AFreshRecordWhoseTextStandsElsewhereIsNoEnd) {
  admit_and_watch(1, "one");
  Proof proof = cache.valid();
  proof.identity.sid = std::string(500, 's');
  ASSERT_EQ(cache.admit("one", proof).verdict, Verdict::kValid);
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
}

TEST_F(WatchListTest, AFreshRecordThatGrantsSomethingElseIsAMiss) {
  admit_and_watch(1, "one");
  Proof proof = cache.valid();
  proof.identity.scopes = {"write"};
  ASSERT_EQ(cache.admit("one", proof).verdict, Verdict::kValid);
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "miss"}}));
}

TEST_F(WatchListTest, ARefusalInPlaceOfTheRecordIsInvalidWithItsReason) {
  admit_and_watch(1, "one");
  ASSERT_EQ(cache.admit("one", Cache::invalid()).verdict, Verdict::kInvalid);
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/unknown"}}));
}

TEST_F(WatchListTest, ARevokedRecordHasEndedAlsoIfTheTokenIsAdmittedAgainBeforeTheTurn) {
  admit_and_watch(1, "one");
  cache.tables.kill(key("one"), shm::SlotState::kRevoked);
  admit("one");
  ASSERT_TRUE(watches.add(connection, 2, key("one")));
  EXPECT_EQ(connection->told[2], "miss") << "validates again, and watches the record that came after";
  turns.run_all();
  EXPECT_EQ(connection->told[1], "invalid/revoked");
}

TEST_F(WatchListTest, AnEpochEndsEveryWatchWhoseRecordItVoids) {
  admit_and_watch(1, "one");
  Proof other = cache.valid();
  other.identity.issuer = "https://other.example";
  ASSERT_EQ(cache.admit("two", other).verdict, Verdict::kValid);
  watch(2, "two");
  cache.tables.raise_issuer(principal_id(sha256("https://other.example")));
  EXPECT_EQ(turns.size(), 1u) << "begins at once";
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{2, "miss"}}));
  cache.tables.raise_key(principal_id(sha256("key")));
  turns.run_all();
  EXPECT_EQ(connection->told[1], "miss");
  admit_and_watch(3, "three");
  cache.tables.raise_all();
  turns.run_all();
  EXPECT_EQ(connection->told[3], "miss");
}

TEST_F(WatchListTest, ADeadlineIsToldAtTheTickBehindIt) {
  ASSERT_EQ(cache.admit("one", cache.valid(10 * kSecond)).verdict, Verdict::kValid);
  watch(1, "one");
  admit_and_watch(2, "two");
  cache.clock.pass(9 * kSecond);
  watches.tick();
  EXPECT_EQ(turns.run_all(), 0u);
  cache.clock.pass(2 * kSecond);
  watches.tick();
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "miss"}}));
}

TEST_F(WatchListTest, ADeadlineThatWasExtendedIsTheOneThatCounts) {
  ASSERT_EQ(cache.admit("one", cache.valid(10 * kSecond)).verdict, Verdict::kValid);
  watch(1, "one");
  cache.clock.pass(5 * kSecond);
  shm::Found found;
  ASSERT_TRUE(cache.tables.find(key("one"), found));
  ASSERT_TRUE(shm::extend_deadline(cache.tables.newest().writer.view().slot(found.slot),
                                   found.record.sequence(), found.record.deadline + 10 * kSecond));
  cache.clock.pass(6 * kSecond);
  watches.tick();
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
  cache.clock.pass(10 * kSecond);
  watches.tick();
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "miss"}}));
}

TEST_F(WatchListTest, ACopyIntoASuccessorIsNoEndAndItsPredecessorsEndIsNone) {
  admit_and_watch(1, "one");
  begin_replacement();
  copy_all();
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
  // The record of the predecessor alone.
  cache.tables.current().writer.kill(key("one"), shm::SlotState::kEvicted);
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
  end_replacement();
  EXPECT_TRUE(connection->told.empty());
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}}));
}

TEST_F(WatchListTest, ARecordThatDidNotComeOverEndsWithItsTable) {
  admit_and_watch(1, "one");
  begin_replacement();
  turns.run_all();
  EXPECT_TRUE(connection->told.empty()) << "the predecessor has it";
  end_replacement();
  EXPECT_EQ(connection->told, (Told{{1, "miss"}}));
}

TEST_F(WatchListTest, ARecordThatItsTablesSuccessorDoesNotHaveYetIsWatched) {
  admit("one");
  begin_replacement();
  watch(1, "one");
  EXPECT_TRUE(connection->told.empty());
  copy_all();
  end_replacement();
  EXPECT_TRUE(connection->told.empty());
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}}));
}

TEST_F(WatchListTest, ARevocationDuringAReplacementIsToldOnce) {
  admit_and_watch(1, "one");
  begin_replacement();
  copy_all();
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}}));
}

TEST_F(WatchListTest, AMoveIsNoEnd) {
  // Enough records that insertions move others, and too few to evict.
  std::uint64_t number = 0;
  for (const char* token : {"a", "b", "c", "d"}) admit_and_watch(++number, token);
  const auto moved = [&] {
    return shm::StdAtomics::load_relaxed(cache.tables.newest().writer.view().header().moved);
  };
  const std::uint64_t capacity = cache.tables.newest().writer.view().geometry.capacity;
  for (std::uint64_t i = 0; i + 10 < capacity; ++i) admit("filler " + std::to_string(i));
  ASSERT_GT(moved(), 0u);
  turns.run_all();
  for (const auto& [watch, what] : connection->told) ADD_FAILURE() << watch << ": " << what;
}

TEST_F(WatchListTest, TheBoundsOfAConnectionAUserAndAllHold) {
  admit("one");
  for (std::uint64_t i = 1; i <= 5; ++i) watch(i, "one");
  EXPECT_EQ(connection->told, (Told{{5, "unavailable/overloaded"}}));
  const auto same_user = std::make_shared<RecordingConnection>();
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(watches.add(same_user, i, key("one")));
  EXPECT_EQ(same_user->told, (Told{{3, "unavailable/overloaded"}}));
  const auto other_user = std::make_shared<RecordingConnection>(2'000);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(watches.add(other_user, i, key("one")));
  EXPECT_EQ(other_user->told, (Told{{3, "unavailable/overloaded"}}));
  EXPECT_EQ(watches.active(), 8u);
  EXPECT_EQ(watches.counters().refused, 3u);
  watches.remove(*connection, 1);
  ASSERT_TRUE(watches.add(other_user, 4, key("one")));
  EXPECT_EQ(watches.active(), 8u);
  EXPECT_FALSE(other_user->told.contains(4));
}

TEST_F(WatchListTest, WhatIsRemovedIsNotTold) {
  admit_and_watch(1, "one");
  watch(2, "one");
  watches.remove(*connection, 1);
  watches.remove(*connection, 1);
  watches.remove(*connection, 77);
  watches.remove(RecordingConnection(), 2);
  revoke("one");
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{2, "invalid/revoked"}}));
  admit_and_watch(3, "three");
  watches.remove(*connection, 3);
  revoke("three");
  EXPECT_EQ(turns.size(), 0u) << "nobody watches it";
}

TEST_F(WatchListTest, RemovedBetweenTheEndAndItsTurnIsNotTold) {
  admit_and_watch(1, "one");
  revoke("one");
  watches.remove(*connection, 1);
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
}

TEST_F(WatchListTest, TheWatchesOfAConnectionThatIsGoneGoAtTheNextTick) {
  admit_and_watch(1, "one");
  connection.reset();
  EXPECT_EQ(watches.active(), 1u);
  watches.tick();
  EXPECT_EQ(watches.active(), 0u);
  // And one that ends before the tick is told to nobody.
  connection = std::make_shared<RecordingConnection>();
  watch(1, "one");
  connection.reset();
  revoke("one");
  turns.run_all();
  EXPECT_EQ(watches.active(), 0u);
  EXPECT_EQ(watches.counters().ended, 0u);
}

TEST_F(WatchListTest, WithoutMemoryForAFrameOrATurnNoEventIsLost) {
  admit_and_watch(1, "one");
  admit_and_watch(2, "two");
  turns.run_out(1);
  revoke("one");
  EXPECT_EQ(turns.size(), 0u);
  watches.tick();
  connection->sends_without_memory = 1;
  turns.run_all();
  EXPECT_TRUE(connection->told.empty());
  revoke("two");
  turns.run_all();
  watches.tick();
  turns.run_all();
  EXPECT_EQ(connection->told, (Told{{1, "invalid/revoked"}, {2, "invalid/revoked"}}));
}

TEST(WatchListSlices, ManyEndsTakeManyTurnsAndOneOfThemAtATime) {
  Cache cache;
  ManualExecutor turns;
  WatchList watches(cache.tables, turns, cache.clock);
  const auto connection = std::make_shared<RecordingConnection>();
  ASSERT_EQ(cache.admit("one", cache.valid()).verdict, Verdict::kValid);
  const shm::Key key = shm::key_of(cache.digest_of("one"));
  const std::size_t count = 3 * WatchList::kSlice;
  for (std::uint64_t i = 1; i <= count; ++i) ASSERT_TRUE(watches.add(connection, i, key));
  cache.tables.kill(key, shm::SlotState::kRevoked);
  ASSERT_TRUE(turns.run_one());
  EXPECT_LE(connection->told.size(), WatchList::kSlice);
  EXPECT_GT(connection->told.size(), 0u);
  EXPECT_EQ(turns.size(), 1u);
  turns.run_all();
  EXPECT_EQ(connection->told.size(), count);
  EXPECT_EQ(watches.active(), 0u);
}

TEST(WatchListSlices, TheWatchesOfAClosedConnectionGoInManyTurnsToo) {
  Cache cache;
  ManualExecutor turns;
  WatchList watches(cache.tables, turns, cache.clock);
  auto connection = std::make_shared<RecordingConnection>();
  ASSERT_EQ(cache.admit("one", cache.valid()).verdict, Verdict::kValid);
  const shm::Key key = shm::key_of(cache.digest_of("one"));
  const std::size_t count = 3 * WatchList::kSlice;
  for (std::uint64_t i = 1; i <= count; ++i) ASSERT_TRUE(watches.add(connection, i, key));
  connection.reset();
  watches.tick();
  EXPECT_GE(watches.active(), count - WatchList::kSlice);
  turns.run_all();
  EXPECT_EQ(watches.active(), 0u);
}

}  // namespace
}  // namespace authcached
