// Which boot this is: a table from an earlier boot holds deadlines of a clock that began again.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shm/result.hpp"

namespace authcache::shm {

using BootId = std::array<std::uint64_t, 2>;

[[nodiscard]] Result<BootId> current_boot_id();
[[nodiscard]] std::string boot_id_text(const BootId& id);  // 32 hex digits

}  // namespace authcache::shm
