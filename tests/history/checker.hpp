// Was any `valid` wrong? A pure function over a history, so that a recorded one is decided anew at any time.
//
// It flags only what no order of the operations explains that agrees with their times. A `valid` within [s,
// e] is wrong if its token never was good, or had expired before s, or if some revocation that covers the
// token was acknowledged before s and no lift of the same mark can come after that revocation and before e.
// Such a lift is one that ended after the revocation began and began before e: the two can be ordered so. A
// lift or a revocation without an acknowledgement may or may not have happened: it can excuse a `valid` and
// cannot accuse one. Flushes, restarts, reloads,
// replacements, refreshes and outages excuse nothing.
//
// Beside safety: a refusal as revoked with no revocation that it could come from, and a good token that in
// the quiet end of a run is never answered valid.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/history/history.hpp"

namespace authcache_test {

enum class Wrong : std::uint8_t {
  kNeverGood,          // valid, and no upstream ever proved it
  kExpired,            // valid, after its end
  kRevoked,            // valid, after an acknowledged revocation
  kRefusedForNothing,  // refused as revoked, and nothing that covers it had begun
  kNeverAnswered,      // good and unrevoked, and in the quiet at the end not once valid
};

struct Finding {
  Wrong wrong;
  std::size_t answer;                 // its index in the history
  std::optional<std::size_t> change;  // the revocation that it defies
};

struct Judgement {
  std::vector<Finding> findings;
  std::array<std::size_t, kVerdicts> answers{};  // how many of each verdict
  std::size_t revocation_checks =
      0;  // valid answers whose token was covered by an acknowledged revocation, ever
};

[[nodiscard]] Judgement judge(const History& history);
// What the finding says, with the operations that it rests on.
[[nodiscard]] std::string describe(const History& history, const Finding& finding);

}  // namespace authcache_test
