#include "tools/authctl/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace authctl {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) { return static_cast<std::uint8_t>(text[i]); }

struct Lead {
  std::size_t bytes;
  std::uint8_t mask;
  char32_t least;  // a smaller value in this many bytes is overlong
};

std::optional<Lead> lead_of(std::uint8_t byte) {
  if (byte < 0x80) return Lead{1, 0x7f, 0};
  if (byte >= 0xc2 && byte <= 0xdf) return Lead{2, 0x1f, 0x80};
  if (byte >= 0xe0 && byte <= 0xef) return Lead{3, 0x0f, 0x800};
  if (byte >= 0xf0 && byte <= 0xf4) return Lead{4, 0x07, 0x10000};
  return std::nullopt;
}

template <class... Arguments>
void append_format(std::string& out, const char* format, Arguments... arguments) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), format, arguments...);
  out += text.data();
}

}  // namespace

std::optional<CodePoint> first_code_point(std::string_view text) {
  const auto lead = lead_of(byte_at(text, 0));
  if (!lead || text.size() < lead->bytes) return std::nullopt;
  char32_t value = byte_at(text, 0) & lead->mask;
  for (std::size_t i = 1; i < lead->bytes; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return std::nullopt;
    value = (value << 6) | (byte_at(text, i) & 0x3f);
  }
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < lead->least || value > 0x10ffff || surrogate) return std::nullopt;
  return CodePoint{value, lead->bytes};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto point = first_code_point(text);
    if (!point) return false;
    text.remove_prefix(point->bytes);
  }
  return true;
}

bool acts_on_terminals(char32_t value) {
  struct Range {
    char32_t first, last;
  };
  constexpr std::array<Range, 7> kRanges{{{0x00, 0x1f},
                                          {0x7f, 0x9f},
                                          {0x061c, 0x061c},
                                          {0x200b, 0x200f},
                                          {0x2028, 0x202e},
                                          {0x2060, 0x206f},
                                          {0xfeff, 0xfeff}}};
  return std::ranges::any_of(kRanges, [&](const Range& r) { return value >= r.first && value <= r.last; });
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto point = first_code_point(text);
    if (!point) {
      append_format(out, "\\x%02x", unsigned{byte_at(text, 0)});
    } else if (acts_on_terminals(point->value)) {
      append_format(out, "\\u{%x}", static_cast<unsigned>(point->value));
    } else if (point->value == U'\\') {
      out += "\\\\";
    } else {
      out += text.substr(0, point->bytes);
    }
    text.remove_prefix(point ? point->bytes : 1);
  }
  return out;
}

std::string printable_json(std::string_view json) {
  // Outside of strings JSON is plain ASCII, so whatever is found here stands inside one. None of the ranges
  // is above U+FFFF, so four digits do.
  std::string out;
  while (!json.empty()) {
    const auto point = first_code_point(json);
    const bool layout = json.front() == '\n' || json.front() == '\t' || json.front() == '\r';
    if (!point) {
      out += "\\ufffd";
    } else if (acts_on_terminals(point->value) && !layout) {
      append_format(out, "\\u%04x", static_cast<unsigned>(point->value));
    } else {
      out += json.substr(0, point->bytes);
    }
    json.remove_prefix(point ? point->bytes : 1);
  }
  return out;
}

}  // namespace authctl
