// The checksum of a record: all that a hit or a text read believes, without the control and deadline words, which
// change in place. It is checked when a file is adopted, not on a hit: it finds stray writes, it is
// not a proof against a forger (who would need to be the daemon's user).
#pragma once

#include <array>
#include <string_view>

#include "shm/table_reader.hpp"

namespace authcache::shm {

[[nodiscard]] std::uint64_t record_checksum(const HotRecord& hot, const ColdRecord& cold, std::string_view text,
                                            const std::array<std::uint64_t, kSecretWords>& secret);

}  // namespace authcache::shm
