// Idle connections to the daemon. Any thread; nobody waits: a thread that finds none idle opens its own, and
// one that finds no room closes its own. A connection of another process (this one was forked) is dropped,
// never written to.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "libclient/miss_connection.hpp"

namespace authcache::client {

// Idle ones kept. As many threads rarely miss at one time; each costs the daemon a descriptor.
inline constexpr std::size_t kIdleConnectionsMax = 16;

class ConnectionPool {
 public:
  ConnectionPool() = default;
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;
  ~ConnectionPool();

  // One that this owner opened and whose descriptor still stands for its socket, or nothing.
  [[nodiscard]] std::unique_ptr<MissConnection> take(std::uint64_t owner) noexcept;
  void give(std::unique_ptr<MissConnection> connection) noexcept;

 private:
  std::array<std::atomic<MissConnection*>, kIdleConnectionsMax> idle_{};
};

}  // namespace authcache::client
