// What `validate` exits with. Pure; any thread.
#pragma once

#include <span>

#include "tools/authctl/exit_code.hpp"

namespace authctl {

// Of one verdict (authcache.h) and its reason. Whatever is not a yes is no yes.
[[nodiscard]] Exit exit_of_verdict(int verdict, int reason);

// Of several tokens, the question being whether all of them are valid: one no answers it, else what can't be
// told does.
[[nodiscard]] Exit exit_of_all(std::span<const Exit> exits);

}  // namespace authctl
