#include "tools/authctl/units.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <limits>

namespace authctl {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t ns;
};
// Greatest first: duration_text takes the first that goes into the number.
constexpr std::array<Unit, 7> kUnits{{{"d", 86'400'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"s", 1'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};
constexpr std::size_t kInputUnits = 5;  // finer ones mean nothing to a configuration or a command

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return number;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  if (!number) return std::nullopt;
  for (std::size_t i = 0; i < kInputUnits; ++i) {
    if (text.substr(digits) != kUnits[i].name) continue;
    if (*number > kLargest / kUnits[i].ns) return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(*number * kUnits[i].ns));
  }
  return std::nullopt;
}

std::string duration_text(std::int64_t duration_ns) {
  const bool negative = duration_ns < 0;
  // Through unsigned: the least number has no positive twin.
  std::uint64_t rest =
      negative ? 0 - static_cast<std::uint64_t>(duration_ns) : static_cast<std::uint64_t>(duration_ns);
  if (rest == 0) return "0s";
  std::string text = negative ? "-" : "";
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    if (rest < kUnits[i].ns) continue;
    text += std::to_string(rest / kUnits[i].ns) + std::string(kUnits[i].name);
    rest %= kUnits[i].ns;
    if (i + 1 < kUnits.size() && rest >= kUnits[i + 1].ns) {
      text += " " + std::to_string(rest / kUnits[i + 1].ns) + std::string(kUnits[i + 1].name);
    }
    break;
  }
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kNames[unit]);
  return text.data();
}

std::string wall_time_text(std::int64_t wall_ns) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  const std::int64_t floored = wall_ns / kNsPerSecond - (wall_ns % kNsPerSecond < 0 ? 1 : 0);
  const std::time_t seconds = floored;
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return std::to_string(wall_ns) + "ns";
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<std::int64_t> parse_wall_time(std::string_view text) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  std::tm parts{};
  const std::string copy(text);
  const char* const end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const std::time_t seconds = ::timegm(&parts);
  std::int64_t wall_ns = 0;
  // strptime is lenient: 31 February would become a day in March.
  if (__builtin_mul_overflow(std::int64_t{seconds}, kNsPerSecond, &wall_ns) || wall_time_text(wall_ns) != text) return std::nullopt;
  return wall_ns;
}

}  // namespace authctl
