// The checker on histories made by hand: it accuses the wrong ones, and none that some order explains.
#include "tests/history/checker.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace authcache_test {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Marks 0 to 9 are one of each kind, in the order of MarkKind; token 0 is good, carries all of them and was
// issued at wall 100 s. The wall clock is the monotonic one.
struct Made {
  History history;

  Made() {
    for (std::size_t kind = 0; kind < kMarkKinds; ++kind) {
      history.marks.push_back({static_cast<MarkKind>(kind), "", "m" + std::to_string(kind)});
    }
    Credential token{
        .name = "t", .issued_from_wall_ns = 100 * kSecond, .issued_until_wall_ns = 100 * kSecond};
    for (std::uint32_t mark = 0; mark < kMarkKinds; ++mark) token.marks.push_back(mark);
    history.credentials.push_back(token);
  }

  Made& change(bool lifts, MarkKind kind, std::int64_t start_ns, std::int64_t end_ns, Outcome outcome) {
    Change change{.mark = static_cast<std::uint32_t>(kind),
                  .lifts = lifts,
                  .outcome = outcome,
                  .start_ns = start_ns,
                  .end_ns = end_ns};
    change.not_before_from_wall_ns = change.not_before_until_wall_ns = not_before_ns;
    history.changes.push_back(change);
    return *this;
  }
  Made& revoke(MarkKind kind, std::int64_t start_ns, std::int64_t end_ns, Outcome outcome = Outcome::kDone) {
    return change(false, kind, start_ns, end_ns, outcome);
  }
  Made& lift(MarkKind kind, std::int64_t start_ns, std::int64_t end_ns, Outcome outcome = Outcome::kDone) {
    return change(true, kind, start_ns, end_ns, outcome);
  }
  Made& answer(Verdict verdict, std::int64_t start_ns, std::int64_t end_ns) {
    history.answers.push_back({.verdict = verdict, .start_ns = start_ns, .end_ns = end_ns});
    return *this;
  }
  // What is wrong with it, "" if nothing is.
  [[nodiscard]] std::string wrong() const {
    std::string names;
    for (const Finding& finding : judge(history).findings) {
      constexpr const char* kNames[] = {"never good ", "expired ", "revoked ", "for nothing ",
                                        "never answered "};
      names += kNames[static_cast<std::size_t>(finding.wrong)];
    }
    return names;
  }

  std::int64_t not_before_ns = 200 * kSecond;
};

TEST(Checker, ValidBeforeDuringAndWithoutARevocationIsRight) {
  EXPECT_EQ(Made().answer(Verdict::kValid, 1, 2).wrong(), "");
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20).answer(Verdict::kValid, 1, 2).wrong(), "");
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20).answer(Verdict::kValid, 11, 12).wrong(), "");
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20).answer(Verdict::kValid, 19, 30).wrong(), "");
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20).answer(Verdict::kValid, 20, 30).wrong(), "");
}

TEST(Checker, ValidAfterAnAcknowledgedRevocationOfEveryKindIsWrong) {
  for (std::size_t kind = 0; kind < kMarkKinds; ++kind) {
    const auto mark = static_cast<MarkKind>(kind);
    EXPECT_EQ(Made().revoke(mark, 10, 20).answer(Verdict::kValid, 21, 22).wrong(), "revoked ")
        << mark_kind_name(mark);
    EXPECT_EQ(Made().revoke(mark, 10, 20).answer(Verdict::kRevoked, 21, 22).wrong(), "")
        << mark_kind_name(mark);
  }
}

TEST(Checker, ARevocationWithoutAnAcknowledgementAccusesNothing) {
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20, Outcome::kFailed).answer(Verdict::kValid, 21, 22).wrong(),
            "");
  EXPECT_EQ(Made().revoke(MarkKind::kToken, 10, 20, Outcome::kLost).answer(Verdict::kValid, 21, 22).wrong(),
            "");
  EXPECT_EQ(
      Made().revoke(MarkKind::kToken, 10, kNever, Outcome::kLost).answer(Verdict::kValid, 21, 22).wrong(),
      "");
}

TEST(Checker, ALiftBetweenOrOverlappingExcuses) {
  const auto with_lift = [](std::int64_t start_ns, std::int64_t end_ns, Outcome outcome = Outcome::kDone) {
    return Made()
        .revoke(MarkKind::kSubject, 10, 20)
        .lift(MarkKind::kSubject, start_ns, end_ns, outcome)
        .answer(Verdict::kValid, 40, 50)
        .wrong();
  };
  EXPECT_EQ(with_lift(25, 30), "");
  EXPECT_EQ(with_lift(5, 12), "");   // may be ordered after the revocation, which began at 10
  EXPECT_EQ(with_lift(45, 60), "");  // may be ordered before the answer
  EXPECT_EQ(with_lift(30, kNever, Outcome::kLost), "");
  EXPECT_EQ(with_lift(30, 35, Outcome::kFailed), "");
  EXPECT_EQ(with_lift(5, 9), "revoked ");    // over before the revocation began
  EXPECT_EQ(with_lift(51, 60), "revoked ");  // begun after the answer
}

TEST(Checker, ALiftOfAnotherMarkExcusesNothing) {
  EXPECT_EQ(Made()
                .revoke(MarkKind::kSubject, 10, 20)
                .lift(MarkKind::kClient, 25, 30)
                .answer(Verdict::kValid, 40, 50)
                .wrong(),
            "revoked ");
}

TEST(Checker, ARevocationAfterTheLiftAccusesAgain) {
  Made made;
  made.revoke(MarkKind::kSid, 10, 20).lift(MarkKind::kSid, 25, 30).revoke(MarkKind::kSid, 31, 35);
  EXPECT_EQ(made.answer(Verdict::kValid, 40, 50).wrong(), "revoked ");
}

TEST(Checker, EachOfTwoMarksMustBeLifted) {
  Made made;
  made.revoke(MarkKind::kSid, 10, 20).revoke(MarkKind::kJti, 10, 20).lift(MarkKind::kSid, 25, 30);
  EXPECT_EQ(made.answer(Verdict::kValid, 40, 50).wrong(), "revoked ");
  EXPECT_EQ(made.lift(MarkKind::kJti, 26, 27).wrong(), "");
}

TEST(Checker, ABulkRevocationAccusesOnlyWhatWasSurelyIssuedBefore) {
  for (std::size_t kind = 0; kind < kMarkKinds; ++kind) {
    const auto mark = static_cast<MarkKind>(kind);
    const bool bulk = spares_later_tokens(mark);
    Made made;
    made.not_before_ns = 100 * kSecond - 1;  // the token was issued at 100 s
    EXPECT_EQ(made.revoke(mark, 10, 20).answer(Verdict::kValid, 21, 22).wrong(), bulk ? "" : "revoked ");
    made.history.changes[0].not_before_from_wall_ns = 100 * kSecond;
    EXPECT_EQ(made.wrong(), "revoked ");
    made.history.credentials[0].issued_until_wall_ns += 1;  // it may have been issued later
    EXPECT_EQ(made.wrong(), bulk ? "" : "revoked ");
  }
}

TEST(Checker, WhatNeverWasGoodIsNeverValid) {
  Made made;
  made.history.credentials[0].good = false;
  EXPECT_EQ(made.answer(Verdict::kInvalid, 1, 2).answer(Verdict::kMiss, 3, 4).wrong(), "");
  EXPECT_EQ(made.answer(Verdict::kValid, 5, 6).wrong(), "never good ");
}

TEST(Checker, ExpiryIsComparedWithTheWallClockAtTheQuestion) {
  Made made;
  made.history.wall_minus_monotonic_ns = 1'000 * kSecond;
  made.history.credentials[0].expires_wall_ns = 1'010 * kSecond;
  EXPECT_EQ(made.answer(Verdict::kValid, 10 * kSecond, 20 * kSecond).wrong(), "");
  EXPECT_EQ(made.answer(Verdict::kValid, 10 * kSecond + 10'000'001, 11 * kSecond).wrong(), "expired ");
}

TEST(Checker, ARefusalNeedsARevocationThatHadBegun) {
  EXPECT_EQ(Made().answer(Verdict::kRevoked, 5, 6).wrong(), "for nothing ");
  EXPECT_EQ(Made().revoke(MarkKind::kJti, 10, 20).answer(Verdict::kRevoked, 5, 6).wrong(), "for nothing ");
  EXPECT_EQ(Made().revoke(MarkKind::kJti, 6, 20, Outcome::kLost).answer(Verdict::kRevoked, 5, 6).wrong(), "");
  Made made;
  made.not_before_ns = 99 * kSecond;
  EXPECT_EQ(made.revoke(MarkKind::kIssuer, 1, 2).answer(Verdict::kRevoked, 5, 6).wrong(), "for nothing ");
}

TEST(Checker, TheQuietWantsEveryFreeTokenValidOnce) {
  Made made;
  made.history.quiet_from_ns = 100;
  EXPECT_EQ(made.answer(Verdict::kUnavailable, 99, 101).wrong(), "");  // began before the quiet
  EXPECT_EQ(made.answer(Verdict::kMiss, 110, 111).wrong(), "never answered ");
  EXPECT_EQ(Made(made).answer(Verdict::kValid, 120, 121).wrong(), "");
  EXPECT_EQ(Made(made).revoke(MarkKind::kToken, 10, 20, Outcome::kLost).wrong(), "");
  EXPECT_EQ(Made(made).revoke(MarkKind::kToken, 10, 20).lift(MarkKind::kToken, 30, 40).wrong(),
            "never answered ");
  EXPECT_EQ(Made(made).revoke(MarkKind::kToken, 10, 20).lift(MarkKind::kToken, 15, 40).wrong(), "");
  made.history.credentials[0].good = false;
  EXPECT_EQ(made.wrong(), "");
}

TEST(Checker, CountsVerdictsAndTheAnswersThatARevocationBearsOn) {
  Made made;
  made.revoke(MarkKind::kToken, 10, 20).lift(MarkKind::kToken, 25, 30);
  made.answer(Verdict::kValid, 1, 2).answer(Verdict::kRevoked, 21, 22).answer(Verdict::kValid, 40, 41);
  const Judgement judgement = judge(made.history);
  EXPECT_EQ(judgement.answers[static_cast<std::size_t>(Verdict::kValid)], 2u);
  EXPECT_EQ(judgement.answers[static_cast<std::size_t>(Verdict::kRevoked)], 1u);
  EXPECT_EQ(judgement.revocation_checks, 1u);
}

TEST(HistoryFile, WhatIsWrittenIsReadAgain) {
  Made made;
  made.history.seed = 18'446'744'073'709'551'615u;
  made.history.quiet_from_ns = 12;
  made.history.marks[3].scope = "https://a.example";
  made.revoke(MarkKind::kEverything, 10, kNever, Outcome::kLost).answer(Verdict::kValid, 21, 22);
  made.history.events.push_back({EventKind::kRestart, Outcome::kFailed, 3, 4});
  const std::string text = history_text(made.history);
  const History again = read_history(text);
  EXPECT_EQ(history_text(again), text);
  EXPECT_EQ(again.seed, made.history.seed);
  EXPECT_EQ(again.marks[3].scope, "https://a.example");
  EXPECT_EQ(again.changes[0].end_ns, kNever);
}

TEST(HistoryFile, ALineThatCannotBeMeantIsNamed) {
  for (const char* text :
       {"seed 1\nwhat 2\n", "seed 1\nanswer lookup 0 0 valid 1 2\n", "seed 1\nchange lift 0 done 1 2 0 0\n",
        "seed 1\nmark soup a b\n", "seed 1\nseed\n"}) {
    try {
      (void)read_history(text);
      FAIL() << text;
    } catch (const std::runtime_error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("line 2: ")) << error.what();
    }
  }
}

TEST(Describe, NamesTheTokenTheMarkAndTheDistance) {
  Made made;
  made.revoke(MarkKind::kSubject, 10, 20).answer(Verdict::kValid, 25, 26);
  const Judgement judgement = judge(made.history);
  ASSERT_EQ(judgement.findings.size(), 1u);
  const std::string text = describe(made.history, judgement.findings[0]);
  EXPECT_TRUE(text.contains("token t,") && text.contains("subject m3") && text.contains("5 ns before"))
      << text;
}

}  // namespace
}  // namespace authcache_test
