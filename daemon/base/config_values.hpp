// The two kinds of value that TOML has no type for: durations ("500ms", "2s", "5m", "24h", "7d") and sizes
// ("64KiB"). Pure functions for any thread. One number, one unit, nothing else: no sign, fraction, space or
// second part, so that a value has one meaning for every reader.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace authcached {

// Units ms, s, m, h, d. Nothing if the text is not a duration or does not fit.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// Units B, KiB, MiB, GiB. Nothing if the text is not a size or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

// The same duration in the greatest unit that needs no fraction: 60000 ms is "1m". Negative ones do not
// occur.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

}  // namespace authcached
