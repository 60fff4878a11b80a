// The HTTP client of one profile: its own connections, circuit breaker and trusted certificates. Loop thread only, or
// before the loop runs. The thread resolves names, which blocks.
#pragma once

#include <memory>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/http_client.hpp"
#include "daemon/io/loop.hpp"
#include "shm/result.hpp"

namespace authcached {

[[nodiscard]] authcache::shm::Result<std::shared_ptr<HttpClient>> make_profile_client(const ProfileConfig& profile, Loop& loop,
                                                                                      Executor& resolver_thread, const Clock& clock);

}  // namespace authcached
