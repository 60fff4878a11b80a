#include "daemon/upstream/session_values.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "daemon/token/json.hpp"

namespace authcached {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kSecondsMax =
    9'223'372'035;  // the last whole seconds that nanoseconds in 64 bits can hold
constexpr JsonLimits kListJson{kSessionTextBytesMax, kSessionListMax + 1};

// The digits [at, at + count) as a number, or -1.
int number_at(std::string_view text, std::size_t at, std::size_t count) {
  int number = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    number = number * 10 + (text[i] - '0');
  }
  return number;
}

// ".123456" as nanoseconds; digits beyond the ninth are dropped. -1 if it is no fraction.
std::int64_t fraction_ns(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] != '.' || text.size() < 2) return -1;
  std::int64_t fraction = 0;
  std::int64_t unit = kNsPerSecond / 10;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return -1;
    fraction += (c - '0') * unit;
    unit /= 10;
  }
  return fraction;
}

}  // namespace

std::optional<std::vector<std::string>> session_list(std::string_view text) {
  if (text.size() > kSessionTextBytesMax) return std::nullopt;
  if (text.starts_with('[')) {
    const auto value = parse_json(text, kListJson);
    if (!value) return std::nullopt;
    auto list = strings_of(*value);
    if (!list || list->size() > kSessionListMax) return std::nullopt;
    return list;
  }
  std::vector<std::string> list;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) list.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (list.size() > kSessionListMax) return std::nullopt;
  }
  return list;
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& entry : list) {
    if (!text.empty()) text += ' ';
    text += entry;
  }
  return text;
}

std::optional<std::int64_t> utc_text_ns(std::string_view text) {
  constexpr std::size_t kSecondsEnd = 19;  // of "YYYY-MM-DD HH:MM:SS"
  if (text.size() < kSecondsEnd || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  if (text[10] != ' ' && text[10] != 'T') return std::nullopt;
  const int year = number_at(text, 0, 4), month = number_at(text, 5, 2), day = number_at(text, 8, 2);
  const int hour = number_at(text, 11, 2), minute = number_at(text, 14, 2), second = number_at(text, 17, 2);
  if (year < 1970 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  text.remove_prefix(kSecondsEnd);
  if (text.ends_with('Z')) text.remove_suffix(1);
  const std::int64_t fraction = fraction_ns(text);
  const std::int64_t seconds = std::int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * 86'400 +
                               hour * 3'600 + minute * 60 + second;
  if (fraction < 0 || seconds > kSecondsMax) return std::nullopt;
  return seconds * kNsPerSecond + fraction;
}

TextColumn text_column(const Statement& row, int column) {
  switch (row.type(column)) {
    case ColumnType::kNull: return {true, {}};
    case ColumnType::kInteger: return {true, std::to_string(row.integer(column))};
    case ColumnType::kText: {
      const std::string_view text = row.text(column);
      return {text.size() <= kSessionTextBytesMax, std::string(text.substr(0, kSessionTextBytesMax))};
    }
    default: return {false, {}};
  }
}

TimeColumn time_column(const Statement& row, int column, TimeUnit unit) {
  const ColumnType type = row.type(column);
  if (type == ColumnType::kNull) return {true, std::nullopt};
  if (type == ColumnType::kInteger) {
    const std::int64_t number = row.integer(column);
    if (unit == TimeUnit::kNanoseconds) return {number >= 0, number};
    // Milliseconds by mistake are out of range here, not a session for the next ten thousand years.
    if (number < 0 || number > kSecondsMax) return {false, std::nullopt};
    return {true, number * kNsPerSecond};
  }
  if (unit == TimeUnit::kNanoseconds) return {false, std::nullopt};
  if (type == ColumnType::kReal) {
    const double seconds = row.real(column);
    if (!(seconds >= 0) || seconds > static_cast<double>(kSecondsMax)) return {false, std::nullopt};
    // Rounded down: an end comes no later, and a creation is no newer than it was.
    return {true, static_cast<std::int64_t>(std::floor(seconds * static_cast<double>(kNsPerSecond)))};
  }
  if (type != ColumnType::kText) return {false, std::nullopt};
  const std::optional<std::int64_t> wall_ns = utc_text_ns(row.text(column));
  return {wall_ns.has_value(), wall_ns};
}

bool revoked_column(const Statement& row, int column) {
  switch (row.type(column)) {
    case ColumnType::kNull: return false;
    case ColumnType::kInteger: return row.integer(column) != 0;
    case ColumnType::kReal: return row.real(column) != 0;
    case ColumnType::kText: {
      const std::string_view text = row.text(column);
      return !(text.empty() || text == "0" || text == "false");
    }
    default: return true;
  }
}

}  // namespace authcached
