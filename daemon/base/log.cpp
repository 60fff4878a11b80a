#include "daemon/base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "daemon/base/log_budget.hpp"

namespace authcached {
namespace {

struct LevelNames {
  LogLevel level;
  std::string_view name;
  spdlog::level::level_enum spdlog_level;
  char priority;  // syslog's, as journald's line prefix takes it
};

constexpr std::array<LevelNames, 4> kLevels{{{LogLevel::kDebug, "debug", spdlog::level::debug, '7'},
                                             {LogLevel::kInfo, "info", spdlog::level::info, '6'},
                                             {LogLevel::kWarning, "warning", spdlog::level::warn, '4'},
                                             {LogLevel::kError, "error", spdlog::level::err, '3'}}};
constexpr char kAuditPriority = '5';  // notice: normal, and worth keeping

const LevelNames& names_of(LogLevel level) {
  const auto index = static_cast<std::size_t>(level);
  return index < kLevels.size() ? kLevels[index] : kLevels.back();
}

// Hands each line to a function instead of standard error. The base class holds its mutex around the calls.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WriterSink(std::function<void(std::string_view)> writer) : writer_(std::move(writer)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    writer_({message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

  std::function<void(std::string_view)> writer_;
};

// Everything that start_log replaces at once.
class Log {
 public:
  explicit Log(LogOptions options)
      : journal_(options.journal), clock_(*options.clock), logger_("authcached") {
    if (options.writer) {
      logger_.sinks().push_back(std::make_shared<WriterSink>(std::move(options.writer)));
    } else {
      logger_.sinks().push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    }
    logger_.set_pattern("%v");
    logger_.set_level(spdlog::level::trace);  // the level is ours to judge: audit records have none
    logger_.flush_on(spdlog::level::trace);
    // A failed write would otherwise be reported on the stream that just failed.
    logger_.set_error_handler([](const std::string&) {});
  }

  void event(LogLevel level, std::string_view event, LogFields fields) {
    const std::int64_t now_ns = clock_.monotonic_ns();
    bool admitted = false;
    std::vector<SuppressedEvents> suppressed;
    {
      const std::lock_guard lock(budget_mutex_);
      suppressed = budget_.take_suppressed(now_ns);
      admitted = budget_.admit(event, now_ns);
    }
    report(suppressed);
    if (!admitted) return;
    std::string line = opening(names_of(level).priority, names_of(level).name, event);
    std::size_t count = 0;
    for (const LogField& field : fields) {
      if (++count > kLogFieldsMax) break;
      append_json_field(line, field);
    }
    write(names_of(level).spdlog_level, line);
  }

  void audit(const AuditRecord& record) {
    std::string line = opening(kAuditPriority, "notice", "audit");
    const std::string when = format_wall_time(record.when_wall_ns);  // outlives the fields that borrow it
    for (const LogField& field : {LogField{"when", when}, LogField{"peer_uid", record.peer_uid},
                                  LogField{"peer_gid", record.peer_gid},
                                  LogField{"peer_pid", record.peer_pid}, LogField{"what", record.what},
                                  LogField{"target", record.target}, LogField{"result", record.result}}) {
      append_json_field(line, field);
    }
    write(spdlog::level::critical, line);
  }

  void report_all_suppressed() {
    std::vector<SuppressedEvents> suppressed;
    {
      const std::lock_guard lock(budget_mutex_);
      suppressed = budget_.take_suppressed(clock_.monotonic_ns(), true);
    }
    report(suppressed);
  }

 private:
  std::string opening(char priority, std::string_view level, std::string_view event) const {
    std::string line;
    if (journal_) {
      line.append({'<', priority, '>', '{'});
    } else {
      line.append("{\"time\":\"").append(format_wall_time(clock_.wall_ns())).append("\",");
    }
    line.append("\"level\":\"").append(level).append("\",\"event\":");
    append_json_text(line, event);
    return line;
  }

  void report(const std::vector<SuppressedEvents>& suppressed) {
    for (const SuppressedEvents& events : suppressed) {
      std::string line = opening('4', "warning", "events_suppressed");
      append_json_field(line, {"suppressed_event", events.event});
      append_json_field(line, {"count", events.count});
      write(spdlog::level::warn, line);
    }
  }

  void write(spdlog::level::level_enum level, std::string& line) {
    line.push_back('}');
    logger_.log(level, spdlog::string_view_t(line.data(), line.size()));
  }

  const bool journal_;
  const Clock& clock_;
  spdlog::logger logger_;
  std::mutex budget_mutex_;
  LogBudget budget_;
};

std::atomic<LogLevel> current_level{LogLevel::kInfo};

// Shared, so that a thread still writing keeps the log that it began with. Never destroyed: threads may log
// while static objects are torn down.
struct CurrentLog {
  std::mutex mutex;
  std::shared_ptr<Log> log;
};

CurrentLog& holder() {
  static auto* const current = new CurrentLog;
  return *current;
}

std::shared_ptr<Log> current_log() {
  CurrentLog& current = holder();
  const std::lock_guard lock(current.mutex);
  if (!current.log) current.log = std::make_shared<Log>(log_options_from_environment());
  return current.log;
}

// Only for what may fail by running out of memory: then a record is lost, not the daemon.
template <class Action>
void without_throwing(Action action) noexcept {
  try {
    action();
  } catch (...) {  // NOLINT(bugprone-empty-catch): there is nowhere left to tell it
  }
}

}  // namespace

std::optional<LogLevel> log_level_from_name(std::string_view name) {
  for (const LevelNames& names : kLevels) {
    if (names.name == name) return names.level;
  }
  return std::nullopt;
}

std::string_view log_level_name(LogLevel level) { return names_of(level).name; }

LogOptions log_options_from_environment() {
  // systemd sets "device:inode" of the stream that it gave; a redirected standard error is not that stream.
  const char* const stream = ::secure_getenv("JOURNAL_STREAM");
  struct stat found {};
  const bool journal = stream != nullptr && ::fstat(STDERR_FILENO, &found) == 0 &&
                       stream == std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
  return {journal, &system_clock(), {}};
}

void start_log(LogOptions options) noexcept {
  without_throwing([&] {
    auto log = std::make_shared<Log>(std::move(options));
    CurrentLog& current = holder();
    const std::lock_guard lock(current.mutex);
    current.log = std::move(log);
  });
}

void set_log_level(LogLevel level) noexcept { current_level.store(level, std::memory_order_relaxed); }
LogLevel log_level() noexcept { return current_level.load(std::memory_order_relaxed); }

void log_event(LogLevel level, std::string_view event, LogFields fields) noexcept {
  if (level < log_level()) return;
  without_throwing([&] { current_log()->event(level, event, fields); });
}

void report_suppressed_events() noexcept {
  without_throwing([] { current_log()->report_all_suppressed(); });
}

void audit(const AuditRecord& record) noexcept {
  without_throwing([&] { current_log()->audit(record); });
}

}  // namespace authcached
