// memcached over a unix socket with memory for all records (-m) and its defaults otherwise. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/memcached_connection.hpp"
#include "bench/server_process.hpp"

namespace authcache_bench {

template <class Value>
class MemcachedPeer {
 public:
  MemcachedPeer(const std::filesystem::path& directory, const std::vector<authcache::shm::Key>& keys,
                const Value& value)
      : server_({"memcached", "-s", (directory / "memcached.sock").string(), "-m", "2048", "-u", "root"},
                directory / "memcached.sock"),
        connection_(directory / "memcached.sock") {
    const std::string_view bytes(reinterpret_cast<const char*>(&value), sizeof value);
    for (const auto& key : keys) connection_.set(key, bytes);
    connection_.flush();
  }

  bool get(const authcache::shm::Key& key, Value& value) {
    return connection_.get(key, &value, sizeof value);
  }
  [[nodiscard]] const ServerProcess& server() const { return server_; }
  [[nodiscard]] std::string version() { return connection_.version(); }

 private:
  ServerProcess server_;
  MemcachedConnection connection_;
};

}  // namespace authcache_bench
