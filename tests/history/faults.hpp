// What may go wrong in the daemon that histories run against, and how it may be broken on purpose. Both are
// chosen by the environment, once, before the daemon starts; from then on any thread may ask.
//
// AUTHCACHE_HISTORY_FAULTS holds a seed, or nothing for none: at the fault points, around each signature
// check and around each commit the daemon sleeps a little or dies by SIGKILL, as the seed draws it.
// AUTHCACHE_HISTORY_BREAKAGE names one defect, to see that the checker finds it.
// AUTHCACHE_HISTORY_OUTAGE names a file: while it is there, the session store answers nothing.
// AUTHCACHE_HISTORY_CALM names a file: while it is there, the daemon does not die.
#pragma once

#include <cstdint>

namespace authcache_test {

enum class Breakage : std::uint8_t {
  kNone,
  kRulesUnasked,   // "rules_unasked": no admission asks the rules
  kNothingKilled,  // "nothing_killed": a revocation leaves the records that are in the table
  kEarlyAnswer,    // "early_answer": a revocation is acknowledged, and neither database nor table learn of it
  kKeysStay,       // "keys_stay": a key that leaves its set does not void its records
};

void choose_faults_from_environment();
[[nodiscard]] Breakage breakage();
[[nodiscard]] bool outage();

// How often, in a million, a place sleeps or dies.
struct Odds {
  std::uint32_t sleep, die;
};
inline constexpr Odds kAroundResolving{30'000, 250};    // thousands of flights in a run
inline constexpr Odds kAroundRevoking{150'000, 1'500};  // hundreds of revocations
inline constexpr Odds kAroundCommits{200'000, 600};
inline constexpr Odds kAroundChecks{60'000,
                                    0};  // on the pool: a flight that lasts longer than its neighbours

void meet_fate(Odds odds);

}  // namespace authcache_test
