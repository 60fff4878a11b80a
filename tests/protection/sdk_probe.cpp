// An application that lets the environment name the runtime directory: prints where the SDK attached, for
// environment_test.cpp, which runs it with and without the set-user-ID bit.
#include <unistd.h>

#include <cstdio>

#include "libclient/include/authcache/authcache.h"

int main() {
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  authcache_client* client = nullptr;
  if (authcache_open(&options, &client) != AUTHCACHE_OK) {
    std::printf("refused: %s\n", authcache_last_error(nullptr));
    return 1;
  }
  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  if (authcache_status(client, &status) != AUTHCACHE_OK) return 2;
  std::printf("%s %llu uid %u euid %u\n", status.attached != 0 ? "attached" : "unattached",
              static_cast<unsigned long long>(status.attached != 0 ? status.generation : 0), ::getuid(),
              ::geteuid());
  authcache_close(client);
  return 0;
}
