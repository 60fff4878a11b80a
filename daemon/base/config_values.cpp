#include "daemon/base/config_values.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace authcached {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Greatest first: format_duration takes the first that divides.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizeUnits{{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};

template <std::size_t N>
std::optional<std::uint64_t> parse_amount(std::string_view text, const std::array<Unit, N>& units,
                                          std::uint64_t largest) {
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  for (const Unit& unit : units) {
    if (suffix != unit.name) continue;
    if (number > largest / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto amount = parse_amount(text, kDurationUnits, kLargest);
  if (!amount) return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(*amount)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_amount(text, kSizeUnits, std::numeric_limits<std::uint64_t>::max());
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto total = static_cast<std::uint64_t>(duration.count());
  if (total == 0) return "0s";
  for (const Unit& unit : kDurationUnits) {
    if (total % unit.factor == 0) return std::to_string(total / unit.factor) + std::string(unit.name);
  }
  return std::to_string(total) + "ms";
}

}  // namespace authcached
