// A connection to the daemon's HTTP face that sends any bytes, as proxies do and as hostile peers do. One
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/unique_fd.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

struct HttpReply {
  int status = 0;  // 0: none came
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::string bytes;  // all of it, as it came

  [[nodiscard]] std::string field(
      std::string_view name) const;  // of the first of this name, in any case; "" if there is none
};

class HttpPeer {
 public:
  explicit HttpPeer(const std::filesystem::path& socket);
  explicit HttpPeer(std::uint16_t port, bool ipv6 = false);  // of the loopback

  [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }
  bool send(std::string_view bytes) const;
  // The next whole answer; status 0 if the peer closes first or the time is over.
  [[nodiscard]] HttpReply receive(bool without_body = false, std::chrono::milliseconds within = kPatience);
  [[nodiscard]] HttpReply ask(std::string_view request);
  [[nodiscard]] bool is_closed(std::chrono::milliseconds within = kPatience);

 private:
  bool fill(std::chrono::milliseconds within);

  authcache::shm::UniqueFd fd_;
  std::string input_;
  bool ended_ = false;
};

// "Name: value" each.
using FieldLines = std::vector<std::string>;
[[nodiscard]] std::string http_get(std::string_view target, const FieldLines& fields = {},
                                   std::string_view method = "GET");
[[nodiscard]] std::string http_post(std::string_view target, std::string_view form,
                                    const FieldLines& fields = {});
[[nodiscard]] std::string bearer(std::string_view token);
[[nodiscard]] std::string basic(std::string_view name, std::string_view secret);
[[nodiscard]] std::uint16_t free_port();  // of the loopback, free a moment ago

}  // namespace authcache_test
