#include "daemon/token/numeric_date.hpp"

#include <cmath>

namespace authcached {

std::optional<std::int64_t> numeric_date_ns(const boost::json::value& value, Rounding rounding) {
  std::int64_t seconds = -1;
  if (const std::int64_t* integer = value.if_int64()) {
    seconds = *integer;
  } else if (const double* real = value.if_double()) {
    // Compared as a double before the conversion, which is undefined for what does not fit.
    if (!(*real >= 0) || *real > static_cast<double>(kNumericDateMaxSeconds)) return std::nullopt;
    seconds = static_cast<std::int64_t>(rounding == Rounding::kFloor ? std::floor(*real) : std::ceil(*real));
  }
  // An unsigned 64-bit value arises only beyond 2^63, which is too large anyway.
  if (seconds < 0 || seconds > kNumericDateMaxSeconds) return std::nullopt;
  return seconds * kNanosPerSecond;
}

}  // namespace authcached
