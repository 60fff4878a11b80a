// How long an answer over HTTP may be used before it is asked for again (RFC 9111), within bounds of our own: a server
// that says nothing, nonsense or "never" costs it a request a minute, and one that says "for ever" is asked daily. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "daemon/io/http_client.hpp"

namespace authcached {

inline constexpr std::int64_t kFreshMinNs = 60'000'000'000;           // not to be asked more often
inline constexpr std::int64_t kFreshMaxNs = 24 * 3'600'000'000'000;   // a withdrawn key is noticed within a day
inline constexpr std::int64_t kFreshUnsaidNs = 600'000'000'000;       // key sets come without caching headers more often than not

// From now on. no-store and no-cache are the least: nothing is written anywhere, and a set has to be used for a while.
// Else max-age less Age, else Expires less Date, else kFreshUnsaidNs. Of several max-age the least counts; what cannot be
// read counts as past.
[[nodiscard]] std::int64_t freshness_ns(std::span<const HttpHeader> headers);

// The value of the ETag header, to be sent back as it is; nothing if it came not once or is none.
[[nodiscard]] std::optional<std::string_view> entity_tag(std::span<const HttpHeader> headers);

}  // namespace authcached
