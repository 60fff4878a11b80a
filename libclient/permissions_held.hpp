// Which of a requirement's permissions one record holds: for callers that have validated a token once and ask many things
// of it. Any thread, signal handlers too: no system call, no allocation, no lock, a bounded number of steps.
#pragma once

#include <cstdint>

#include "libclient/lookup.hpp"

namespace authcache::client {

// Finds the record at its place, as look_at_key does, and judges everything that the question's requirement asks but its
// permissions. If that is valid, so is the answer, and bit i of `held` says whether the record holds the requirement's i-th
// permission; else `held` is 0.
void look_at_permissions(const Attachment& table, const Question& question, const shm::Key& key, const shm::Place& place,
                         Answer& answer, std::uint64_t& held) noexcept;

}  // namespace authcache::client
