// A batch answers each token as a lookup of its own would, whatever stands beside it.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "shm/wire.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::Reason;
using authcache::shm::SlotState;
using authcache::shm::TableState;
using authcache::shm::Verdict;
namespace shm = authcache::shm;

class Batch : public ::testing::Test {
 protected:
  struct Answers {
    int result = 0;
    std::vector<int> verdicts;
    std::vector<authcache_identity> identities;
  };
  Answers ask(const std::vector<std::string>& tokens, const authcache_requirement* requirement) {
    std::vector<authcache_token> raw;
    for (const auto& token : tokens) raw.push_back({token.data(), token.size()});
    Answers answers{0, std::vector<int>(tokens.size(), -99),
                    std::vector<authcache_identity>(tokens.size(), AUTHCACHE_IDENTITY_INIT)};
    answers.result = authcache_lookup_batch(client_.get(), raw.data(), raw.size(), requirement,
                                            answers.verdicts.data(), answers.identities.data());
    return answers;
  }
  // Everything that a lookup says, in one text.
  static std::string told(int verdict, const authcache_identity& identity) {
    return outcome(verdict, identity) + " " + std::to_string(identity.slot) + "/" +
           std::to_string(identity.sequence) + "/" + std::to_string(identity.generation) + "/" +
           std::to_string(identity.deadline_ns) + "/" + std::to_string(identity.has_confirmation) + "/" +
           std::to_string(identity.key[0] ^ identity.key[1] ^ identity.key[2]);
  }
  void expect_as_alone(const std::vector<std::string>& tokens, const authcache_requirement* requirement) {
    const Answers answers = ask(tokens, requirement);
    ASSERT_EQ(answers.result, AUTHCACHE_OK);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      authcache_identity alone = AUTHCACHE_IDENTITY_INIT;
      const int verdict =
          authcache_lookup(client_.get(), tokens[i].data(), tokens[i].size(), requirement, &alone);
      EXPECT_EQ(told(answers.verdicts[i], answers.identities[i]), told(verdict, alone)) << "token " << i;
    }
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
};

TEST_F(Batch, EveryKindOfAnswerIsThatOfALookup) {
  Proven many;
  for (int i = 0; i < 70; ++i) many.scopes.push_back("scope-" + std::to_string(i));
  admit(writer_, kMainId, "good", {.scopes = {"read"}});
  admit(writer_, kMainId, "by text", many);
  admit(writer_, kMainId, "bound",
        {.scopes = {"read"}, .confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'a')});
  admit(writer_, kMainId, "bad", {.verdict = Verdict::kInvalid, .reason = Reason::kBadSignature});
  admit(writer_, kMainId, "past", {.life_ns = 0});
  auto* requirement = client_.requirement();
  authcache_requirement_add_scope(requirement, "read");
  expect_as_alone({"good", "by text", "bound", "bad", "past", "unknown", "",
                   std::string(shm::wire::kTokenMax + 1, 'x'), "good"},
                  requirement);
}

TEST_F(Batch, AnyNumberOfTokensIsAnswered) {
  auto* requirement = client_.requirement();
  std::vector<std::string> tokens;
  for (std::size_t n = 0; n <= 70; ++n) {
    expect_as_alone(tokens, requirement);
    tokens.push_back("token-" + std::to_string(n));
    if (n % 3 != 0) admit(writer_, kMainId, tokens.back());
  }
}

TEST_F(Batch, AFullTableIsFoundInBothBuckets) {
  auto* requirement = client_.requirement();
  std::vector<std::string> tokens;
  for (int i = 0; i < 1000; ++i) {
    tokens.push_back("token-" + std::to_string(i));
    admit(writer_, kMainId, tokens.back());
  }
  const Answers answers = ask(tokens, requirement);
  EXPECT_EQ(std::ranges::count(answers.verdicts, AUTHCACHE_VALID), 1000);
  expect_as_alone(tokens, requirement);
}

TEST_F(Batch, LongTokensGoThroughTheMemoToo) {
  auto* requirement = client_.requirement();
  const std::string known(800, 'k'), other(800, 'o');
  admit(writer_, kMainId, known);
  for (int i = 0; i < 3; ++i) expect_as_alone({known, other, known}, requirement);
  writer_.kill(shm::key_of(shm::token_digest(kMainId, known)), SlotState::kRevoked);
  EXPECT_EQ(ask({known}, requirement).verdicts[0], AUTHCACHE_MISS);
}

TEST_F(Batch, WhatConcernsTheTableConcernsEveryToken) {
  admit(writer_, kMainId, "token");
  auto* requirement = client_.requirement();
  expect_as_alone({"token", "", "none"}, client_.requirement("nobody"));
  writer_.set_profile_state("main", shm::ProfileState::kUnavailable);
  expect_as_alone({"token", "", "none"}, requirement);
  writer_.set_profile_state("main", shm::ProfileState::kCurrent);
  writer_.beat(shm::coarse_now_ns() - kHeartbeatTimeoutNs - shm::kNsPerSecond);
  expect_as_alone({"token", "", "none"}, requirement);
  writer_.beat(shm::coarse_now_ns());
  writer_.set_state(TableState::kRetired);
  expect_as_alone({"token", "", "none"}, requirement);
}

TEST_F(Batch, ANewTableIsAttachedOnTheWay) {
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "token");
  writer_.set_state(TableState::kRetired);
  auto next = make_table(dir_.path(), 101);
  admit(next, kMainId, "token");
  const Answers answers = ask({"token", "none"}, requirement);
  EXPECT_EQ(answers.verdicts[0], AUTHCACHE_VALID);
  EXPECT_EQ(answers.identities[0].generation, 101u);
  EXPECT_EQ(answers.verdicts[1], AUTHCACHE_MISS);
}

TEST_F(Batch, WithoutATableEveryTokenIsUnavailable) {
  TempDir empty;
  OpenClient alone(empty.path());
  auto* requirement = alone.requirement();
  const authcache_token tokens[] = {{"one", 3}, {nullptr, 0}};
  int verdicts[2];
  ASSERT_EQ(authcache_lookup_batch(alone.get(), tokens, 2, requirement, verdicts, nullptr), AUTHCACHE_OK);
  EXPECT_EQ(verdicts[0], AUTHCACHE_UNAVAILABLE);
  EXPECT_EQ(verdicts[1], AUTHCACHE_INVALID);
}

TEST_F(Batch, WhatCannotBeMeantIsRefusedAndNothingWritten) {
  auto* requirement = client_.requirement();
  const authcache_token good[] = {{"one", 3}};
  const authcache_token null[] = {{nullptr, 3}};
  int verdict = -99;
  authcache_identity unsized{};
  EXPECT_EQ(authcache_lookup_batch(nullptr, good, 1, requirement, &verdict, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), nullptr, 1, requirement, &verdict, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), null, 1, requirement, &verdict, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), good, 1, nullptr, &verdict, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), good, 1, requirement, nullptr, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), good, 1, requirement, &verdict, &unsized),
            AUTHCACHE_ERROR_USAGE);
  authcache_identity unequal[2] = {AUTHCACHE_IDENTITY_INIT, AUTHCACHE_IDENTITY_INIT};
  unequal[1].size += 8;
  const authcache_token two[] = {{"one", 3}, {"two", 3}};
  int verdicts[2] = {-99, -99};
  EXPECT_EQ(authcache_lookup_batch(client_.get(), two, 2, requirement, verdicts, unequal),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(verdict, -99);
  EXPECT_EQ(verdicts[0], -99);
  EXPECT_EQ(authcache_lookup_batch(client_.get(), nullptr, 0, requirement, nullptr, nullptr), AUTHCACHE_OK);
}

TEST_F(Batch, IdentitiesOfALaterVersionAreStridedByTheirSize) {
  struct Larger {
    authcache_identity known = AUTHCACHE_IDENTITY_INIT;
    std::uint64_t more = 7;
  };
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "one");
  admit(writer_, kMainId, "two");
  Larger identities[2];
  for (auto& each : identities) each.known.size = sizeof(Larger);
  const authcache_token tokens[] = {{"one", 3}, {"two", 3}};
  int verdicts[2];
  ASSERT_EQ(authcache_lookup_batch(client_.get(), tokens, 2, requirement, verdicts, &identities[0].known),
            AUTHCACHE_OK);
  for (int i = 0; i < 2; ++i) {
    authcache_identity alone = AUTHCACHE_IDENTITY_INIT;
    looked_up(client_, tokens[i].bytes, requirement, &alone);
    EXPECT_EQ(identities[i].known.slot, alone.slot);
    EXPECT_EQ(identities[i].more, 7u);
  }
}

// Two profiles take turns under one name, each with an audience that the other's record does not have.
TEST_F(Batch, AReloadUnderItNeverMixesTwoProfiles) {
  auto* requirement = client_.requirement("main");
  admit(writer_, kMainId, "token", {.audience = {"api-one"}});
  admit(writer_, kOtherId, "token", {.audience = {"api-two"}});
  const std::vector<std::string> tokens(48, "token");
  std::atomic<bool> stop{false};
  std::thread reloading([&] {
    for (int i = 0; i < 200'000; ++i) {
      if (i % 1'000 == 0) writer_.beat(shm::coarse_now_ns());
      const bool one =
          i / 2 % 2 == 0;  // each of the two copies of the directory gets the one and the other in turn
      writer_.set_profiles(
          {{.name = "main", .id = one ? kMainId : kOtherId, .audience = {one ? "api-one" : "api-two"}}});
    }
    stop = true;
  });
  std::uint64_t wrong = 0;
  while (!stop) {
    for (const int verdict : ask(tokens, requirement).verdicts)
      wrong += verdict != AUTHCACHE_VALID && verdict != AUTHCACHE_MISS;
  }
  reloading.join();
  EXPECT_EQ(wrong, 0u);
}

// A token that is killed and admitted again all the time is valid or a miss, and never another's.
TEST_F(Batch, UnderAWriterEveryAnswerIsItsOwnTokens) {
  auto* requirement = client_.requirement();
  std::vector<std::string> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back("token-" + std::to_string(i));
  std::atomic<bool> stop{false};
  std::thread writing([&] {
    std::mt19937 random(7);
    for (int round = 0; round < 60'000; ++round) {
      const std::string& token = tokens[random() % tokens.size()];
      if (random() % 2 == 0)
        admit(writer_, kMainId, token);
      else
        writer_.kill(shm::key_of(shm::token_digest(kMainId, token)), SlotState::kRevoked);
      if (round % 100 == 0) writer_.beat(shm::coarse_now_ns());
    }
    stop = true;
  });
  std::uint64_t wrong = 0;
  while (!stop) {
    const Answers answers = ask(tokens, requirement);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const shm::Key key = shm::key_of(shm::token_digest(kMainId, tokens[i]));
      const bool valid = answers.verdicts[i] == AUTHCACHE_VALID;
      wrong +=
          valid ? !std::ranges::equal(answers.identities[i].key, key) : answers.verdicts[i] != AUTHCACHE_MISS;
    }
  }
  writing.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
