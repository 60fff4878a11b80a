#include "daemon/control/profile_client.hpp"

#include "daemon/io/http/http_client_options.hpp"

namespace authcached {

namespace shm = authcache::shm;

shm::Result<std::shared_ptr<HttpClient>> make_profile_client(const ProfileConfig& profile, Loop& loop, Executor& resolver_thread,
                                                             const Clock& clock) {
  HttpClientOptions options;
  options.ca_file = profile.ca_file;
  auto client = make_http_client(loop, resolver_thread, clock, std::move(options));
  if (!client) return shm::fail(client.error().code, "profile " + profile.name + ": " + client.error().message);
  return client;
}

}  // namespace authcached
