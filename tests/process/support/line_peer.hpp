// The client's end of one TCP connection on which lines go both ways. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/unique_fd.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

class LinePeer {
 public:
  explicit LinePeer(std::uint16_t port);  // 127.0.0.1

  void say(std::string_view line) const;
  // The next line, without its end; "end": the connection ended, "nothing": silence.
  [[nodiscard]] std::string hear(std::chrono::milliseconds within = kPatience);
  void close() { fd_.reset(); }

 private:
  authcache::shm::UniqueFd fd_;
  std::string input_;
};

}  // namespace authcache_test
