// The daemon's log: structured records, one line each, to standard error. Only programs log, libraries return
// errors. Any thread, at any time, also before start_log; nothing here throws, and a record that cannot be
// written is lost.
//
// A record is an event name (a constant in snake_case, never built from input) and fields. Under journald
// each line carries its priority prefix; elsewhere it begins with the time. One event name is logged at most
// kLogEventsPerSecond times a second, and what was left out is reported. Audit records are never left out.
// Never pass a token, a secret or a DSN; name a token by the first 8 hex digits of its keyed digest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/log_record.hpp"

namespace authcached {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

[[nodiscard]] std::optional<LogLevel> log_level_from_name(std::string_view name);  // "debug", "info", ...
[[nodiscard]] std::string_view log_level_name(LogLevel level);

struct LogOptions {
  bool journal;        // lines carry <N> instead of the time
  const Clock* clock;  // outlives the log
  std::function<void(std::string_view line)>
      writer;  // empty: standard error. Called under a lock, one line each
};

// Standard error; journal if JOURNAL_STREAM names exactly the stream that standard error is.
[[nodiscard]] LogOptions log_options_from_environment();

// Replaces where records go and forgets all budgets; the level stays. Without it, the environment decides.
void start_log(LogOptions options) noexcept;

void set_log_level(LogLevel level) noexcept;
[[nodiscard]] LogLevel log_level() noexcept;

void log_event(LogLevel level, std::string_view event, LogFields fields = {}) noexcept;

// Reports what was suppressed so far, for a timer and for the end of the program.
void report_suppressed_events() noexcept;

// One revoke, flush, session change or reload: who, what, to what, and how it ended. Logged whatever the
// level.
struct AuditRecord {
  std::int64_t when_wall_ns;
  std::uint32_t peer_uid;
  std::uint32_t peer_gid;
  std::int32_t peer_pid;
  std::string_view what;    // "revoke", "flush", "session_create", "reload", ...
  std::string_view target;  // a public name: a rule's kind and value, a sid; never a token
  std::string_view result;  // "ok", or the error's sentence
};

void audit(const AuditRecord& record) noexcept;

}  // namespace authcached
