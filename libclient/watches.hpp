// A client's watches across fork: see per_process.hpp. A child begins without watches.
#pragma once

#include "libclient/per_process.hpp"
#include "libclient/watch_set.hpp"

namespace authcache::client {

using Watches = PerProcess<WatchSet>;

}  // namespace authcache::client
