// What roles grant, from an admission to a change of their definitions: no record may go on saying what an earlier
// definition granted, however it came into the table.
#include <gtest/gtest.h>

#include "shm/dictionary.hpp"
#include "shm/evaluate.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using namespace authcached;
using authcached::testing::Cache;
using authcached::testing::kSecond;
using authcached::testing::make_test_generation;
namespace shm = authcache::shm;
using Strings = std::vector<std::string>;
using Roles = std::vector<RoleConfig>;

const Roles kBefore{{"editor", {"viewer"}, {"documents.write"}}, {"viewer", {}, {"documents.read", "reports/*:read"}}};
const Roles kAfter{{"editor", {"viewer"}, {}}, {"viewer", {}, {"documents.read"}}};

class Regrant : public ::testing::Test {
 protected:
  Regrant() {
    take({"editor", "viewer"});
    put(kBefore);
  }
  void take(const Strings& roles) {
    ProfileConfig config = cache.profile->config;
    config.roles = roles;
    cache.set_profile(config);
  }
  void put(const Roles& roles) {
    EXPECT_TRUE(judge_roles(roles).empty());
    book = std::make_shared<const RoleBook>(roles);
    cache.admission.set_roles(book, cache.profiles);
  }
  // As a reload does it; returns the records that changed.
  std::uint64_t change(const Roles& roles) {
    const auto before = book;
    put(roles);
    return walk(before->differences(*book));
  }
  std::uint64_t walk(const std::set<std::string>& roles) {
    std::optional<std::uint64_t> changed;
    cache.revoker.regrant(cache.admission, cache.profiles, roles, [&](std::uint64_t records) { changed = records; });
    for (int i = 0; i < 10'000 && !changed; ++i) cache.settle();
    EXPECT_TRUE(changed);
    return changed.value_or(0);
  }
  Proof proof(const Strings& roles, const Strings& permissions = {}) const {
    Proof made = cache.valid();
    made.identity.permissions = permissions;
    for (const std::string& role : roles) made.identity.permissions.push_back("role:" + role);
    return made;
  }
  // Judged as a reader does, in every generation that is written.
  [[nodiscard]] bool holds(std::string_view token, const std::string& permission) const {
    std::optional<bool> held;
    for (const std::uint64_t number : cache.tables.generations()) {
      const bool here = holds_in(*cache.tables.generation(number), token, permission);
      EXPECT_EQ(held.value_or(here), here) << "generations differ";
      held = here;
    }
    return *held;
  }
  [[nodiscard]] bool holds_in(const Generation& generation, std::string_view token, const std::string& permission) const {
    const shm::TableView& view = generation.writer.view();
    shm::Found found;
    EXPECT_TRUE(generation.writer.find(shm::key_of(cache.digest_of(token)), found)) << token << " has no record";
    const std::uint64_t dictionary = shm::StdAtomics::load_acquire(view.header().dictionary);
    const Strings asked{permission};
    const shm::Terms terms = shm::compile_terms(view, shm::StdAtomics::load_acquire(view.header().config), dictionary, {.permissions = asked});
    const shm::Asked question{.permissions = asked, .view = &view};
    alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
    shm::ColdRecord cold;
    auto text = shm::read_text(view, found.slot, found.record.control, buffer, cold);
    if ((shm::unpack_facts(found.record.facts).flags & shm::kTextOnSocket) != 0) {
      text = cache.texts.get({view.generation, found.slot, found.record.sequence()});
    }
    return shm::evaluate(found.record, terms, question, text).verdict == shm::Verdict::kValid;
  }
  [[nodiscard]] shm::HotRecord record(std::string_view token) const {
    shm::Found found;
    EXPECT_TRUE(cache.tables.find(shm::key_of(cache.digest_of(token)), found));
    return found.record;
  }

  Cache cache;
  std::shared_ptr<const RoleBook> book;
};

TEST_F(Regrant, AnAdmissionAddsWhatTheRolesGrant) {
  cache.admit("e", proof({"editor"}, {"own"}));
  cache.admit("v", proof({"viewer"}));
  cache.admit("n", proof({"stranger"}));
  for (const char* permission : {"own", "role:editor", "documents.write", "documents.read", "reports/7:read"}) {
    EXPECT_TRUE(holds("e", permission)) << permission;
  }
  EXPECT_TRUE(holds("v", "documents.read"));
  EXPECT_FALSE(holds("v", "documents.write"));
  EXPECT_FALSE(holds("n", "documents.read"));
}

TEST_F(Regrant, AChangeReachesEveryRecordThatHoldsTheRoleAndAsksNoUpstream) {
  for (int i = 0; i < 100; ++i) cache.admit("e" + std::to_string(i), proof({"editor"}));
  for (int i = 0; i < 100; ++i) cache.admit("n" + std::to_string(i), proof({}, {"documents.write"}));
  const std::uint64_t untouched = record("n5").control;
  const std::uint64_t deadline = record("e5").deadline;
  EXPECT_EQ(change(kAfter), 100u);
  for (int i = 0; i < 100; ++i) {
    const std::string token = "e" + std::to_string(i);
    EXPECT_FALSE(holds(token, "documents.write"));
    EXPECT_FALSE(holds(token, "reports/7:read"));
    EXPECT_TRUE(holds(token, "documents.read"));
  }
  EXPECT_TRUE(holds("n5", "documents.write")) << "its own token says so";
  EXPECT_EQ(record("n5").control, untouched);
  EXPECT_EQ(record("e5").deadline, deadline);
  EXPECT_TRUE(cache.upstream->asked.empty());
  EXPECT_EQ(change(kBefore), 100u);
  EXPECT_TRUE(holds("e5", "documents.write"));
  EXPECT_TRUE(holds("e5", "reports/7:read"));
}

TEST_F(Regrant, ARoleThatTheProfileNoLongerTakesGrantsNothing) {
  cache.admit("e", proof({"editor"}));
  take({"viewer"});
  put(kBefore);
  EXPECT_EQ(walk({"editor"}), 1u);
  EXPECT_FALSE(holds("e", "documents.write"));
  EXPECT_TRUE(holds("e", "role:editor")) << "the fact stays";
}

// A flight holds the profile as it was when it began.
TEST_F(Regrant, AFlightThatBeganBeforeTheChangeIsGivenWhatHoldsNow) {
  const auto before = cache.profile;
  const auto digest = cache.digest_of("e");
  const Sha256 hash = sha256("e");
  const Candidate candidate{before.get(), &digest, &hash, cache.tables.epoch()};
  take({"viewer"});
  (void)change(kAfter);
  EXPECT_EQ(cache.admission.admit(candidate, proof({"editor", "viewer"})).verdict, shm::Verdict::kValid);
  EXPECT_FALSE(holds("e", "documents.write"));
  EXPECT_FALSE(holds("e", "reports/7:read"));
  EXPECT_TRUE(holds("e", "documents.read"));
}

TEST_F(Regrant, WithAFullDictionaryTheTextFollows) {
  shm::TableWriter& writer = cache.tables.newest().writer;
  for (std::uint32_t i = 0; i < shm::kGrantBits; ++i) (void)writer.intern_role_grant("filler." + std::to_string(i));
  const Roles before{{"editor", {}, {"late.write", "late/*:read"}}};
  (void)change(before);
  cache.admit("e", proof({"editor"}));
  EXPECT_TRUE(holds("e", "late.write"));
  EXPECT_TRUE(holds("e", "late/3:read"));
  EXPECT_EQ(change({{"editor", {}, {"late.write"}}}), 1u);
  EXPECT_TRUE(holds("e", "late.write"));
  EXPECT_FALSE(holds("e", "late/3:read"));
  EXPECT_EQ(change(kAfter), 1u);
  EXPECT_FALSE(holds("e", "late.write"));
}

TEST_F(Regrant, ATextThatLiesWithTheDaemonFollowsItsRecord) {
  Proof large = proof({"editor"});
  large.identity.claims_json = std::string(shm::kTextMax, 'x');
  cache.admit("e", large);
  EXPECT_TRUE(holds("e", "documents.write"));
  EXPECT_EQ(change(kAfter), 1u);
  EXPECT_FALSE(holds("e", "documents.write"));
  EXPECT_TRUE(holds("e", "role:editor"));
  EXPECT_TRUE(cache.admission.has_text(record("e"), cache.tables.places_of(record("e").key).items[0]));
}

TEST_F(Regrant, ARecordUnderARuleIsNotAdmittedAgain) {
  cache.admit("e", proof({"editor"}));
  Rule rule;
  rule.kind = RuleKind::kSubject;
  rule.value = "alice";
  rule.not_before_ns = cache.clock.wall + kSecond;
  ASSERT_TRUE(cache.rules.add(rule));
  (void)change(kAfter);
  EXPECT_EQ(cache.seen("e"), shm::Verdict::kMiss);
}

TEST_F(Regrant, WhatAnEpochVoidedStaysVoid) {
  cache.admit("e", proof({"editor"}));
  cache.tables.raise_all();
  (void)change(kAfter);
  EXPECT_EQ(cache.seen("e"), shm::Verdict::kMiss);
}

// A table being replaced has the record twice, and copies are made while the walk is under way.
TEST_F(Regrant, BothGenerationsFollow) {
  for (int i = 0; i < 50; ++i) cache.admit("e" + std::to_string(i), proof({"editor"}));
  cache.tables.begin_replacement(make_test_generation(cache.directory.path(), 2));
  const auto& source = cache.tables.current().writer.view();
  const auto copy = [&](std::uint64_t slots) {
    return cache.tables.copy_slice(slots, static_cast<std::uint64_t>(cache.clock.monotonic),
                                   [&](const auto& hot, const auto& cold, auto text, auto& grants) {
                                     return cache.admission.may_copy(source, cache.profiles, hot, cold, text, grants);
                                   });
  };
  (void)copy(source.geometry.slots / 2);
  (void)change(kAfter);
  while (!copy(100)) {
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(holds("e" + std::to_string(i), "documents.write"));
    EXPECT_TRUE(holds("e" + std::to_string(i), "documents.read"));
  }
  EXPECT_EQ(walk({"editor", "viewer"}), 0u) << "nothing was left to do";
}

TEST_F(Regrant, AnAdoptedTableSaysWhatHoldsNow) {
  cache.admit("e", proof({"editor"}));
  cache.admit("n", proof({}, {"own"}));
  put(kAfter);  // as a daemon does that starts with another configuration: it knows nothing of what was before
  EXPECT_EQ(cache.admission.regrant_adopted(cache.tables.newest(), cache.profiles), 1u);
  EXPECT_FALSE(holds("e", "documents.write"));
  EXPECT_TRUE(holds("e", "documents.read"));
  EXPECT_TRUE(holds("n", "own"));
  put({});
  EXPECT_EQ(cache.admission.regrant_adopted(cache.tables.newest(), cache.profiles), 1u);
  EXPECT_FALSE(holds("e", "documents.read"));
}

// While an upstream cannot be asked, a record past its deadline may be prolonged: also then by today's definition.
TEST_F(Regrant, ARecordPastItsDeadlineFollowsToo) {
  cache.admit("e", proof({"editor"}));
  cache.clock.monotonic = static_cast<std::int64_t>(record("e").deadline) + kSecond;
  (void)change(kAfter);
  shm::Found found;
  ASSERT_TRUE(cache.tables.find(shm::key_of(cache.digest_of("e")), found));
  EXPECT_FALSE(holds("e", "documents.write"));
}

}  // namespace
