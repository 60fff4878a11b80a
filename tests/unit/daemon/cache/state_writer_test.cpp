#include "daemon/cache/state_writer.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Result;
using authcached::RuleChange;
using authcached::StateWriter;
using authcached::testing::ManualExecutor;
using authcached::testing::open_state_db;
using authcached::testing::TemporaryDirectory;

std::vector<RuleChange> change(std::uint64_t number) {
  authcached::Rule rule;
  rule.change = number;
  rule.kind = authcached::RuleKind::kSubject;
  rule.value = "s" + std::to_string(number);
  return {{RuleChange::What::kPut, rule}};
}

class StateWriterTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  ManualExecutor worker_, loop_;
  std::optional<StateWriter> writer_{std::in_place, open_state_db(directory_ / "state.db"), worker_, loop_};
  std::vector<int> told_;
  StateWriter::Done note(int which) {
    return [this, which](const Result<void>& result) { told_.push_back(result ? which : -which); };
  }
};

TEST_F(StateWriterTest, ChangesThatArriveDuringACommitShareTheNext) {
  writer_->commit(change(1), note(1));
  writer_->commit(change(2), note(2));
  writer_->commit(change(3), note(3));
  EXPECT_EQ(worker_.size(), 1u);
  worker_.run_all();
  EXPECT_TRUE(told_.empty()) << "told on the loop, not on the worker";
  loop_.run_all();
  EXPECT_EQ(told_, std::vector{1});
  EXPECT_EQ(worker_.size(), 1u);
  worker_.run_all();
  loop_.run_all();
  EXPECT_EQ(told_, (std::vector{1, 2, 3}));
  EXPECT_EQ(worker_.size(), 0u);
}

TEST_F(StateWriterTest, ABadChangeFailsItsCommitAndTheNextGoesOn) {
  auto bad = change(1);
  bad[0].rule.change = 0;
  writer_->commit(bad, note(1));
  writer_->commit(change(2), note(2));
  while (worker_.run_all() + loop_.run_all() > 0) {
  }
  EXPECT_EQ(told_, (std::vector{-1, 2}));
}

TEST_F(StateWriterTest, AWorkerThatOutlivesItFinishesItsCommit) {
  writer_->commit(change(1), note(1));
  writer_->put_generation({9, 9, "boot"}, note(2));
  writer_.reset();
  worker_.run_all();
  auto db = open_state_db(directory_ / "state.db");
  EXPECT_EQ(*db.last_change(), 1u);
  EXPECT_EQ(db.load_generations()->size(), 1u);
}

TEST_F(StateWriterTest, ACommitThatCannotBeHandedToTheWorkerIsAnErrorAndTheNextGoesOn) {
  std::vector<std::string> sentences;
  worker_.run_out(1);
  writer_->commit(change(1), [&](const Result<void>& result) { sentences.push_back(result ? "" : result.error().message); });
  EXPECT_EQ(sentences, std::vector<std::string>{"no memory left"}) << "told at once: nobody else would";
  writer_->commit(change(2), note(2));
  worker_.run_all();
  loop_.run_all();
  EXPECT_EQ(told_, std::vector{2});
  EXPECT_EQ(open_state_db(directory_ / "state.db").load_rules(0)->size(), 1u) << "what was an error is not durable";
}

TEST_F(StateWriterTest, AnAnswerThatFindsNoMemoryIsHandedOverLater) {
  writer_->commit(change(1), note(1));
  writer_->put_generation({9, 9, "boot"}, note(2));
  loop_.run_out(2);
  worker_.run_all();
  loop_.run_all();
  EXPECT_EQ(told_, (std::vector{1, 2}));
}

TEST_F(StateWriterTest, AWaiterThatThrowsLosesNobodyElsesAnswerNorTheNextCommit) {
  writer_->commit(change(1), note(1));
  writer_->commit(change(2), note(2));
  writer_->commit(change(3), [](const Result<void>&) { throw std::bad_alloc(); });
  writer_->commit(change(4), note(4));
  worker_.run_all();
  loop_.run_all();
  writer_->commit(change(5), note(5));
  worker_.run_all();
  EXPECT_THROW(loop_.run_all(), std::bad_alloc) << "the loop says so";
  EXPECT_EQ(told_, (std::vector{1, 2, 4}));
  worker_.run_all();
  loop_.run_all();
  EXPECT_EQ(told_, (std::vector{1, 2, 4, 5}));
  EXPECT_EQ(open_state_db(directory_ / "state.db").load_rules(0)->size(), 5u);
}

TEST_F(StateWriterTest, AForgottenRuleAndARemovedGenerationAreGoneAfterARestart) {
  writer_->commit(change(1), note(1));
  writer_->commit(change(2), note(2));
  writer_->put_generation({9, 9, "boot"}, note(3));
  writer_->put_generation({10, 9, "boot"}, note(4));
  while (worker_.run_all() + loop_.run_all() > 0) {
  }
  writer_->forget({1});
  writer_->remove_generation(9);
  worker_.run_all();
  auto db = open_state_db(directory_ / "state.db");
  const auto rules = db.load_rules(0);
  ASSERT_EQ(rules->size(), 1u);
  EXPECT_EQ(rules->at(0).value, "s2");
  const auto generations = db.load_generations();
  ASSERT_EQ(generations->size(), 1u);
  EXPECT_EQ(generations->at(0).number, 10u);
}

}  // namespace
