// The forms in which a session database may keep lists, moments and flags, read strictly: what cannot be
// understood is reported, never guessed, because a guess could make a session live. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/sqlite.hpp"

namespace authcached {

inline constexpr std::size_t kSessionTextBytesMax =
    4'096;                                           // of one column; a record's text is shorter by far
inline constexpr std::size_t kSessionListMax = 256;  // entries of one list; beyond it is no list of grants

// Space-separated, or a JSON array of strings. Nothing if it is neither, or beyond the bounds.
[[nodiscard]] std::optional<std::vector<std::string>> session_list(std::string_view text);

// Space-separated text of a list whose entries hold no blank.
[[nodiscard]] std::string joined(const std::vector<std::string>& list);

// "YYYY-MM-DD HH:MM:SS" in UTC; a T for the blank, a fraction and a Z behind it may be there. Wall-clock
// nanoseconds.
[[nodiscard]] std::optional<std::int64_t> utc_text_ns(std::string_view text);

// One column of a row. `sound` is false if its type or value is not one that the column may have.
struct TextColumn {
  bool sound;
  std::string text;  // empty for NULL; an integer in decimal
};
[[nodiscard]] TextColumn text_column(const Statement& row, int column);

struct TimeColumn {
  bool sound;
  std::optional<std::int64_t> wall_ns;  // none for NULL
};
enum class TimeUnit : std::uint8_t { kSeconds, kNanoseconds };
[[nodiscard]] TimeColumn time_column(const Statement& row, int column, TimeUnit unit);

// In force only if NULL, 0, "", "0" or "false": everything else, a moment among it, says revoked.
[[nodiscard]] bool revoked_column(const Statement& row, int column);

}  // namespace authcached
