#include "libclient/connection_pool.hpp"

namespace authcache::client {

ConnectionPool::~ConnectionPool() {
  for (auto& place : idle_) delete place.load();
}

std::unique_ptr<MissConnection> ConnectionPool::take(std::uint64_t owner) noexcept {
  for (auto& place : idle_) {
    // Acquire pairs with give(): the connection's members as its last user left them.
    std::unique_ptr<MissConnection> connection(place.exchange(nullptr, std::memory_order_acquire));
    if (connection && connection->owner() == owner && connection->is_ours()) return connection;
  }
  return nullptr;
}

void ConnectionPool::give(std::unique_ptr<MissConnection> connection) noexcept {
  for (auto& place : idle_) {
    MissConnection* expected = nullptr;
    if (place.compare_exchange_strong(expected, connection.get(), std::memory_order_release,
                                      std::memory_order_relaxed)) {
      (void)connection.release();
      return;
    }
  }
}

}  // namespace authcache::client
