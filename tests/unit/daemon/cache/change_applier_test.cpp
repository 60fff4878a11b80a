#include "daemon/cache/change_applier.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Verdict;
using authcache::shm::wire::ValidateReply;
using authcached::ChangeApplier;
using authcached::Proof;
using authcached::RecentChanges;
using authcached::SessionChange;
using authcached::sha256;
using authcached::testing::Cache;

using Kind = SessionChange::Kind;

std::string hash_of(std::string_view token) {
  const auto hash = sha256(token);
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

struct Changes : Cache {
  explicit Changes(std::size_t negative_max = 100) : Cache(negative_max) {}
  ChangeApplier applier{tables, admission, turns};

  // Until all that it is about is dead; how many died.
  std::uint64_t tell(const std::vector<SessionChange>& changes, std::uint64_t profile_id = 0) {
    std::optional<std::uint64_t> died;
    applier.apply(profile_id == 0 ? profile->id : profile_id, changes,
                  [&](std::uint64_t killed) { died = killed; });
    settle();
    EXPECT_TRUE(died.has_value());
    return died.value_or(0);
  }
  Proof session(std::string sid, std::string subject = "alice") {
    Proof proof = valid();
    proof.identity.sid = std::move(sid);
    proof.identity.subject = std::move(subject);
    return proof;
  }
  std::vector<ValidateReply> replies;
  void ask(std::string_view token) {
    resolver.validate(profile, token, 1'000,
                      [this](const ValidateReply& reply) { replies.push_back(reply); });
  }
};

TEST(ChangeApplier, AChangeOfATokenKillsItsRecordAndNoOther) {
  Changes cache;
  cache.admit("one", cache.session("s1"));
  cache.admit("two", cache.session("s2"));
  EXPECT_EQ(cache.tell({{Kind::kToken, hash_of("one")}}), 1u);
  EXPECT_EQ(cache.seen("one"), Verdict::kMiss);
  EXPECT_EQ(cache.seen("two"), Verdict::kValid);
}

TEST(ChangeApplier, ARefusalThatIsRememberedDiesWithItsTokenToo) {
  Changes cache;
  cache.admit("late", Cache::invalid());
  ASSERT_EQ(cache.seen("late"), Verdict::kInvalid);
  cache.tell({{Kind::kToken, hash_of("late")}});
  EXPECT_EQ(cache.seen("late"), Verdict::kMiss);
}

TEST(ChangeApplier, SidAndSubjectReachTheRecordsThatNameThem) {
  Changes cache;
  cache.admit("a1", cache.session("s1", "alice"));
  cache.admit("a2", cache.session("s2", "alice"));
  cache.admit("b", cache.session("s3", "bob"));
  EXPECT_EQ(cache.tell({{Kind::kSid, "s1"}}), 1u);
  EXPECT_EQ(cache.seen("a1"), Verdict::kMiss);
  EXPECT_EQ(cache.seen("a2"), Verdict::kValid);
  EXPECT_EQ(cache.tell({{Kind::kSubject, "alice"}}), 1u);
  EXPECT_EQ(cache.seen("a2"), Verdict::kMiss);
  EXPECT_EQ(cache.seen("b"), Verdict::kValid);
}

TEST(ChangeApplier, AnotherProfilesSubjectOfTheSameNameStays) {
  Changes cache;
  cache.admit("a", cache.session("s1"));
  EXPECT_EQ(cache.tell({{Kind::kSubject, "alice"}, {Kind::kSid, "s1"}, {Kind::kProfile, {}}},
                       cache.profile->id + 1),
            0u);
  EXPECT_EQ(cache.seen("a"), Verdict::kValid);
}

TEST(ChangeApplier, AllOfAProfileDiesInSlicesBeforeItIsDone) {
  Changes cache;
  for (int i = 0; i < 500; ++i)
    cache.admit("tok-" + std::to_string(i), cache.session("s" + std::to_string(i)));
  EXPECT_EQ(cache.tell({{Kind::kProfile, {}}}), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(cache.seen("tok-" + std::to_string(i)), Verdict::kMiss);
}

TEST(ChangeApplier, ManyChangesAtOnceAreDoneOnce) {
  Changes cache;
  std::vector<SessionChange> changes;
  for (int i = 0; i < 200; ++i) {
    cache.admit("tok-" + std::to_string(i), cache.session("s" + std::to_string(i)));
    changes.push_back({Kind::kSid, "s" + std::to_string(i)});
  }
  int done = 0;
  std::uint64_t killed = 0;
  cache.applier.apply(cache.profile->id, changes, [&](std::uint64_t count) {
    ++done;
    killed = count;
  });
  cache.settle();
  EXPECT_EQ(done, 1);
  EXPECT_EQ(killed, 200u);
}

TEST(ChangeApplier, AChangeHeardTwiceDoesNoHarm) {
  Changes cache;
  cache.admit("a", cache.session("s1"));
  cache.tell({{Kind::kSid, "s1"}});
  cache.admit("a", cache.session("s1"));
  EXPECT_EQ(cache.seen("a"), Verdict::kValid) << "what was asked after the change is the truth";
  cache.tell({{Kind::kSid, "s1"}});
  EXPECT_EQ(cache.seen("a"), Verdict::kMiss);
}

// What no rule stands for: the only thing that keeps the old answer out is that the flight set out too early.
TEST(ChangeApplier, AFlightThatSetOutBeforeAChangeBringsItsOldAnswerToNobody) {
  const SessionChange about[] = {
      {Kind::kToken, hash_of("tok")}, {Kind::kSid, "s1"}, {Kind::kSubject, "alice"}, {Kind::kProfile, {}}};
  for (const SessionChange& change : about) {
    Changes cache;
    cache.ask("tok");
    ASSERT_EQ(cache.upstream->asked.size(), 1u);
    cache.tell({change});
    cache.upstream->answer(cache.session("s1"));
    ASSERT_EQ(cache.replies.size(), 1u);
    EXPECT_EQ(cache.replies[0].place_count, 0) << "valid at no place: the client asks again";
    EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
    cache.ask("tok");
    ASSERT_EQ(cache.upstream->asked.size(), 1u) << "a question of its own";
    cache.upstream->answer(cache.session("s1"));
    EXPECT_EQ(cache.replies.back().place_count, 1);
    EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
  }
}

TEST(ChangeApplier, AFlightThatAChangeIsNotAboutBringsItsAnswer) {
  Changes cache;
  cache.ask("tok");
  cache.tell({{Kind::kToken, hash_of("other")}, {Kind::kSid, "s9"}, {Kind::kSubject, "bob"}});
  cache.upstream->answer(cache.session("s1"));
  EXPECT_EQ(cache.replies.at(0).place_count, 1);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

TEST(ChangeApplier, ARecordThatIsProvenAnewByAnOldFlightIsNotExtended) {
  Changes cache;
  cache.admit("tok", cache.session("s1"));
  const auto places = cache.tables.places_of(authcache::shm::key_of(cache.digest_of("tok")));
  ASSERT_TRUE(cache.resolver.refresh(cache.profile, cache.digest_of("tok"), "tok", places, 0));
  cache.tell({{Kind::kSubject, "alice"}});
  cache.upstream->answer(cache.session("s1"));
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(ChangeApplier, AMoveOfARecordDoesNotSaveItFromAChange) {
  Changes cache;
  cache.admit("tok", cache.session("s1"));
  auto& generation = cache.tables.newest();
  const auto slot = cache.tables.places_of(authcache::shm::key_of(cache.digest_of("tok"))).items[0].slot;
  // The job is under way and has not come to it; what is regranted meanwhile steps behind it.
  cache.admission.note_changes(cache.profile->id, std::vector<SessionChange>{{Kind::kSubject, "alice"}});
  EXPECT_EQ(cache.admission.regrant(generation, slot, cache.profiles),
            authcached::Admission::Regranted::kKilled);
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
}

TEST(RecentChanges, WhatFellOutOfItReachesEveryEarlierFlight) {
  RecentChanges changes;
  const auto token = sha256("tok");
  changes.note(7, {Kind::kSid, "first"}, 10);
  EXPECT_FALSE(changes.reach_flight({7, token, "s1", "alice", 9}));
  for (std::size_t i = 0; i < RecentChanges::kNamesMax; ++i)
    changes.note(7, {Kind::kSid, std::to_string(i) + "x"}, 11);
  EXPECT_TRUE(changes.reach_flight({7, token, "s1", "alice", 9}))
      << "nobody remembers whom the change at 10 was about";
  EXPECT_FALSE(changes.reach_flight({7, token, "s1", "alice", 10}));
  EXPECT_FALSE(changes.reach_record({7, token, "s1", "alice", 9})) << "it has long been looked for";
  EXPECT_FALSE(changes.reach_flight({8, token, "first", "alice", 9})) << "another profile";
}

TEST(RecentChanges, ALaterChangeOfANameOutlivesTheEarlierOne) {
  RecentChanges changes;
  const auto token = sha256("tok");
  changes.note(7, {Kind::kSubject, "alice"}, 10);
  for (std::size_t i = 0; i + 2 < RecentChanges::kNamesMax; ++i)
    changes.note(7, {Kind::kSid, std::to_string(i) + "x"}, 11);
  changes.note(7, {Kind::kSubject, "alice"}, 20);
  changes.note(7, {Kind::kSid, "last"}, 21);
  EXPECT_TRUE(changes.reach_flight({7, token, "", "alice", 19}));
  EXPECT_FALSE(changes.reach_flight({7, token, "", "alice", 20}));
}

}  // namespace
