#include "daemon/cache/tables.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "daemon/cache/principal_id.hpp"
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
  while (!cache.tables.copy_slice(100, static_cast<std::uint64_t>(cache.clock.monotonic), [&](const auto& hot, const auto& cold, auto text, auto&) {
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

using authcached::Generation;

// Records of one generation that a reader would take for valid now.
std::uint64_t valid_in(const Cache& cache, const Generation& generation) {
  const auto& view = generation.writer.view();
  std::uint64_t valid = 0;
  for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
    const auto record = generation.writer.peek(slot);
    const bool live = authcache::shm::control_state(record.control) == authcache::shm::SlotState::kLive;
    const bool counts = live && is_current(view, record, static_cast<std::uint64_t>(cache.clock.monotonic));
    valid += counts && authcache::shm::unpack_facts(record.facts).verdict == Verdict::kValid ? 1 : 0;
  }
  return valid;
}

struct PrincipalFlush {
  const char* name;
  void (*flush)(authcached::Tables&);
};
const PrincipalFlush kPrincipalFlushes[] = {
    {"issuer", [](authcached::Tables& tables) { tables.raise_issuer(authcached::principal_id(authcached::sha256("https://issuer.example"))); }},
    {"key", [](authcached::Tables& tables) { tables.raise_key(authcached::principal_id(authcached::sha256("key"))); }},
};

// Of a replacement half done: records in the old file alone, copied ones, and ones that were inserted into both.
struct HalfCopied : Cache {
  static constexpr std::uint64_t kEach = 40;
  HalfCopied() {
    for (std::uint64_t i = 0; i < kEach; ++i) {
      admit("before" + std::to_string(i), valid());
      admit("spared" + std::to_string(i), of_somebody_else());
    }
    begin(*this);
    (void)tables.copy_slice(tables.current().writer.view().geometry.slots / 2, static_cast<std::uint64_t>(clock.monotonic),
                            [](const auto&, const auto&, auto, auto&) { return true; });
    for (std::uint64_t i = 0; i < kEach; ++i) admit("during" + std::to_string(i), valid());
    copied = tables.newest().writer.live() - kEach;
  }
  [[nodiscard]] authcached::Proof of_somebody_else() const {
    auto proof = valid();
    proof.identity.issuer = "https://other.example";
    proof.key_thumbprint = authcached::sha256("other key");
    return proof;
  }
  std::uint64_t copied = 0;
};

TEST(Tables, B5_AFlushOfAnIssuerOrAKeyDuringAReplacementLeavesNothingOfItInEitherGeneration) {
  for (const auto& [name, flush] : kPrincipalFlushes) {
    SCOPED_TRACE(name);
    HalfCopied cache;
    ASSERT_GT(cache.copied, 0u);
    ASSERT_LT(cache.copied, 2 * HalfCopied::kEach);
    flush(cache.tables);
    EXPECT_EQ(valid_in(cache, cache.tables.current()), HalfCopied::kEach) << "the spared ones and no other";
    EXPECT_LT(valid_in(cache, cache.tables.newest()), HalfCopied::kEach);
    copy_all(cache);
    EXPECT_EQ(valid_in(cache, cache.tables.newest()), HalfCopied::kEach) << "a copy brought something back";
    for (const char* each : {"before", "during"}) {
      for (std::uint64_t i = 0; i < HalfCopied::kEach; ++i) ASSERT_EQ(cache.seen(each + std::to_string(i)), Verdict::kMiss);
    }
    ASSERT_TRUE(cache.tables.name_successor().has_value());
    cache.tables.retire_predecessor();
    EXPECT_EQ(valid_in(cache, cache.tables.current()), HalfCopied::kEach);
    EXPECT_EQ(cache.admit("before1", cache.valid()).verdict, Verdict::kValid);
    EXPECT_EQ(cache.seen("before1"), Verdict::kValid) << "a flush is no rule";
  }
}

TEST(Tables, B5_AFlushOfAnIssuerOrAKeyReachesRecordsOfTheGenerationWhoseEpochsAreAhead) {
  for (const auto& [name, flush] : kPrincipalFlushes) {
    for (const bool newest_ahead : {true, false}) {
      SCOPED_TRACE(std::string(name) + (newest_ahead ? ", the newest ahead" : ", the old one ahead"));
      Cache cache;
      begin(cache);
      Generation& ahead = newest_ahead ? cache.tables.newest() : cache.tables.current();
      const std::uint64_t epoch = cache.tables.epoch() + 5;
      ahead.writer.advance_epoch(epoch);
      const auto digest = cache.digest_of("tok");
      const auto hash = authcached::sha256("tok");
      cache.admission.admit({cache.profile.get(), &digest, &hash, epoch}, cache.valid());
      flush(cache.tables);
      EXPECT_EQ(valid_in(cache, cache.tables.current()), 0u);
      EXPECT_EQ(valid_in(cache, cache.tables.newest()), 0u);
    }
  }
}

// A copy may reuse an index, and so put the new file's counter ahead of the old one's.
TEST(Tables, B5_AFlightThatBeganBeforeAFlushOfItsIssuerOrKeyIsValidInNeitherGeneration) {
  for (const auto& [name, flush] : kPrincipalFlushes) {
    for (const std::uint64_t ahead : {0u, 5u}) {
      SCOPED_TRACE(std::string(name) + ", the newest ahead by " + std::to_string(ahead));
      Cache cache;
      cache.admit("known", cache.valid());  // the issuer and the key have their index
      begin(cache);
      cache.tables.newest().writer.advance_epoch(cache.tables.epoch() + ahead);
      const std::uint64_t began = cache.tables.epoch();
      flush(cache.tables);
      const auto digest = cache.digest_of("tok");
      const auto hash = authcached::sha256("tok");
      cache.admission.admit({cache.profile.get(), &digest, &hash, began}, cache.valid());
      EXPECT_EQ(valid_in(cache, cache.tables.current()), 0u);
      EXPECT_EQ(valid_in(cache, cache.tables.newest()), 0u);
    }
  }
}

TEST(Tables, WhatTheHeaderSaysIsSaidInBothGenerations) {
  Cache cache;
  begin(cache);
  cache.tables.beat(77);
  cache.tables.set_clock_offsets(-5, 6);
  cache.tables.set_durable_change(9);
  cache.tables.set_profiles({{.name = "web", .id = 4'711, .audience = {"api"}}});
  for (const Generation* each : {&cache.tables.current(), &cache.tables.newest()}) {
    const auto& view = each->writer.view();
    EXPECT_EQ(A::load_relaxed(view.header().heartbeat_ns), 77u);
    EXPECT_EQ(static_cast<std::int64_t>(A::load_relaxed(view.header().wall_offset_ns)), -5);
    EXPECT_EQ(static_cast<std::int64_t>(A::load_relaxed(view.header().boot_offset_ns)), 6);
    EXPECT_EQ(A::load_relaxed(view.header().durable_change), 9u);
    const auto found = authcache::shm::find_profile(view, A::load_relaxed(view.header().config), "web");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->id, 4'711u);
    ASSERT_EQ(found->audience_count, 1u);
    char buffer[256];
    EXPECT_EQ(profile_audience(view, A::load_relaxed(view.header().config), found->entry, 0, buffer), "api");
  }
}

TEST(Tables, ASweepEndsWhatIsPastItsDeadlineInBothGenerationsAndNothingElse) {
  Cache cache;
  begin(cache);
  cache.admit("short", cache.valid(10 * kSecond));
  cache.admit("long", cache.valid(100 * kSecond));
  cache.clock.pass(20 * kSecond);
  cache.tables.sweep(static_cast<std::uint64_t>(cache.clock.monotonic), 1'000'000);
  EXPECT_EQ(cache.tables.current().writer.live(), 1u);
  EXPECT_EQ(cache.tables.newest().writer.live(), 1u);
  EXPECT_EQ(cache.seen("long"), Verdict::kValid);
}

// An outage may be noticed only after a record's end; what stale_if_error promises must still be there then.
TEST(Tables, ASweepSparesGoodRecordsWithinTheWindowOfTheirProfile) {
  Cache cache;
  begin(cache);
  cache.admit("good", cache.valid(10 * kSecond));
  cache.admit("bad", Cache::invalid());
  cache.clock.pass(20 * kSecond);
  const auto sweep = [&](std::int64_t window_s) {
    cache.tables.sweep(static_cast<std::uint64_t>(cache.clock.monotonic), 1'000'000,
                       [=](std::uint64_t) { return static_cast<std::uint64_t>(window_s * kSecond); });
    return cache.tables.newest().writer.live();
  };
  EXPECT_EQ(sweep(60), 1u) << "the good one";
  EXPECT_EQ(cache.seen("good"), Verdict::kMiss) << "spared is not valid";
  cache.clock.pass(60 * kSecond);
  EXPECT_EQ(sweep(60), 0u) << "beyond the window";
}

TEST(Tables, NegativesThatMayHaveBecomeWrongAreGoneFromBothGenerations) {
  Cache cache;
  begin(cache);
  cache.admit("tok", cache.valid());
  for (int i = 0; i < 10; ++i) cache.admit("bad" + std::to_string(i), Cache::invalid());
  EXPECT_EQ(cache.tables.kill_negatives(), 20u);
  EXPECT_EQ(cache.seen("bad3"), Verdict::kMiss);
  EXPECT_EQ(cache.tables.current().writer.negative(), 0u);
  EXPECT_EQ(cache.tables.newest().writer.negative(), 0u);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

// The scan that bulk kills rely on (tables.hpp), by itself.
TEST(GenerationScan, GivesOutWhatStepsBehindItAndEndsForAnEndedOne) {
  Cache cache;
  Generation& generation = cache.tables.newest();
  const auto slot_of = [&](const std::string& token) {
    authcache::shm::Found found;
    return cache.tables.find(authcache::shm::key_of(cache.digest_of(token)), found) ? std::optional(found.slot) : std::nullopt;
  };
  std::map<std::string, std::uint64_t> stood;
  for (int i = 0; i < 700; ++i) {
    const std::string token = "tok" + std::to_string(i);
    cache.admit(token, cache.valid());
  }
  for (int i = 0; i < 700; ++i) {
    const std::string token = "tok" + std::to_string(i);
    stood[token] = slot_of(token).value();
  }
  const std::uint64_t hand = generation.writer.view().geometry.slots / 2;
  const auto scan = generation.begin_scan();
  for (std::uint64_t slot = 0; slot < hand; ++slot) ASSERT_EQ(generation.scan_next(scan), slot);
  for (int i = 0; i < 200; ++i) cache.admit("new" + std::to_string(i), cache.valid());
  std::set<std::uint64_t> given;
  while (const auto slot = generation.scan_next(scan)) given.insert(*slot);
  int stepped = 0;
  for (const auto& [token, before] : stood) {
    const auto now = slot_of(token);
    if (!now || before < hand) continue;
    EXPECT_TRUE(given.contains(*now)) << token;
    stepped += *now < hand ? 1 : 0;
  }
  EXPECT_GT(stepped, 0) << "the case shows something";
  generation.end_scan(scan);
  EXPECT_EQ(generation.scan_next(scan), std::nullopt);
}

}  // namespace
