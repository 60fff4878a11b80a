// One blocking connection to memcached in its text protocol, and the least that can be done on it: a get is
// one send, and as many reads as its answer takes (one). No general client is leaner. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "shm/slot.hpp"
#include "shm/unique_fd.hpp"

namespace authcache_bench {

class MemcachedConnection {
 public:
  explicit MemcachedConnection(const std::filesystem::path& socket);

  // Without waiting for an answer: flush() says whether the server took all.
  void set(const authcache::shm::Key& key, std::string_view value);
  void flush();
  bool get(const authcache::shm::Key& key, void* value, std::size_t size);
  [[nodiscard]] std::string version();

 private:
  static constexpr std::size_t kNameBytes =
      48;  // a key in hexadecimal: the protocol allows no control characters
  static void write_name(const authcache::shm::Key& key, char* to);
  void send_all(std::string_view bytes);
  std::string_view receive_until(std::string_view end);

  authcache::shm::UniqueFd fd_;
  std::string pending_;
  char answer_[4096];
};

}  // namespace authcache_bench
