// No `valid` was ever wrong: many processes use one daemon that is killed, restarted, delayed and
// reconfigured, and the checker decides what they saw. And the checker finds a daemon that is broken: each of
// those cases expects it to.
//
// AUTHCACHE_HISTORY_OPERATIONS (100000) is how many questions the clients ask, AUTHCACHE_SEED draws what
// happens. On failure the history is kept, and `history_check FILE` decides it again.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "tests/history/checker.hpp"
#include "tests/history/plan.hpp"
#include "tests/history/run.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kOperations = 100'000;  // of one run; more are several runs, each with its own seed
constexpr std::chrono::seconds kDuration{17};  // of one such run: operators and restarts must have their time

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t seed() {
  static const std::uint64_t chosen =
      number_from_environment("AUTHCACHE_SEED", std::random_device{}() % 1'000'000);
  return chosen;
}

struct Counts {
  std::array<std::size_t, kMarkKinds> revoked{}, lifted{};  // acknowledged
  std::array<std::size_t, kEventKinds> events{};
  std::size_t lost = 0, failed = 0, lookups = 0;

  explicit Counts(const History& history) {
    for (const Change& change : history.changes) {
      lost += change.outcome == Outcome::kLost ? 1 : 0;
      failed += change.outcome == Outcome::kFailed ? 1 : 0;
      if (change.outcome == Outcome::kDone)
        ++(change.lifts ? lifted : revoked)[static_cast<std::size_t>(history.marks[change.mark].kind)];
    }
    for (const Event& event : history.events) ++events[static_cast<std::size_t>(event.kind)];
    for (const Answer& answer : history.answers) lookups += answer.lookup ? 1 : 0;
  }
};

void print(const History& history, const Judgement& judgement, const Counts& counts) {
  std::cout << "seed " << history.seed << ": " << history.answers.size() << " answers (" << counts.lookups
            << " lookups):";
  for (std::size_t i = 0; i < kVerdicts; ++i)
    std::cout << ' ' << verdict_name(static_cast<Verdict>(i)) << ' ' << judgement.answers[i];
  std::cout << "\n  revoked/lifted:";
  for (std::size_t i = 0; i < kMarkKinds; ++i) {
    std::cout << ' ' << mark_kind_name(static_cast<MarkKind>(i)) << ' ' << counts.revoked[i] << '/'
              << counts.lifted[i];
  }
  std::cout << ", lost " << counts.lost << ", failed " << counts.failed << "\n  events:";
  for (std::size_t i = 0; i < kEventKinds; ++i)
    std::cout << ' ' << event_kind_name(static_cast<EventKind>(i)) << ' ' << counts.events[i];
  std::cout << "\n  valid answers about a token that had been revoked and lifted: "
            << judgement.revocation_checks << std::endl;
}

std::string keep(const History& history) {
  const auto file =
      std::filesystem::temp_directory_path() / ("authcache-history-" + std::to_string(history.seed) + ".txt");
  write_file(file, history_text(history));
  return file.string();
}

std::string tail(const std::string& log) {
  return log.substr(log.size() - std::min<std::size_t>(log.size(), 3'000));
}

void expect_share(std::size_t part, std::size_t whole, double least, std::string_view what) {
  EXPECT_GE(static_cast<double>(part), least * static_cast<double>(whole))
      << what << " are " << part << " of " << whole;
}

// A run in which little happened shows little.
void expect_that_much_happened(const Judgement& judgement, const Counts& counts, std::size_t answers) {
  const auto of = [&](Verdict verdict) { return judgement.answers[static_cast<std::size_t>(verdict)]; };
  expect_share(of(Verdict::kValid), answers, 0.05, "valid answers");
  expect_share(of(Verdict::kRevoked), answers, 0.02, "answers that name a revocation");
  expect_share(of(Verdict::kUnavailable), answers, 0.0005, "unavailable answers");
  EXPECT_GT(of(Verdict::kInvalid), 0u);
  EXPECT_EQ(of(Verdict::kFault), 0u);
  EXPECT_EQ(of(Verdict::kForbidden), 0u);
  EXPECT_GT(judgement.revocation_checks, 100u);
  for (std::size_t kind = 0; kind < kMarkKinds; ++kind) {
    EXPECT_GE(counts.revoked[kind], 2u) << mark_kind_name(static_cast<MarkKind>(kind));
    if (static_cast<MarkKind>(kind) == MarkKind::kSession) continue;
    EXPECT_GE(counts.lifted[kind], 2u) << mark_kind_name(static_cast<MarkKind>(kind));
  }
  for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
    const auto event = static_cast<EventKind>(kind);
    if (event == EventKind::kKill || event == EventKind::kFault) continue;  // one of the two
    EXPECT_GE(counts.events[kind], 1u) << event_kind_name(event);
  }
  EXPECT_GE(counts.events[static_cast<std::size_t>(EventKind::kKill)] +
                counts.events[static_cast<std::size_t>(EventKind::kFault)],
            1u);
}

TEST(Histories, NoValidAnswerIsWrongWhateverIsRevokedRotatedReplacedOrKilled) {
  const std::uint64_t operations = number_from_environment("AUTHCACHE_HISTORY_OPERATIONS", kOperations);
  const std::uint64_t runs = std::max<std::uint64_t>(1, (operations + kOperations - 1) / kOperations);
  std::cout << operations << " operations in " << runs << " runs, AUTHCACHE_SEED=" << seed() << std::endl;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const RunResult run =
        run_history({.seed = seed() + i, .operations = operations / runs, .duration = kDuration});
    const Judgement judgement = judge(run.history);
    const Counts counts(run.history);
    print(run.history, judgement, counts);
    for (std::size_t at = 0; at < std::min<std::size_t>(10, judgement.findings.size()); ++at) {
      ADD_FAILURE() << describe(run.history, judgement.findings[at]);
    }
    EXPECT_EQ(run.trouble, "");
    expect_that_much_happened(judgement, counts, run.history.answers.size());
    if (HasFailure())
      FAIL() << "seed " << seed() + i << "; the history is kept in " << keep(run.history) << '\n'
             << tail(run.log);
  }
}

TEST(Plan, TheSameSeedGivesTheSamePlan) {
  const auto text_of = [](std::uint64_t seed) {
    const Plan plan(seed, 1'800'000'000'000'000'000, 17s);
    std::string text = history_text({.marks = plan.marks(),
                                     .credentials = plan.credentials(),
                                     .changes = {},
                                     .answers = {},
                                     .events = {}});
    for (std::uint32_t slot = 0; slot < Plan::kSessions; ++slot)
      text += plan.session(slot).subject + plan.session(slot).client;
    return text;
  };
  const std::string one = text_of(seed());
  EXPECT_EQ(text_of(seed()), one);
  EXPECT_NE(text_of(seed() + 1), one);
}

struct Broken {
  const char* breakage;
  std::chrono::milliseconds between_restarts;
  std::vector<MarkKind> shows_at;  // the revocations that it makes void, or any if empty
};

void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.breakage; }

class BrokenDaemon : public testing::TestWithParam<Broken> {};

TEST_P(BrokenDaemon, IsFound) {
  const RunResult run = run_history({.seed = seed(),
                                     .operations = 60'000,
                                     .duration = std::chrono::seconds(12),
                                     .breakage = GetParam().breakage,
                                     .between_restarts = GetParam().between_restarts,
                                     .has_calm = false,
                                     .until_wrong = true});
  const Judgement judgement = judge(run.history);
  print(run.history, judgement, Counts(run.history));
  const bool found = std::ranges::any_of(judgement.findings, [&](const Finding& finding) {
    if (finding.wrong != Wrong::kRevoked) return false;
    const MarkKind kind = run.history.marks[run.history.changes[*finding.change].mark].kind;
    return GetParam().shows_at.empty() ||
           std::ranges::find(GetParam().shows_at, kind) != GetParam().shows_at.end();
  });
  EXPECT_TRUE(found) << "the checker has nothing against a daemon with " << GetParam().breakage;
  if (!judgement.findings.empty())
    std::cout << "found: " << describe(run.history, judgement.findings.front()) << std::endl;
}

// A restart asks every rule and every key anew, so what only they would mend shows where there is none; what
// is not durable shows after one.
INSTANTIATE_TEST_SUITE_P(Histories, BrokenDaemon,
                         testing::Values(Broken{"rules_unasked", 10s, {}}, Broken{"nothing_killed", 10s, {}},
                                         Broken{"early_answer", 600ms, {}},
                                         Broken{"keys_stay", 60s, {MarkKind::kKeySet, MarkKind::kKey}}),
                         [](const auto& chosen) { return std::string(chosen.param.breakage); });

}  // namespace
}  // namespace authcache_test
