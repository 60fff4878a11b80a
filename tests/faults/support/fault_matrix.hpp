// The fault matrix: which faults there are, what each upstream is expected to say under each, and what was
// seen, printed as one line a cell. To add a policy, add it to `policies`: it has lines of configuration and
// expectations of its own.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/support/fault_proxy.hpp"
#include "tests/faults/support/lying_issuer.hpp"

namespace authcache_test {

// What is asked about, and of whom.
enum class Kind : std::uint8_t {
  kFirstKeys,      // jwks: a key set never fetched so far, found by the issuer's metadata
  kNewKey,         // jwks: a key that the last good set lacks
  kIntrospection,  // a token not asked about so far
  kPostgresql,     // a session not asked about so far; without TLS, as in a host's own network
  kRedis,          // the same
};
inline constexpr std::array kKinds{Kind::kFirstKeys, Kind::kNewKey, Kind::kIntrospection, Kind::kPostgresql,
                                   Kind::kRedis};
[[nodiscard]] constexpr bool is_database(Kind kind) { return kind >= Kind::kPostgresql; }
[[nodiscard]] constexpr bool is_keyed(Kind kind) { return kind <= Kind::kNewKey; }

// What happens to the server itself.
enum class Harm : std::uint8_t { kNone, kStopped, kKilled };
inline constexpr std::array kHarms{Harm::kNone, Harm::kStopped, Harm::kKilled};

enum class Certificate : std::uint8_t { kGood, kOtherName, kOtherAuthority, kExpired };

struct Fault {
  std::string_view name;
  Trouble trouble = Trouble::kNone;
  Lie lie = Lie::kNone;  // of who is found elsewhere
  Certificate certificate = Certificate::kGood;
  Harm harm = Harm::kNone;
  // By Kind; "" where the two do not meet.
  std::array<std::string_view, kKinds.size()> expected{"unavailable", "unavailable", "unavailable",
                                                       "unavailable", "unavailable"};
  // What the same token is once the fault is over.
  std::array<std::string_view, kKinds.size()> afterwards{"valid", "valid", "valid", "valid", "valid"};
  // What a token that was valid before is said to be if its upstream has to be asked; "" where the fault ends
  // by itself, and so nothing can be expected.
  std::string_view known = "unavailable";
};
[[nodiscard]] std::span<const Fault> faults();

// What becomes of a token that was valid before the fault.
enum class Known : std::uint8_t {
  kKept,   // its record outlives the fault: lookups go on to find it
  kEnds,   // its record's time is over within the fault, and no window follows
  kStale,  // within the window
  kWindowOver,
};

struct Policy {
  std::string_view name;
  std::string_view lines;  // of every profile that introspects
  Known known;
};
inline constexpr std::array kPolicies{
    Policy{"fail closed", "ttl_max = \"5m\"\nnegative_ttl = \"1s\"\n", Known::kKept},
    Policy{"fail closed, 1 s", "ttl_max = \"1s\"\nnegative_ttl = \"1s\"\n", Known::kEnds},
    Policy{"stale for 1 m", "ttl_max = \"1s\"\nnegative_ttl = \"1s\"\nstale_if_error = \"1m\"\n",
           Known::kStale},
    Policy{"stale for 1 s", "ttl_max = \"1s\"\nnegative_ttl = \"1s\"\nstale_if_error = \"1s\"\n",
           Known::kWindowOver}};
// By then a record of a second's life and a window of one are over, whatever was under way when the fault
// began.
inline constexpr std::chrono::seconds kWindowsOver{5};

struct Cell {
  const Fault* fault = nullptr;
  const Policy* policy = nullptr;
  Kind kind = Kind::kFirstKeys;
  std::string profile;  // its own
  std::size_t gate = 0;
  // What may be valid; what never is; what was valid before the fault; jwks: what the last good set proves.
  std::string token, forged, known, old_key;

  std::string seen, seen_afterwards, named;
  std::string known_seen;         // `known` in the last round, by asking
  unsigned asked = 0;             // during the fault
  unsigned hits = 0, misses = 0;  // lookups of `known`
  unsigned remembered = 0;        // lookups that found a refusal where only `unavailable` had been said
  unsigned false_valid = 0;
  std::chrono::steady_clock::time_point ended{};
  std::optional<std::chrono::milliseconds> recovery;

  [[nodiscard]] std::string_view expected() const {
    return fault->expected.at(static_cast<std::size_t>(kind));
  }
  // Of `known` in the last round; "" for nothing in particular.
  [[nodiscard]] std::string_view known_expected() const {
    if (known.empty() || policy->known == Known::kKept) return "";
    return policy->known == Known::kStale && fault->known == "unavailable" ? "valid" : fault->known;
  }
  [[nodiscard]] std::string_view afterwards() const {
    return fault->afterwards.at(static_cast<std::size_t>(kind));
  }
};

// What is judged together: as many cells as a daemon may have profiles.
struct Group {
  std::span<const Policy> policies;
  bool databases;
};
// One cell for each policy, fault and kind that meet: key sets know but the first policy, and so does a fault
// that the first question ends.
[[nodiscard]] std::vector<Cell> all_cells(const Group& group);
void print(std::span<const Cell> cells);

}  // namespace authcache_test
