// A real redis-server of one test: on a unix socket and on a loopback port, without a disk, gone with this
// object. One thread.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/process/support/child_process.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_ca.hpp"

namespace authcache_test {

// Arguments are binary safe. Printed as text: an integer in decimal, an array's elements with blanks between
// them, nil as "(nil)", an error as "(error) ...", a lost connection as "(lost)".
class RedisLink {
 public:
  explicit RedisLink(const std::filesystem::path& socket);
  std::string operator()(const std::vector<std::string>& arguments);

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

class RedisServer {
 public:
  // "" if redis-server is installed; else what to do.
  [[nodiscard]] static std::string missing();

  // Further arguments as on its command line, such as {"--requirepass", "x"}.
  explicit RedisServer(std::vector<std::string> arguments = {});
  // The TLS port replaces the plain one.
  RedisServer(const authcached::testing::TestCa& ca, const authcached::testing::Leaf& leaf,
              std::vector<std::string> arguments = {});

  void start();  // returns once it answers
  void stop();   // SIGTERM, and waits
  void kill();
  void suspend() const;
  void resume() const;

  [[nodiscard]] std::filesystem::path socket() const { return directory_ / "redis.sock"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // One command over the unix socket, on a connection of its own.
  std::string operator()(const std::vector<std::string>& arguments) const {
    return RedisLink(socket())(arguments);
  }
  // How often it ran the command.
  [[nodiscard]] std::uint64_t calls(const std::string& command) const;

 private:
  authcached::testing::TemporaryDirectory directory_;
  std::uint16_t port_;
  std::vector<std::string> arguments_;
  std::unique_ptr<ChildProcess> child_;
};

}  // namespace authcache_test
