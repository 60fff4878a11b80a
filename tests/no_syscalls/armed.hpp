// The two traps of this suite. Armed, this process may make no system call but those that end it (seccomp
// kills the process on any other), and may not allocate (malloc, and with it operator new, ends it).
// Async-signal-safe.
#pragma once

namespace authcache_test {

// For the rest of the process: a filter cannot be taken off. False if the kernel refuses it.
[[nodiscard]] bool forbid_system_calls() noexcept;

// While set, an allocation or a release of memory ends the process with this code.
inline constexpr int kAllocated = 41;
void forbid_allocation(bool forbidden) noexcept;

// How a process that the filter killed shows to its parent.
inline constexpr int kKilledByFilter = 31;  // SIGSYS

}  // namespace authcache_test
