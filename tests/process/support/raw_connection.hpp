// A connection to one of the daemon's sockets that sends any bytes, as a broken or hostile peer does. One
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

struct Frame {
  authcache::shm::wire::Head head;
  std::string payload;
};

class RawConnection {
 public:
  explicit RawConnection(const std::filesystem::path& socket);  // connected() says whether it worked

  [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }
  // False when the peer does not take them: full for too long, or closed.
  bool send(std::string_view bytes) const;
  // The next whole frame; none if the peer closes first or the time is over.
  [[nodiscard]] std::optional<Frame> receive(std::chrono::milliseconds within = kPatience);
  // Reads on until the peer closes; false if it does not.
  [[nodiscard]] bool is_closed(std::chrono::milliseconds within = kPatience);
  void close() { fd_ = authcache::shm::UniqueFd(); }

 private:
  bool fill(std::chrono::milliseconds within);

  authcache::shm::UniqueFd fd_;
  std::string input_;
  bool ended_ = false;
};

// Head and payload as they are told, whether they fit each other or not.
[[nodiscard]] std::string raw_frame(std::uint32_t size, std::uint16_t version, std::uint16_t type,
                                    std::uint64_t id, std::string_view payload);
[[nodiscard]] std::string validate_frame(std::uint64_t id, std::string_view profile, std::string_view token);

}  // namespace authcache_test
