// NumericDate (RFC 7519 section 2) as nanoseconds since the Unix epoch. Fractions are taken and rounded to
// the whole second on the side that shortens a token's life; what could wrap or lose its meaning is refused.
// Pure; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>

namespace authcached {

// The year 2255. Seconds up to here, and a leeway with them, fit into 64 bits of nanoseconds; what lies
// beyond is milliseconds mistaken for seconds, or an attempt to wrap.
inline constexpr std::int64_t kNumericDateMaxSeconds = 9'000'000'000;
inline constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

enum class Rounding : std::uint8_t { kFloor, kCeil };

// Nothing for a value that is not a number, is negative, or lies beyond kNumericDateMaxSeconds.
[[nodiscard]] std::optional<std::int64_t> numeric_date_ns(const boost::json::value& value, Rounding rounding);

}  // namespace authcached
