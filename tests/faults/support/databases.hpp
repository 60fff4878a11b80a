// A real PostgreSQL and a real Redis for each harm that may come to a server, and sessions in them. One
// thread.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tests/faults/support/fault_matrix.hpp"
#include "tests/redis/support/redis_server.hpp"
#include "tests/support/postgres_server.hpp"

namespace authcache_test {

class Databases {
 public:
  // "" if both can run here.
  [[nodiscard]] static std::string missing();

  Databases();
  ~Databases();
  Databases(const Databases&) = delete;
  Databases& operator=(const Databases&) = delete;

  [[nodiscard]] std::uint16_t port(Kind kind, Harm harm) const;
  // The token of a session for an hour.
  [[nodiscard]] std::string issue(Kind kind, Harm harm);
  // Lines of a profile that finds it through this port of the loopback address.
  [[nodiscard]] static std::string profile_lines(Kind kind, std::uint16_t port);

  void begin_harm() const;
  void end_harm() const;

 private:
  std::filesystem::path directory_;
  std::map<Harm, std::unique_ptr<PostgresServer>> postgres_;
  std::map<Harm, std::unique_ptr<RedisServer>> redis_;
  unsigned issued_ = 0;
};

}  // namespace authcache_test
