// Text from tokens, upstreams and shared memory on its way to a terminal. Whoever chose a subject or a scope
// may have put control sequences into it; here they become visible. Pure functions for any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace authctl {

struct CodePoint {
  char32_t value;
  std::size_t bytes;
};
// The first code point of text (not empty); nothing if its bytes are not UTF-8: truncated, overlong, a
// surrogate.
[[nodiscard]] std::optional<CodePoint> first_code_point(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

// True for what moves the cursor or reorders the line: C0, DEL, C1, line and paragraph separators, bidi
// controls.
[[nodiscard]] bool acts_on_terminals(char32_t value);

// UTF-8 stays; what acts on a terminal becomes \u{9b}, a byte that is no UTF-8 becomes \xff, a backslash
// doubles.
[[nodiscard]] std::string printable(std::string_view text);

// JSON text with the same characters escaped the JSON way, inside its strings; it stays the same document.
[[nodiscard]] std::string printable_json(std::string_view json);

}  // namespace authctl
