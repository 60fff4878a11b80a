#include "daemon/cache/name_index.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "daemon/cache/tables.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

namespace shm = authcache::shm;
using authcached::NameIndex;
using authcached::NameKind;
using authcached::RecordNames;
using Links = std::map<std::uint64_t, std::string>;  // live slot -> name

constexpr std::uint64_t kNow = 1'000'000'000'000;

// A table small enough that almost every insert moves other records.
struct Table {
  Table() : generation(authcached::testing::make_test_generation(directory.path(), 1)) {}

  void insert(std::uint64_t token, const std::string& subject) {
    shm::TextBuilder text;
    (void)text.add(shm::TextField::kSubject, subject);
    (void)text.add(shm::TextField::kSid, "sid-" + subject);
    shm::RecordSpec spec;
    spec.key = key_of(token);
    spec.deadline = kNow * 2;
    spec.text = text.bytes();
    (void)generation->writer.insert(spec, kNow);
  }
  static shm::Key key_of(std::uint64_t token) { return {token * 0x9e3779b97f4a7c15, token, ~token}; }

  Links live() const {
    Links links;
    const auto& view = generation->writer.view();
    for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
      const auto control = shm::StdAtomics::load_relaxed(view.slot(slot).control);
      if (shm::control_state(control) != shm::SlotState::kLive) continue;
      alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
      shm::ColdRecord cold;
      const auto text = shm::read_text(view, slot, control, buffer, cold);
      if (text) links[slot] = authcached::names_in_text(*text)[0];
    }
    return links;
  }
  // Calls between(slot) after each slot that the walk gives.
  template <class Between>
  void walk(NameKind kind, const std::string& name, Between between) const {
    std::uint64_t cost = 0;
    const auto walk = generation->names.begin_walk(kind, name);
    for (;;) {
      const auto step = generation->names.step(walk, 1, cost);
      if (step.what == NameIndex::Step::What::kEnd) break;
      if (step.what == NameIndex::Step::What::kSlot) between(step.slot);
    }
    generation->names.end_walk(walk);
  }

  authcache_test::TempTableDirectory directory;
  std::unique_ptr<authcached::Generation> generation;
};

std::string subject(std::uint64_t number) { return "user-" + std::to_string(number); }

TEST(NameIndex, FollowsInsertsKillsMovesAndEvictionsExactly) {
  Table table;
  std::mt19937_64 random(7);
  for (int i = 0; i < 4'000; ++i) {
    const std::uint64_t token = random() % 3'000;
    if (random() % 5 == 0) {
      table.generation->writer.kill(Table::key_of(token), shm::SlotState::kRevoked);
    } else {
      table.insert(token, subject(token % 13));
    }
  }
  const Links live = table.live();
  ASSERT_GT(live.size(), 500u);
  for (std::uint64_t number = 0; number < 13; ++number) {
    std::set<std::uint64_t> expected, by_subject, by_sid;
    for (const auto& [slot, name] : live) {
      if (name == subject(number)) expected.insert(slot);
    }
    table.walk(NameKind::kSubject, subject(number), [&](std::uint64_t slot) { EXPECT_TRUE(by_subject.insert(slot).second); });
    table.walk(NameKind::kSid, "sid-" + subject(number), [&](std::uint64_t slot) { EXPECT_TRUE(by_sid.insert(slot).second); });
    EXPECT_EQ(by_subject, expected);
    EXPECT_EQ(by_sid, expected);
  }
  table.walk(NameKind::kClient, subject(1), [](std::uint64_t) { ADD_FAILURE() << "no record names a client"; });
}

TEST(NameIndex, AWalkMissesNothingThatStoodWhenItBeganWhateverIsPlacedRemovedOrMovedMeanwhile) {
  Table table;
  std::mt19937_64 random(11);
  for (std::uint64_t token = 0; token < 700; ++token) table.insert(token, subject(token % 2));
  std::set<shm::Key> stood, met;
  for (const auto& [slot, name] : table.live()) {
    if (name == subject(1)) stood.insert(table.generation->writer.peek(slot).key);
  }
  ASSERT_GT(stood.size(), 200u);
  const auto moves_before = shm::StdAtomics::load_relaxed(table.generation->writer.view().header().moved);
  std::uint64_t next_token = 10'000;
  table.walk(NameKind::kSubject, subject(1), [&](std::uint64_t slot) {
    EXPECT_TRUE(met.insert(table.generation->writer.peek(slot).key).second) << "met twice";
    for (int i = 0; i < 3; ++i) table.insert(next_token++, subject(random() % 2));
  });
  EXPECT_GT(shm::StdAtomics::load_relaxed(table.generation->writer.view().header().moved), moves_before);
  shm::Found found;
  for (const shm::Key& key : stood) {
    EXPECT_TRUE(met.contains(key) || !table.generation->writer.find(key, found)) << "alive and not met";
  }
}

TEST(NameIndex, AnAnnouncedNameIsFoundThoughNoTextLiesBesideTheRecord) {
  Table table;
  shm::RecordSpec spec;
  spec.key = Table::key_of(1);
  spec.deadline = kNow * 2;
  spec.text_too_large = true;
  const RecordNames names = {"alice", "s-1", "web", "j-1"};
  table.generation->names.announce(&names);
  (void)table.generation->writer.insert(spec, kNow);
  table.generation->names.announce(nullptr);
  int met = 0;
  table.walk(NameKind::kJti, "j-1", [&](std::uint64_t) { ++met; });
  table.walk(NameKind::kClient, "web", [&](std::uint64_t) { ++met; });
  EXPECT_EQ(met, 2);
}

// The index alone, so that the test picks the slots; what is placed last stands first in its chain.
struct Chain : Table {
  NameIndex index{generation->writer.view()};
  std::uint64_t cost = 0;

  void place(std::uint64_t slot, std::string_view subject, std::string_view sid = {}) {
    const RecordNames names = {subject, sid};
    index.announce(&names);
    index.placed(slot);
    index.announce(nullptr);
  }
  // The slots that the walk still gives.
  std::vector<std::uint64_t> rest(NameIndex::WalkId walk) {
    std::vector<std::uint64_t> slots;
    while (slots.size() < 10) {
      const auto step = index.step(walk, 100, cost);
      if (step.what != NameIndex::Step::What::kSlot) break;
      slots.push_back(step.slot);
    }
    return slots;
  }
  // Begun on 1, 2, 3, 4, with 1 given out: the walk stands on 2.
  NameIndex::WalkId walk_that_stands_on_2() {
    for (const std::uint64_t slot : {4, 3, 2, 1}) place(slot, "alice");
    const auto walk = index.begin_walk(NameKind::kSubject, "alice");
    EXPECT_EQ(index.step(walk, 100, cost).slot, 1u);
    return walk;
  }
};

using Slots = std::vector<std::uint64_t>;

TEST(NameIndex, ARemovalOfWhatAWalkStandsOnNeitherEndsItNorLeadsItElsewhere) {
  for (const char* next_owner : {"", "bob", "alice"}) {
    SCOPED_TRACE(std::string("the slot goes to ") + next_owner);
    Chain chain;
    chain.place(7, "bob");
    const auto walk = chain.walk_that_stands_on_2();
    chain.index.removed(2);
    if (*next_owner != '\0') chain.place(2, next_owner);
    EXPECT_EQ(chain.rest(walk), (Slots{3, 4}));
  }
}

TEST(NameIndex, AWalkGoesOnBehindARunOfRemovedOnes) {
  Chain chain;
  const auto walk = chain.walk_that_stands_on_2();
  for (const std::uint64_t slot : {2, 3}) chain.index.removed(slot);
  for (const std::uint64_t slot : {3, 2}) chain.place(slot, "alice");
  EXPECT_EQ(chain.rest(walk), Slots{4});
}

TEST(NameIndex, AWalkWhoseRestIsRemovedIsAtItsEnd) {
  Chain chain;
  const auto walk = chain.walk_that_stands_on_2();
  for (const std::uint64_t slot : {4, 2, 3}) chain.index.removed(slot);
  chain.place(2, "alice");
  EXPECT_EQ(chain.rest(walk), Slots{});
}

TEST(NameIndex, TheRemovalOfWhatAWalkGaveLastChangesNothingForIt) {
  Chain chain;
  const auto walk = chain.walk_that_stands_on_2();
  chain.index.removed(1);
  chain.place(1, "alice");
  EXPECT_EQ(chain.rest(walk), (Slots{2, 3, 4}));
}

TEST(NameIndex, EachWalkOnARemovedEntryGoesOnInTheChainOfItsOwnKind) {
  Chain chain;
  chain.place(4, {}, "alice");
  chain.place(3, "alice");
  for (const std::uint64_t slot : {2, 1}) chain.place(slot, "alice", "alice");
  const auto one = chain.index.begin_walk(NameKind::kSubject, "alice");
  const auto other = chain.index.begin_walk(NameKind::kSubject, "alice");
  const auto by_sid = chain.index.begin_walk(NameKind::kSid, "alice");
  for (const auto walk : {one, by_sid}) EXPECT_EQ(chain.index.step(walk, 100, chain.cost).slot, 1u);
  chain.index.removed(2);
  EXPECT_EQ(chain.rest(one), Slots{3});
  EXPECT_EQ(chain.rest(other), (Slots{1, 3}));
  EXPECT_EQ(chain.rest(by_sid), Slots{4});
}

}  // namespace
