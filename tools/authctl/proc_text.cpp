#include "tools/authctl/proc_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace authctl {
namespace {

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

}  // namespace

std::string_view bracketed(std::string_view text) {
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']', open);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

std::optional<std::uint64_t> smaps_kb(std::string_view smaps, std::uint64_t address, std::string_view field) {
  std::array<char, 24> start{};
  std::snprintf(start.data(), start.size(), "%llx-", static_cast<unsigned long long>(address));
  bool inside = false;
  while (!smaps.empty()) {
    const std::string_view line = take_line(smaps);
    // Fields begin with a capital letter, mappings with the lower-case digits of their address.
    const bool is_mapping = !line.empty() && !(line.front() >= 'A' && line.front() <= 'Z');
    if (is_mapping) inside = line.starts_with(start.data());
    if (inside && line.starts_with(field) && line.substr(field.size()).starts_with(':')) {
      return leading_number(line.substr(field.size() + 1));
    }
  }
  return std::nullopt;
}

bool shifts_clocks(std::string_view timens_offsets) {
  return timens_offsets.find_first_of("123456789") != std::string_view::npos;
}

std::optional<std::string> read_text_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return std::nullopt;
  return text;
}

}  // namespace authctl
