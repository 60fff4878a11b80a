// What happened in one run, as plain data: what tokens there were, what was done to them, what was answered.
// The processes of a run write the flat structs below into shared memory; the checker and the file format see
// the whole.
//
// Times are CLOCK_MONOTONIC in nanoseconds, which all processes of a host share, and *_wall_ns
// CLOCK_REALTIME. An operation took effect, if it did, at one moment of [start_ns, end_ns].
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace authcache_test {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// What a revocation, or the removal of a key from a key set, can be aimed at.
enum class MarkKind : std::uint8_t {
  kToken,
  kJti,
  kSid,
  kSubject,
  kClient,
  kIssuer,
  kKey,
  kEverything,
  kSession,  // `session revoke`: for ever, whatever rules are lifted
  kKeySet,   // the key is in no key set: tokens signed with it are unknown until it is put back
};
inline constexpr std::size_t kMarkKinds = 10;
[[nodiscard]] std::string_view mark_kind_name(MarkKind kind);
// Of these a revocation refuses what was issued up to its moment; of the others everything.
[[nodiscard]] bool spares_later_tokens(MarkKind kind);

// One thing that can be revoked. Two revocations of one mark are one rule.
struct Mark {
  MarkKind kind;
  std::string scope = {};  // the issuer that it is limited to, or ""
  std::string value = {};
};

struct Credential {
  std::string name;
  bool good = true;  // false: never proven by any upstream, so never valid
  std::int64_t issued_from_wall_ns = 0, issued_until_wall_ns = 0;  // when it was issued, as far as is known
  std::int64_t expires_wall_ns = kNever;
  std::vector<std::uint32_t> marks = {};  // whatever of these is revoked refuses this token
};

enum class Outcome : std::uint8_t {
  kDone,    // acknowledged: it took effect
  kFailed,  // answered with an error: it may have
  kLost,    // no answer came: it may have; end_ns is when that was plain, kNever if it never was
};

// A revocation or its lift. Of bulk kinds, tokens issued after not_before_until_wall_ns are surely spared and
// those issued up to not_before_from_wall_ns surely refused.
struct Change {
  std::uint32_t mark = 0;
  bool lifts = false;
  Outcome outcome = Outcome::kDone;
  std::int64_t start_ns = 0, end_ns = kNever;
  std::int64_t not_before_from_wall_ns = 0, not_before_until_wall_ns = 0;
};

enum class Verdict : std::uint8_t { kValid, kMiss, kRevoked, kInvalid, kForbidden, kUnavailable, kFault };
inline constexpr std::size_t kVerdicts = 7;
[[nodiscard]] std::string_view verdict_name(Verdict verdict);

struct Answer {
  std::uint32_t credential = 0;
  std::uint8_t process = 0;
  bool lookup = false;  // else validate
  Verdict verdict = Verdict::kMiss;
  std::int64_t start_ns = 0, end_ns = 0;
};

// What needs no verdict of the checker but explains a history to a reader.
enum class EventKind : std::uint8_t {
  kFlushAll,
  kFlushScoped,
  kSessionCreate,
  kKeyAdded,
  kKeyRemoved,
  kReload,
  kStop,     // SIGTERM
  kKill,     // SIGKILL
  kFault,    // the daemon died at a fault point
  kRestart,  // from its end until the next life listens
  kOutage,   // the session store answered nothing
  kRefreshed,    // records were given later deadlines since the daemon's start
  kServedStale,  // among them some whose upstream could not be asked
  kLogout,       // a logout token was sent; what it revoked is a change
};
inline constexpr std::size_t kEventKinds = 14;
[[nodiscard]] std::string_view event_kind_name(EventKind kind);

struct Event {
  EventKind kind = EventKind::kFlushAll;
  Outcome outcome = Outcome::kDone;
  std::int64_t start_ns = 0, end_ns = 0;
};

struct History {
  std::uint64_t seed = 0;
  std::int64_t wall_minus_monotonic_ns = 0;
  std::int64_t quiet_from_ns = kNever;  // from here on nothing was revoked or restarted
  std::vector<Mark> marks;
  std::vector<Credential> credentials;
  std::vector<Change> changes;
  std::vector<Answer> answers;
  std::vector<Event> events;
};

// A text of one line for each fact. Reading throws std::runtime_error with the line that it cannot read.
[[nodiscard]] std::string history_text(const History& history);
[[nodiscard]] History read_history(std::string_view text);

}  // namespace authcache_test
