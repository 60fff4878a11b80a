// "Did you mean": the known name that a misspelt one is closest to. Pure; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace authcached {

// The candidate with the fewest single-letter edits, if they are at most a third of its length; letter case
// counts as no edit. Nothing if none is near, or if the name is longer than any sane key.
[[nodiscard]] std::optional<std::string_view> nearest_name(std::string_view name,
                                                           std::span<const std::string_view> candidates);

}  // namespace authcached
