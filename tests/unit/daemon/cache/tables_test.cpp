#include "daemon/cache/tables.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::TableState;
using authcache::shm::Verdict;
using authcached::testing::Cache;
using authcached::testing::kSecond;
using authcached::testing::make_test_generation;
using A = authcache::shm::StdAtomics;

std::uint64_t state_of(const authcached::Generation& generation) { return A::load_relaxed(generation.writer.view().header().state); }

void copy_all(Cache& cache) {
  const auto& source = cache.tables.current().writer.view();
  while (!cache.tables.copy_slice(100, static_cast<std::uint64_t>(cache.clock.monotonic), [&](const auto& hot, const auto& cold, auto text) {
    return cache.admission.may_keep(source, cache.profiles, hot, cold, text);
  })) {
  }
}

void begin(Cache& cache) { cache.tables.begin_replacement(make_test_generation(cache.directory.path(), 2)); }

TEST(Tables, AReplacementCarriesRecordsWithTheirEpochAndDeadline) {
  Cache cache;
  cache.admit("tok", cache.valid(50 * kSecond));
  begin(cache);
  EXPECT_EQ(state_of(cache.tables.current()), static_cast<std::uint64_t>(TableState::kMoving));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  copy_all(cache);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  cache.clock.pass(50 * kSecond);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Tables, B5_ARevocationDuringTheCopyReachesBothFilesAndStopsTheCopy) {
  Cache cache;
  cache.admit("tok", cache.valid());
  begin(cache);
  cache.revoker.revoke_token("tok", [](auto) {});
  copy_all(cache);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  EXPECT_EQ(cache.tables.current().writer.live(), 0u);
}

TEST(Tables, B5_ARevocationAfterTheCopyReachesBothFiles) {
  Cache cache;
  cache.admit("tok", cache.valid());
  begin(cache);
  copy_all(cache);
  cache.revoker.revoke_token("tok", [](auto) {});
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
  EXPECT_EQ(cache.tables.current().writer.live(), 0u);
}

TEST(Tables, AFlushDuringTheCopyVoidsCopiedAndUncopiedAlike) {
  Cache cache;
  cache.admit("tok", cache.valid());
  begin(cache);
  cache.tables.raise_all();
  copy_all(cache);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(Tables, AFlushVoidsInBothFilesThoughTheirEpochsWereCountedApart) {
  Cache cache;
  begin(cache);
  for (int i = 0; i < 3; ++i) cache.tables.newest().writer.raise_key({1, 2, 3, 4});  // as a reused index does
  cache.admit("tok", cache.valid());
  ASSERT_EQ(cache.tables.current().writer.live(), 1u);
  cache.tables.raise_all();
  for (const authcached::Generation* each : {&cache.tables.newest(), &cache.tables.current()}) {
    const auto& view = each->writer.view();
    for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
      EXPECT_FALSE(A::load_relaxed(view.slot(slot).control) % 256 == 2 &&
                   is_current(view, each->writer.peek(slot), static_cast<std::uint64_t>(cache.clock.monotonic)));
    }
  }
}

TEST(Tables, AnInsertDuringTheCopyIsInBothAndNamesBothPlacesNewestFirst) {
  Cache cache;
  begin(cache);
  const auto admitted = cache.admit("tok", cache.valid());
  ASSERT_EQ(admitted.places.count, 2);
  EXPECT_EQ(admitted.places.items[0].generation, 2u);
  EXPECT_EQ(admitted.places.items[1].generation, 1u);
  const auto places = cache.tables.places_of(authcache::shm::key_of(cache.digest_of("tok")));
  EXPECT_EQ(places.items, admitted.places.items);
}

TEST(Tables, TheNewerVerdictIsNotOverwrittenByTheCopy) {
  Cache cache;
  cache.admit("tok", cache.valid());
  begin(cache);
  cache.admit("tok", Cache::invalid());
  copy_all(cache);
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
}

TEST(Tables, TheSuccessorTakesTheNameAndTheOldOneEndsRetired) {
  Cache cache;
  begin(cache);
  copy_all(cache);
  ASSERT_TRUE(cache.tables.name_successor().has_value());
  const auto old = authcache::shm::open_table(cache.directory.path() / "table.1", {});
  ASSERT_TRUE(old.has_value()) << old.error().message;
  EXPECT_TRUE(cache.tables.replacing());
  EXPECT_EQ(cache.tables.retire_predecessor(), 1u);
  EXPECT_EQ(A::load_relaxed(old->view.header().state), static_cast<std::uint64_t>(TableState::kRetired));
  EXPECT_EQ(authcache::shm::list_generations(cache.directory.path()), std::vector<std::uint64_t>{2});
  EXPECT_FALSE(cache.tables.replacing());
}

TEST(Tables, AnAbandonedSuccessorThatGotItsFirstNameIsRetiredAndLosesIt) {
  Cache cache;
  begin(cache);
  ASSERT_TRUE(cache.tables.name_successor().has_value());
  const auto opened = authcache::shm::open_table(cache.directory.path() / "table.2", {});
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(cache.tables.abandon_successor(), 2u);
  EXPECT_EQ(A::load_relaxed(opened->view.header().state), static_cast<std::uint64_t>(TableState::kRetired));
  EXPECT_EQ(authcache::shm::list_generations(cache.directory.path()), std::vector<std::uint64_t>{1});
  EXPECT_EQ(state_of(cache.tables.current()), static_cast<std::uint64_t>(TableState::kLive));
}

TEST(Tables, RecordsOfOtherProfilesAreKilledInSlices) {
  Cache cache;
  cache.admit("tok", cache.valid());
  std::uint64_t from = 0;
  while (!cache.tables.kill_other_profiles({cache.profile->id}, from, 64)) from += 64;
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  from = 0;
  while (!cache.tables.kill_other_profiles({cache.profile->id + 1}, from, 64)) from += 64;
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

}  // namespace
