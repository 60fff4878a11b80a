// SHA-256 of bytes in hand. Any thread; keeps nothing between calls and cannot fail.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/base/proof.hpp"

namespace authcached {

[[nodiscard]] Sha256 sha256(std::span<const std::uint8_t> bytes);
[[nodiscard]] Sha256 sha256(std::string_view text);

}  // namespace authcached
