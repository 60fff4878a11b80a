// The requests of authcached.sock: hello, validate, text, watch, unwatch, prove. Loop thread only.
#pragma once

#include "daemon/control/services.hpp"
#include "daemon/io/frame_server.hpp"

namespace authcached {

void handle_miss_frame(Services& services, const std::shared_ptr<Connection>& connection, const authcache::shm::wire::Head& head,
                       std::string_view payload);

}  // namespace authcached
