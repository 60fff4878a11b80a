#include "tests/history/checker.hpp"

#include <algorithm>
#include <set>
#include <sstream>

namespace authcache_test {

namespace {

// Deadlines are stored a clock tick early, but the tick itself (4 ms, 10 ms with a slow timer) is not seen
// from here.
constexpr std::int64_t kTickNs = 10'000'000;

class Judge {
 public:
  explicit Judge(const History& history)
      : history_(history), revokes_(history.marks.size()), lifts_(history.marks.size()) {
    for (std::size_t i = 0; i < history.changes.size(); ++i) {
      const Change& change = history.changes[i];
      (change.lifts ? lifts_ : revokes_)[change.mark].push_back(i);
    }
  }

  Judgement run() {
    Judgement judgement;
    for (std::size_t i = 0; i < history_.answers.size(); ++i) {
      const Answer& answer = history_.answers[i];
      ++judgement.answers[static_cast<std::size_t>(answer.verdict)];
      if (answer.verdict == Verdict::kValid) {
        if (auto finding = defect_of_valid(i, judgement)) judgement.findings.push_back(*finding);
      } else if (answer.verdict == Verdict::kRevoked && refused_for_nothing(answer)) {
        judgement.findings.push_back({Wrong::kRefusedForNothing, i, std::nullopt});
      }
    }
    judge_the_quiet(judgement);
    return judgement;
  }

 private:
  [[nodiscard]] bool surely_covers(const Change& revoke, const Credential& token) const {
    return !spares_later_tokens(history_.marks[revoke.mark].kind) ||
           token.issued_until_wall_ns <= revoke.not_before_from_wall_ns;
  }

  [[nodiscard]] bool may_cover(const Change& revoke, const Credential& token) const {
    return !spares_later_tokens(history_.marks[revoke.mark].kind) ||
           token.issued_from_wall_ns <= revoke.not_before_until_wall_ns;
  }

  // Whether some lift can be ordered after this revocation and before the end of the answer.
  [[nodiscard]] bool may_be_lifted(const Change& revoke, const Answer& answer) const {
    return std::ranges::any_of(lifts_[revoke.mark], [&](std::size_t i) {
      const Change& lift = history_.changes[i];
      return lift.end_ns >= revoke.start_ns && lift.start_ns <= answer.end_ns;
    });
  }

  std::optional<Finding> defect_of_valid(std::size_t index, Judgement& judgement) const {
    const Answer& answer = history_.answers[index];
    const Credential& token = history_.credentials[answer.credential];
    if (!token.good) return Finding{Wrong::kNeverGood, index, std::nullopt};
    const bool ends = token.expires_wall_ns != kNever;
    if (ends && answer.start_ns + history_.wall_minus_monotonic_ns > token.expires_wall_ns + kTickNs) {
      return Finding{Wrong::kExpired, index, std::nullopt};
    }
    bool was_covered = false;
    for (const std::uint32_t mark : token.marks) {
      for (const std::size_t i : revokes_[mark]) {
        const Change& revoke = history_.changes[i];
        if (revoke.outcome != Outcome::kDone || revoke.end_ns >= answer.start_ns ||
            !surely_covers(revoke, token))
          continue;
        was_covered = true;
        if (!may_be_lifted(revoke, answer)) return Finding{Wrong::kRevoked, index, i};
      }
    }
    judgement.revocation_checks += was_covered ? 1 : 0;
    return std::nullopt;
  }

  [[nodiscard]] bool refused_for_nothing(const Answer& answer) const {
    const Credential& token = history_.credentials[answer.credential];
    if (!token.good) return false;
    return std::ranges::none_of(token.marks, [&](std::uint32_t mark) {
      return std::ranges::any_of(revokes_[mark], [&](std::size_t i) {
        const Change& revoke = history_.changes[i];
        return revoke.start_ns <= answer.end_ns && may_cover(revoke, token);
      });
    });
  }

  // Whether nothing at all can stand against the token at this moment: every revocation that may cover it was
  // lifted by a lift that was acknowledged and began after it had ended.
  [[nodiscard]] bool surely_free(const Credential& token, std::int64_t at_ns) const {
    return std::ranges::none_of(token.marks, [&](std::uint32_t mark) {
      return std::ranges::any_of(revokes_[mark], [&](std::size_t i) {
        const Change& revoke = history_.changes[i];
        if (!may_cover(revoke, token)) return false;
        return std::ranges::none_of(lifts_[mark], [&](std::size_t j) {
          const Change& lift = history_.changes[j];
          return lift.outcome == Outcome::kDone && lift.start_ns > revoke.end_ns && lift.end_ns < at_ns;
        });
      });
    });
  }

  void judge_the_quiet(Judgement& judgement) const {
    std::set<std::uint32_t> seen_valid;
    std::vector<std::pair<std::uint32_t, std::size_t>> wanting;
    for (std::size_t i = 0; i < history_.answers.size(); ++i) {
      const Answer& answer = history_.answers[i];
      if (answer.start_ns < history_.quiet_from_ns) continue;
      const Credential& token = history_.credentials[answer.credential];
      if (answer.verdict == Verdict::kValid) {
        seen_valid.insert(answer.credential);
        continue;
      }
      const bool over = token.expires_wall_ns != kNever &&
                        answer.end_ns + history_.wall_minus_monotonic_ns + kTickNs >= token.expires_wall_ns;
      if (token.good && !over && surely_free(token, answer.start_ns))
        wanting.emplace_back(answer.credential, i);
    }
    for (const auto& [credential, answer] : wanting) {
      if (seen_valid.insert(credential).second)
        judgement.findings.push_back({Wrong::kNeverAnswered, answer, std::nullopt});
    }
  }

  const History& history_;
  std::vector<std::vector<std::size_t>> revokes_, lifts_;  // by mark: indices of changes
};

std::string_view sentence(Wrong wrong) {
  switch (wrong) {
    case Wrong::kNeverGood: return "valid, but this token never was good";
    case Wrong::kExpired: return "valid, but this token had expired before the question";
    case Wrong::kRevoked: return "valid, but a revocation had been acknowledged before the question";
    case Wrong::kRefusedForNothing: return "refused as revoked, but nothing that covers this token had begun";
    case Wrong::kNeverAnswered:
      return "a good token that nothing stands against was not once valid in the quiet";
  }
  return "?";
}

}  // namespace

Judgement judge(const History& history) { return Judge(history).run(); }

std::string describe(const History& history, const Finding& finding) {
  std::ostringstream out;
  const Answer& answer = history.answers[finding.answer];
  out << sentence(finding.wrong) << ": token " << history.credentials[answer.credential].name << ", "
      << (answer.lookup ? "lookup" : "validate") << " of process " << unsigned{answer.process} << " in ["
      << answer.start_ns << ", " << answer.end_ns << "] answered " << verdict_name(answer.verdict);
  if (!finding.change) return out.str();
  const Change& change = history.changes[*finding.change];
  const Mark& mark = history.marks[change.mark];
  out << "; revocation of " << mark_kind_name(mark.kind) << ' ' << mark.value
      << (mark.scope.empty() ? "" : " within ") << mark.scope << " in [" << change.start_ns << ", "
      << change.end_ns << "], acknowledged " << answer.start_ns - change.end_ns << " ns before the question";
  return out.str();
}

}  // namespace authcache_test
