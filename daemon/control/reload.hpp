// Reads the configuration again and puts it into force, or keeps the old one and says why. Loop thread only.
#pragma once

#include "daemon/control/profile_factory.hpp"
#include "daemon/control/services.hpp"

namespace authcached {

// done runs after the records of every profile id that is no longer current are dead, and after no record grants any more
// what a role's definition took away.
void reload(Services& services, Config& config, Profiles& profiles, ProfileFactory& factory,
            std::move_only_function<void(authcache::shm::Result<ReloadReport>)> done);

}  // namespace authcached
