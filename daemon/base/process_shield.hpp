// What the daemon takes from itself before it reads anything: the rights that no part of it uses, and the
// ways by which its memory could leave it. Identities, questions under way and the hashes of revoked tokens
// lie in that memory.
//
// Called once, by main, before the first thread: threads started later inherit all of it. What a service
// manager sets besides (its own user, directories, limits) stands in the unit.
#pragma once

#include "shm/result.hpp"

namespace authcached {

// A program that runs with rights its caller does not have (setuid, setgid, file capabilities): the command
// line, the configuration and the environment are then the caller's, who must not decide for somebody else.
// Asked before any of them is looked at.
[[nodiscard]] bool has_borrowed_rights();

// No core file, no tracing by this user's other processes, private files, no privileges gained by executing
// something, and a filter that refuses (EPERM) the system calls by which a process becomes, reads or reshapes
// another.
[[nodiscard]] authcache::shm::Result<void> shield_process();

}  // namespace authcached
