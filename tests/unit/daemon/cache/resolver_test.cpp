#include "daemon/cache/resolver.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache::shm::wire::ValidateReply;
using authcached::FaultPoint;
using authcached::LimitsConfig;
using authcached::testing::Cache;
using authcached::testing::kSecond;

std::vector<ValidateReply> ask(Cache& cache, std::string_view token, std::size_t times = 1) {
  // Replies outlive this call: those that come later are looked for in `late`.
  std::vector<ValidateReply> now;
  bool returned = false;
  for (std::size_t i = 0; i < times; ++i) {
    cache.resolver.validate(cache.profile, token, 1'000, [&](const ValidateReply& reply) {
      EXPECT_FALSE(returned);
      now.push_back(reply);
    });
  }
  returned = true;
  return now;
}

struct Late {
  std::vector<ValidateReply> replies;
  void ask(Cache& cache, std::string_view token, std::size_t times = 1, uid_t uid = 1'000) {
    for (std::size_t i = 0; i < times; ++i) {
      cache.resolver.validate(cache.profile, token, uid, [this](const ValidateReply& reply) { replies.push_back(reply); });
    }
  }
};

TEST(Resolver, B14_TenThousandWaitersMakeOneQuestionAndGetOneAnswerEach) {
  Cache cache;
  Late late;
  late.ask(cache, "tok", 10'000);
  ASSERT_EQ(cache.upstream->asked.size(), 1u);
  EXPECT_EQ(cache.resolver.waiters(), 10'000u);
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(late.replies.size(), 10'000u);
  for (const auto& reply : late.replies) ASSERT_EQ(reply.verdict, Verdict::kValid);
  EXPECT_EQ(cache.resolver.waiters(), 0u);
  EXPECT_EQ(cache.resolver.flights(), 0u);
  EXPECT_EQ(cache.seen("tok"), Verdict::kValid);
}

TEST(Resolver, B14_OneWaiterTooManyIsOverloadedAndTheOthersStillGetTheirAnswer) {
  Cache cache;
  Late late;
  late.ask(cache, "tok", 10'001);
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].reason, Reason::kOverloaded);
  cache.upstream->answer(cache.valid());
  EXPECT_EQ(late.replies.size(), 10'001u);
}

TEST(Resolver, AValidReplyNamesThePlaceThatTheTableHolds) {
  Cache cache;
  Late late;
  late.ask(cache, "tok");
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(late.replies.size(), 1u);
  ASSERT_EQ(late.replies[0].place_count, 1);
  EXPECT_EQ(late.replies[0].places[0], cache.tables.places_of(authcache::shm::key_of(cache.digest_of("tok"))).items[0]);
  const auto again = ask(cache, "tok");
  ASSERT_EQ(again.size(), 1u) << "a record that another miss brought is answered at once";
  EXPECT_EQ(again[0].verdict, Verdict::kValid);
  EXPECT_EQ(cache.resolver.counters().questions, 1u);
}

TEST(Resolver, B5_ARevocationBetweenVerdictAndInsertDeniesTheFlight) {
  Cache cache;
  Late late;
  cache.resolver.set_fault_hook([&](FaultPoint point) {
    if (point == FaultPoint::kVerdictBeforeInsert) cache.revoker.revoke_token("tok", [](auto) {});
  });
  late.ask(cache, "tok");
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].verdict, Verdict::kInvalid);
  EXPECT_EQ(late.replies[0].reason, Reason::kRevoked);
  EXPECT_EQ(cache.seen("tok"), Verdict::kInvalid);
}

TEST(Resolver, B5_ARevocationBetweenTwoWaitersDeniesTheLaterOnesAndLeavesNoPlace) {
  Cache cache;
  Late late;
  int replies_before = 0;
  cache.resolver.set_fault_hook([&](FaultPoint point) {
    if (point == FaultPoint::kReplyBeforeSend && ++replies_before == 2) cache.revoker.revoke_token("tok", [](auto) {});
  });
  late.ask(cache, "tok", 3);
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(late.replies.size(), 3u);
  EXPECT_EQ(late.replies[0].verdict, Verdict::kValid);
  for (const int i : {1, 2}) {
    EXPECT_EQ(late.replies[i].verdict, Verdict::kInvalid);
    EXPECT_EQ(late.replies[i].place_count, 0);
  }
  EXPECT_NE(cache.seen("tok"), Verdict::kValid);
}

TEST(Resolver, B5_ARevocationDuringTheFlightDeniesItWhileItsCommitIsPending) {
  Cache cache;
  Late late;
  late.ask(cache, "tok");
  bool acknowledged = false;
  cache.revoker.revoke_token("tok", [&](auto) { acknowledged = true; });
  cache.upstream->answer(cache.valid());
  EXPECT_FALSE(acknowledged);
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].verdict, Verdict::kInvalid);
}

TEST(Resolver, AFlightBegunBeforeAFlushLeavesNothingThatCounts) {
  Cache cache;
  Late late;
  late.ask(cache, "tok");
  cache.tables.raise_all();
  cache.upstream->answer(cache.valid());
  EXPECT_EQ(cache.seen("tok"), Verdict::kMiss);
  late.ask(cache, "tok");
  EXPECT_EQ(cache.upstream->asked.size(), 1u) << "and the next one asks anew";
}

TEST(Resolver, D8_WhileAProfileCatchesUpNothingOfItIsAnswered) {
  Cache cache;
  Late late;
  late.ask(cache, "tok");
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(ask(cache, "tok").at(0).verdict, Verdict::kValid);
  cache.upstream->set_catching_up(true);
  for (const char* token : {"tok", "another"}) {
    const auto replies = ask(cache, token);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].verdict, Verdict::kUnavailable);
    EXPECT_EQ(replies[0].reason, Reason::kCatchingUp);
    EXPECT_EQ(replies[0].place_count, 0);
  }
  EXPECT_TRUE(cache.upstream->asked.empty());
  cache.upstream->set_catching_up(false);
  EXPECT_EQ(ask(cache, "tok").at(0).verdict, Verdict::kValid);
}

TEST(Resolver, B15_UnavailableIsToldToEachWaiterAndStoredNowhere) {
  Cache cache;
  Late late;
  late.ask(cache, "tok", 2);
  authcached::Proof nothing;
  nothing.reason = Reason::kUpstream;
  cache.upstream->answer(nothing);
  ASSERT_EQ(late.replies.size(), 2u);
  EXPECT_EQ(late.replies[0].verdict, Verdict::kUnavailable);
  EXPECT_EQ(late.replies[0].reason, Reason::kUpstream);
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
  late.ask(cache, "tok");
  cache.upstream->answer(cache.valid());
  EXPECT_EQ(late.replies.back().verdict, Verdict::kValid) << "recovery needs nothing but the next question";
}

TEST(Resolver, AnUpstreamThatThrowsAnswersUnavailableAndDoesNotBlockItsToken) {
  Cache cache;
  cache.upstream->throws = true;
  const auto replies = ask(cache, "tok");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].verdict, Verdict::kUnavailable);
  EXPECT_EQ(cache.resolver.flights(), 0u);
  cache.upstream->throws = false;
  Late late;
  late.ask(cache, "tok");
  EXPECT_EQ(cache.upstream->asked.size(), 1u);
}

TEST(Resolver, AReplyThatThrowsCostsNobodyElseTheirs) {
  Cache cache;
  Late late;
  cache.resolver.validate(cache.profile, "tok", 1, [](const ValidateReply&) { throw std::bad_alloc(); });
  late.ask(cache, "tok");
  EXPECT_NO_THROW(cache.upstream->answer(cache.valid()));
  EXPECT_EQ(late.replies.size(), 1u);
}

TEST(Resolver, B13_ShapelessTokensAreRefusedBeforeAnyBudgetFlightOrRecord) {
  LimitsConfig limits;
  limits.miss_burst_per_uid = 1;
  Cache cache(100, limits);
  for (const std::string& token : {std::string(), std::string("!x"), std::string(16 * 1024 + 1, 'a')}) {
    const auto replies = ask(cache, token);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].verdict, Verdict::kInvalid);
  }
  EXPECT_EQ(cache.resolver.counters().rejected, 3u);
  EXPECT_EQ(cache.tables.newest().writer.live(), 0u);
  Late late;
  late.ask(cache, "tok");
  EXPECT_EQ(cache.upstream->asked.size(), 1u) << "the budget of one is still there";
}

TEST(Resolver, B13_OneUidsBudgetIsNobodyElsesAndJoiningIsFree) {
  LimitsConfig limits;
  limits.miss_burst_per_uid = 1;
  Cache cache(100, limits);
  Late late;
  late.ask(cache, "a", 3, 7);
  EXPECT_TRUE(late.replies.empty());
  late.ask(cache, "b", 1, 7);
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].reason, Reason::kOverBudget);
  late.ask(cache, "b", 1, 8);
  EXPECT_EQ(cache.upstream->asked.size(), 2u);
}

TEST(Resolver, TheBoundOnFlightsIsUnavailableNotAQueue) {
  LimitsConfig limits;
  limits.flights = 1;
  Cache cache(100, limits);
  Late late;
  late.ask(cache, "a");
  late.ask(cache, "b");
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].reason, Reason::kOverloaded);
}

TEST(Resolver, ARecordWhoseTextIsGoneIsMadeAnew) {
  Cache cache;
  Late late;
  auto proof = cache.valid();
  proof.identity.claims_json = std::string(20'000, 'c');
  late.ask(cache, "tok");
  cache.upstream->answer(proof);
  ASSERT_EQ(late.replies.back().place_count, 1);
  EXPECT_FALSE(cache.texts.get(late.replies.back().places[0]).empty());
  EXPECT_EQ(ask(cache, "tok").size(), 1u);
  for (std::uint64_t i = 0; cache.texts.get(late.replies.back().places[0]).size() > 0; ++i) {
    cache.texts.put({99, i, 1}, std::string(60'000, 'x'));
  }
  late.ask(cache, "tok");
  EXPECT_EQ(cache.upstream->asked.size(), 1u);
}

TEST(Resolver, NewLimitsCountFromTheNextQuestionOn) {
  Cache cache;
  Late late;
  late.ask(cache, "a");
  LimitsConfig limits;
  limits.flights = 1;
  cache.resolver.set_limits(limits);
  late.ask(cache, "b");
  ASSERT_EQ(late.replies.size(), 1u);
  EXPECT_EQ(late.replies[0].reason, Reason::kOverloaded);
  limits.flights = 10;
  limits.miss_burst_per_uid = 1;
  limits.misses_per_second_per_uid = 1;
  cache.resolver.set_limits(limits);
  late.ask(cache, "c", 1, 7);
  late.ask(cache, "d", 1, 7);
  ASSERT_EQ(late.replies.size(), 2u);
  EXPECT_EQ(late.replies[1].reason, Reason::kOverBudget);
  EXPECT_EQ(cache.upstream->asked.size(), 2u) << "a and c";
}

TEST(Resolver, AnAdmissionThatThrowsIsUnavailableForEachWaiterAndTheNextQuestionIsAsked) {
  Cache cache;
  Late late;
  late.ask(cache, "tok", 2);
  cache.clock.throws = true;  // stands for memory that is not there
  cache.upstream->answer(cache.valid());
  cache.clock.throws = false;
  ASSERT_EQ(late.replies.size(), 2u);
  for (const auto& reply : late.replies) {
    EXPECT_EQ(reply.verdict, Verdict::kUnavailable);
    EXPECT_EQ(reply.reason, Reason::kOverloaded);
    EXPECT_EQ(reply.place_count, 0);
  }
  EXPECT_EQ(cache.resolver.waiters(), 0u);
  late.ask(cache, "tok");
  cache.upstream->answer(cache.valid());
  ASSERT_EQ(late.replies.size(), 3u);
  EXPECT_EQ(late.replies[2].verdict, Verdict::kValid);
}

}  // namespace
