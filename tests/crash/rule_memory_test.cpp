// Out of memory at each allocation, of our own and of SQLite's, on the way of a revocation and of a miss:
// what is acknowledged is refused and durable, what is not is an error or nothing; nobody behind it waits for
// ever, and no database is taken for a damaged one.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "tests/crash/failing_memory.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace crash {
namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::Rule;
using authcached::RuleKind;
using authcached::RuleSet;
using authcached::StateDb;
using authcached::testing::Cache;
using authcached::testing::TemporaryDirectory;

constexpr std::int64_t kBootNow = 5'000;

Rule token_rule(std::uint64_t change, char fill) {
  Rule rule;
  rule.change = change;
  rule.value = std::string(32, fill);
  return rule;
}

bool denies(const RuleSet& rules, char fill) {
  authcached::Sha256 token;
  token.fill(static_cast<std::uint8_t>(fill));
  authcached::AdmissionFacts facts;
  facts.token = &token;
  return rules.match(facts) != nullptr;
}

TEST(RuleMemory, ARuleThatWasAddedAfterAFailureDenies) {
  const std::uint64_t count = for_each_failure([](std::uint64_t n) {
    RuleSet rules(10);
    fail_allocation(n);
    bool added = false;
    try {
      added = rules.add(token_rule(1, 'a'));
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    EXPECT_EQ(denies(rules, 'a'), added) << "allocation " << n;
    EXPECT_TRUE(rules.add(token_rule(2, 'a')));
    EXPECT_TRUE(denies(rules, 'a')) << "allocation " << n << ": entered, and denies nothing";
    rules.mark_durable(2);
    EXPECT_EQ(rules.list(0, 10).size(), 1u);
    return failed && !::testing::Test::HasFailure();
  });
  EXPECT_GT(count, 2u);
}

TEST(RuleMemory, AChangeThatRunsOutTakesNothingBack) {
  for_each_failure([](std::uint64_t n) {
    RuleSet rules(10);
    (void)rules.add(token_rule(1, 'a'));
    rules.mark_durable(1);
    fail_allocation(n);
    try {
      (void)rules.add(token_rule(2, 'a'));
      rules.withdraw(2);
      (void)rules.add(token_rule(3, 'a'));
      rules.mark_durable(3);
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    EXPECT_TRUE(denies(rules, 'a')) << "allocation " << n;
    rules.withdraw(2);
    EXPECT_TRUE(denies(rules, 'a')) << "allocation " << n;
    return failed && !::testing::Test::HasFailure();
  });
}

// Settles as the daemon's threads would: the loop lives through what a task throws, the worker has nobody to
// throw to.
void settle(Cache& cache) {
  for (bool ran = true; ran;) {
    ran = false;
    try {
      while (cache.worker.run_one()) ran = true;
    } catch (const std::bad_alloc&) {
      ADD_FAILURE() << "thrown on the worker: the daemon would have ended";
    }
    try {
      while (cache.turns.run_one()) ran = true;
    } catch (const std::bad_alloc&) {
      ran = true;
    }
    try {
      ran = cache.loop->context().poll() > 0 || ran;
    } catch (const std::bad_alloc&) {
      ran = true;
    }
    cache.loop->context().restart();
  }
}

struct Told {
  int times = 0;
  bool acknowledged = false;
  auto hook() {
    return [this](const auto& done) {
      ++times;
      acknowledged = done.has_value();
    };
  }
};

TEST(RuleMemory, B5_ARevocationThatRunsOutIsAcknowledgedOnlyIfItIsDurableAndTheNextOneWorks) {
  int acknowledged_anyway = 0;
  const std::uint64_t count = for_each_failure([&](std::uint64_t n) {
    Cache cache;
    for (const char* token : {"first", "second", "third"}) cache.admit(token, cache.valid());
    Told first, second, third;
    cache.revoker.revoke_token("first", first.hook());
    settle(cache);
    EXPECT_TRUE(first.acknowledged);
    fail_allocation(n);
    try {
      cache.revoker.revoke_token("second", second.hook());
    } catch (const std::bad_alloc&) {
    }
    settle(cache);
    const bool failed = disarm_allocations();
    SCOPED_TRACE("allocation " + std::to_string(n));
    EXPECT_LE(second.times, 1);
    acknowledged_anyway += failed && second.acknowledged ? 1 : 0;
    cache.revoker.revoke_token("third", third.hook());
    settle(cache);
    EXPECT_TRUE(third.acknowledged) << "whoever comes after a failure waits for ever, or fails with it";
    StateDb durable = authcached::testing::open_state_db(cache.state_dir / "state.db");
    RuleSet after(1'000);
    const auto stored = durable.load_rules(kBootNow);
    EXPECT_TRUE(stored && std::ranges::all_of(*stored, [&](const Rule& rule) { return after.add(rule); }));
    for (const auto& [token, told] :
         {std::pair{"first", &first}, std::pair{"second", &second}, std::pair{"third", &third}}) {
      if (!told->acknowledged) continue;
      EXPECT_NE(cache.seen(token), Verdict::kValid) << token;
      EXPECT_EQ(cache.admit(token, cache.valid()).reason, Reason::kRevoked) << token;
      const authcached::Sha256 hash = authcached::token_hash(authcached::sha256(token));
      authcached::AdmissionFacts facts;
      facts.token = &hash;
      EXPECT_NE(after.match(facts), nullptr) << token << " is not durable";
    }
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << count << " allocations of a revocation failed in turn; " << acknowledged_anyway
            << " were acknowledged all the same\n";
  EXPECT_GT(count, 20u);
}

// The records of a subject are found by a walk, in slices: whatever of it fails, an acknowledgement says that none is
// left, and the job does not stand in the way of the next.
TEST(RuleMemory, B5_ABulkRevocationThatRunsOutLeavesNoValidRecordOnceItIsAcknowledged) {
  constexpr int kRecords = 300;  // more than one slice kills
  int acknowledged_anyway = 0;
  const std::uint64_t count = for_each_failure([&](std::uint64_t n) {
    Cache cache;
    for (int i = 0; i < kRecords; ++i) cache.admit("tok" + std::to_string(i), cache.valid());
    Told told, next;
    fail_allocation(n);
    try {
      cache.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, told.hook());
    } catch (const std::bad_alloc&) {
    }
    settle(cache);
    const bool failed = disarm_allocations();
    SCOPED_TRACE("allocation " + std::to_string(n));
    EXPECT_LE(told.times, 1);
    acknowledged_anyway += failed && told.acknowledged ? 1 : 0;
    const auto valid = [&] {
      int left = 0;
      for (int i = 0; i < kRecords; ++i) left += cache.seen("tok" + std::to_string(i)) == Verdict::kValid ? 1 : 0;
      return left;
    };
    EXPECT_EQ(told.acknowledged ? valid() : 0, 0) << "acknowledged, and still valid";
    cache.revoker.purge();  // as housekeeping does every second
    settle(cache);
    cache.revoker.revoke({RuleKind::kSubject, "alice", {}, {}}, next.hook());
    settle(cache);
    EXPECT_TRUE(next.acknowledged) << "whoever comes after a failure waits for ever, or fails with it";
    EXPECT_EQ(valid(), 0);
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << count << " allocations of a bulk revocation failed in turn; " << acknowledged_anyway << " were acknowledged all the same\n";
  EXPECT_GT(count, 20u);
}

TEST(RuleMemory, AFlushOfProfilesThatRunsOutLeavesNoRecordOnceItSaysThatItIsDone) {
  const std::uint64_t count = for_each_failure([](std::uint64_t n) {
    Cache cache;
    for (int i = 0; i < 300; ++i) cache.admit("tok" + std::to_string(i), cache.valid());
    bool done = false;
    fail_allocation(n);
    try {
      cache.revoker.flush_other_profiles({cache.profile->id + 1}, [&](std::uint64_t) { done = true; });
    } catch (const std::bad_alloc&) {
    }
    settle(cache);
    const bool failed = disarm_allocations();
    SCOPED_TRACE("allocation " + std::to_string(n));
    EXPECT_TRUE(failed || done);
    EXPECT_EQ(done ? cache.tables.newest().writer.live() : 0u, 0u) << "done, and a record is left";
    cache.revoker.purge();
    cache.revoker.flush_profile(cache.profile->id, [&](std::uint64_t) { done = true; });
    settle(cache);
    EXPECT_TRUE(done);
    EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << count << " allocations of a flush failed in turn\n";
  EXPECT_GT(count, 5u);
}

TEST(RuleMemory, AMissThatRunsOutLeavesNoFlightBehind) {
  const std::uint64_t count = for_each_failure([](std::uint64_t n) {
    Cache cache;
    int replies = 0;
    Verdict last = Verdict::kMiss;
    const auto reply = [&](const authcache::shm::wire::ValidateReply& answer) {
      ++replies;
      last = answer.verdict;
    };
    fail_allocation(n);
    try {
      cache.resolver.validate(cache.profile, "tok", 1, reply);
      if (!cache.upstream->asked.empty()) cache.upstream->answer(cache.valid());
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    SCOPED_TRACE("allocation " + std::to_string(n));
    while (!cache.upstream->asked.empty()) cache.upstream->answer(cache.valid());
    EXPECT_LE(replies, 1);
    const int before = replies;
    cache.resolver.validate(cache.profile, "tok", 1, reply);
    while (!cache.upstream->asked.empty()) cache.upstream->answer(cache.valid());
    EXPECT_EQ(replies, before + 1) << "a flight that never lands took the next asker with it";
    EXPECT_EQ(last, Verdict::kValid);
    EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << count << " allocations of a miss failed in turn\n";
  EXPECT_GT(count, 10u);
}

TEST(RuleMemory, B25_ADatabaseThatIsOpenedWithoutMemoryIsNotTakenForDamaged) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  {
    StateDb db = authcached::testing::open_state_db(file);
    for (std::uint64_t change = 1; change <= 40; ++change) {
      Rule rule = token_rule(change, 'a');
      rule.value[0] = static_cast<char>(change);
      ASSERT_TRUE(db.commit({{authcached::RuleChange::What::kPut, rule}}));
    }
  }
  const std::uint64_t count = for_each_failure([&](std::uint64_t n) {
    fail_allocation(n);
    bool refused = false;
    std::string why;
    auto code = authcache::shm::ErrorCode::kUnavailable;
    try {
      auto opened = StateDb::open(file, "boot");
      refused = !opened;
      if (!opened) code = opened.error().code, why = opened.error().message;
      if (opened) {
        const auto rules = opened->load_rules(kBootNow);
        EXPECT_TRUE(rules ? rules->size() == 40 : rules.error().code != authcache::shm::ErrorCode::kCorrupt)
            << "allocation " << n;
      }
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    EXPECT_FALSE(refused && code == authcache::shm::ErrorCode::kCorrupt) << "allocation " << n << ": " << why;
    StateDb again = authcached::testing::open_state_db(file);
    EXPECT_EQ(again.load_rules(kBootNow)->size(), 40u) << "allocation " << n;
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << count << " allocations of an opening failed in turn\n";
  EXPECT_GT(count, 20u);
}

// Before any test: SQLite takes its memory from the start on.
const bool kUnderSqlite = (put_failing_memory_under_sqlite(), true);

}  // namespace
}  // namespace crash
