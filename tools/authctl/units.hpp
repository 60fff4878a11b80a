// Durations, sizes and times between people and numbers. Pure functions for any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace authctl {

// Digits only, and nothing that does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

// One whole number and one unit of ms, s, m, h, d: the grammar of the configuration file.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

// The two greatest units that say something: "3d 4h", "12s 40ms", "350us"; "-" in front of negative ones.
[[nodiscard]] std::string duration_text(std::int64_t duration_ns);

// "512 B", "1.5 MiB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

// "2026-03-01T12:00:00Z"; fractions of a second are cut.
[[nodiscard]] std::string wall_time_text(std::int64_t wall_ns);

// Exactly that form back, in nanoseconds; nothing for any other.
[[nodiscard]] std::optional<std::int64_t> parse_wall_time(std::string_view text);

}  // namespace authctl
