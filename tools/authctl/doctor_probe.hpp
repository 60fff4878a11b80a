// Gathers the facts for doctor from this machine: reads /proc and /sys, opens the table, asks the daemon.
// Changes nothing. Blocks for the call's timeout at most. One thread.
#pragma once

#include "tools/authctl/call.hpp"
#include "tools/authctl/doctor_checks.hpp"

namespace authctl {

[[nodiscard]] HostFacts probe_host(const Call& call);

}  // namespace authctl
