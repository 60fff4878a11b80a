// Keep-alive connections to a unix socket, one request under way on each, as a proxy's workers ask. One
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcache_bench {

class HttpLoad {
 public:
  // Every answer must begin with this status line, have no body, and no more than kAnswerBytesMax.
  HttpLoad(const std::filesystem::path& socket, std::size_t connections, std::string status_line);
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;

  // Sends these requests in turn, from where the last call ended, for this long; then waits for what is under
  // way. How many were answered a second. Ends the program at any other answer.
  double run(const std::vector<std::string>& requests, double seconds);

 private:
  static constexpr std::size_t kAnswerBytesMax = 4'096;
  struct Connection {
    authcache::shm::UniqueFd fd;
    std::string answer;
  };
  void send(Connection& connection, std::string_view request);
  // True once the answer is whole.
  bool receive(Connection& connection);

  std::string status_line_;
  std::vector<Connection> connections_;
  authcache::shm::UniqueFd poll_;
  std::size_t next_ = 0;
};

}  // namespace authcache_bench
