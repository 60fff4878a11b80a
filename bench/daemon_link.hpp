// One blocking connection to a socket of authcached, frames in and out. One thread.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace authcache_bench {

class DaemonLink {
 public:
  explicit DaemonLink(const std::filesystem::path& socket);

  void send(std::string_view bytes);
  // Waits for at least one whole frame and hands over each that is there: fn(head, payload).
  template <class Fn>
  void receive(Fn fn) {
    for (bool any = false; !any;) {
      read_more();
      std::size_t at = 0;
      while (buffer_.size() - at >= authcache::shm::wire::kHeadBytes) {
        char head_bytes[authcache::shm::wire::kHeadBytes];
        std::memcpy(head_bytes, buffer_.data() + at, sizeof head_bytes);
        const auto head = authcache::shm::wire::decode_head(head_bytes);
        const std::string_view rest = std::string_view(buffer_).substr(at + authcache::shm::wire::kHeadBytes);
        if (rest.size() < head.size) break;
        fn(head, rest.substr(0, head.size));
        at += authcache::shm::wire::kHeadBytes + head.size;
        any = true;
      }
      buffer_.erase(0, at);
    }
  }

  // A request on the control socket; ends the program unless the answer says ok.
  std::string control(const std::string& request);

 private:
  void read_more();

  authcache::shm::UniqueFd fd_;
  std::string buffer_;
};

}  // namespace authcache_bench
