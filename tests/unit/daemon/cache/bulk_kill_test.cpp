// Scans that kill, while the table is at work between their slices. The walks by name are in
// revoker_kinds_test.cpp.
#include "daemon/cache/bulk_kill.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Verdict;
using authcached::BulkKill;
using authcached::Profile;
using authcached::Proof;
using authcached::testing::Cache;
using authcached::testing::make_test_generation;
using authcached::testing::ManualExecutor;

// Records of a profile that is to go, more than a slice kills, and one that stays.
struct Scene : Cache {
  static constexpr int kDoomed = 600;

  Scene() {
    stays->id = profile->id + 1;
    for (int i = 0; i < kDoomed; ++i) admit(doomed(i), valid());
  }
  static std::string doomed(int i) { return "doomed-" + std::to_string(i); }
  [[nodiscard]] authcache::shm::Digest staying(int i) const {
    return authcache::shm::token_digest(stays->id, "stays-" + std::to_string(i));
  }
  void admit_staying(int count) {
    for (int i = 0; i < count; ++i, ++stayed) {
      const auto digest = staying(stayed);
      const auto hash = authcached::sha256(std::to_string(stayed));
      EXPECT_EQ(admission.admit({stays.get(), &digest, &hash, tables.epoch()}, valid()).verdict,
                Verdict::kValid);
    }
  }
  [[nodiscard]] int staying_alive() const {
    int count = 0;
    authcache::shm::Found found;
    for (int i = 0; i < stayed; ++i) count += tables.find(authcache::shm::key_of(staying(i)), found) ? 1 : 0;
    return count;
  }
  // Slots of the doomed records that are live, by number, in the newest generation.
  [[nodiscard]] std::map<int, std::uint64_t> doomed_alive() const {
    std::map<int, std::uint64_t> alive;
    for (int i = 0; i < kDoomed; ++i) {
      authcache::shm::Found found;
      if (tables.find(authcache::shm::key_of(digest_of(doomed(i))), found)) alive[i] = found.slot;
    }
    return alive;
  }

  ManualExecutor loop_turns;
  BulkKill bulk{tables, loop_turns};
  std::shared_ptr<Profile> stays = std::make_shared<Profile>(*profile);
  int stayed = 0;
};

using Begin = void (*)(Scene&, BulkKill::Done);
const std::pair<const char*, Begin> kScans[] = {
    {"of one profile",
     [](Scene& scene, BulkKill::Done done) { scene.bulk.by_profile(scene.profile->id, std::move(done)); }},
    {"of all but some",
     [](Scene& scene, BulkKill::Done done) {
       scene.bulk.other_profiles({scene.stays->id}, std::move(done));
     }},
    {"of one profile without its key",
     [](Scene& scene, BulkKill::Done done) {
       scene.bulk.unproven(scene.profile->id, [](const authcached::Sha256&) { return false; }, std::move(done));
     }},
};

TEST(BulkKill, AScanKillsRecordsThatStepBehindItAndSparesTheRest) {
  for (const auto& [name, begin] : kScans) {
    SCOPED_TRACE(name);
    Scene scene;
    const auto before = scene.doomed_alive();
    std::uint64_t killed = 0;
    bool done = false;
    begin(scene, [&](std::uint64_t count) {
      killed = count;
      done = true;
    });
    const auto left = scene.doomed_alive();
    ASSERT_GT(left.size(), 0u) << "the rest waits for its turn";
    std::uint64_t passed = 0;  // every slot up to here was looked at
    for (const auto& [i, slot] : before) {
      if (!left.contains(i)) passed = std::max(passed, slot);
    }
    scene.admit_staying(500);
    const auto moved = scene.doomed_alive();
    ASSERT_GT(std::ranges::count_if(moved, [&](const auto& each) { return each.second < passed; }), 0)
        << "the case shows something";
    scene.loop_turns.run_all();
    EXPECT_TRUE(done);
    EXPECT_EQ(killed, before.size());
    EXPECT_EQ(scene.doomed_alive().size(), 0u);
    EXPECT_EQ(scene.staying_alive(), 500);
  }
}

TEST(BulkKill, D8_OnlyRecordsOfKeysThatAreGoneDie) {
  Scene scene;
  scene.bulk.unproven(scene.profile->id, [](const authcached::Sha256& key) { return key == authcached::sha256("key"); },
                      [](std::uint64_t killed) { EXPECT_EQ(killed, 0u); });
  scene.loop_turns.run_all();
  EXPECT_EQ(scene.doomed_alive().size(), static_cast<std::size_t>(Scene::kDoomed));
}

TEST(BulkKill, AScanThatAReplacementOvertakesLeavesNothingInEitherGeneration) {
  for (const auto& [name, begin] : kScans) {
    SCOPED_TRACE(name);
    Scene scene;
    bool done = false;
    scene.admit_staying(50);
    begin(scene, [&](std::uint64_t) { done = true; });
    scene.tables.begin_replacement(make_test_generation(scene.directory.path(), 2));
    const auto keep_all = [](const auto&, const auto&, auto, auto&) { return true; };
    while (!scene.tables.copy_slice(100, static_cast<std::uint64_t>(scene.clock.monotonic), keep_all)) {
    }
    ASSERT_GT(scene.doomed_alive().size(), 0u) << "some were copied";
    ASSERT_FALSE(done);
    scene.loop_turns.run_all();
    EXPECT_TRUE(done);
    EXPECT_EQ(scene.doomed_alive().size(), 0u);
    EXPECT_EQ(scene.tables.current().writer.live(), 50u);
    EXPECT_EQ(scene.tables.newest().writer.live(), 50u);
  }
}

TEST(BulkKill, AScanWhoseGenerationIsRetiredGoesOnInItsSuccessor) {
  for (const auto& [name, begin] : kScans) {
    SCOPED_TRACE(name);
    Scene scene;
    bool done = false;
    begin(scene, [&](std::uint64_t) { done = true; });
    scene.tables.begin_replacement(make_test_generation(scene.directory.path(), 2));
    const auto keep_all = [](const auto&, const auto&, auto, auto&) { return true; };
    while (!scene.tables.copy_slice(100, static_cast<std::uint64_t>(scene.clock.monotonic), keep_all)) {
    }
    ASSERT_TRUE(scene.tables.name_successor().has_value());
    scene.tables.retire_predecessor();
    ASSERT_GT(scene.doomed_alive().size(), 0u);
    scene.loop_turns.run_all();
    EXPECT_TRUE(done);
    EXPECT_EQ(scene.doomed_alive().size(), 0u);
  }
}

TEST(BulkKill, WithoutAProfileThatStaysNothingStays) {
  Scene scene;
  scene.admit_staying(50);
  bool done = false;
  scene.bulk.other_profiles({}, [&](std::uint64_t) { done = true; });
  scene.loop_turns.run_all();
  EXPECT_TRUE(done);
  EXPECT_EQ(scene.tables.newest().writer.live(), 0u);
}

// What a slice throws (no memory, in the main) may not cost the caller his answer, nor the others theirs.
TEST(BulkKill, WhatASliceThatThrowsLeftIsKilledInALaterTurn) {
  Scene scene;
  int judged = 0;
  std::uint64_t killed = 0;
  const auto once_without_memory = [&](const auto&, const auto&, const auto&) {
    if (++judged == 10) throw std::bad_alloc();
    return authcache::shm::SlotState::kRevoked;
  };
  scene.bulk.by_name(authcached::NameKind::kSubject, "alice", once_without_memory,
                     [&](std::uint64_t count) { killed = count; });
  scene.loop_turns.run_all();
  EXPECT_EQ(scene.bulk.running(), 0u);
  EXPECT_EQ(killed, static_cast<std::uint64_t>(Scene::kDoomed));
}

TEST(BulkKill, WhatHasNoMemoryForItsNextTurnGoesOnAtAResumeOrWithTheNextJob) {
  for (const bool by_next_job : {false, true}) {
    SCOPED_TRACE(by_next_job ? "the next job" : "a resume");
    Scene scene;
    bool done = false, next_done = false;
    scene.loop_turns.run_out(1);
    scene.bulk.by_profile(scene.profile->id, [&](std::uint64_t) { done = true; });
    ASSERT_EQ(scene.loop_turns.size(), 0u) << "the case shows something";
    ASSERT_FALSE(done);
    if (by_next_job) {
      scene.bulk.negatives([&](std::uint64_t) { next_done = true; });
    } else {
      scene.bulk.resume();
    }
    EXPECT_EQ(scene.loop_turns.size(), 1u);
    scene.bulk.resume();
    EXPECT_EQ(scene.loop_turns.size(), 1u) << "one turn at a time";
    scene.loop_turns.run_all();
    EXPECT_TRUE(done);
    EXPECT_EQ(next_done, by_next_job);
    EXPECT_EQ(scene.doomed_alive().size(), 0u);
  }
}

}  // namespace
