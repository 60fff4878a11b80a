// One connection to the daemon's control socket: a request, then its answer, under a deadline. Blocking; one
// thread.
//
// Invariants
// 1. Nothing is sent before the peer has shown, by SO_PEERCRED, to be root, this user or the directory's
// owner:
//    requests carry tokens, and whoever could name a socket here would collect them.
// 2. Failures before the first byte is sent are kUnreachable: nothing was asked. Failures after it are
// kCannotTell: the
//    daemon may have acted. After one, the connection is closed and every later exchange fails.
// 3. What the peer sends is bounded before it is stored.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "shm/unique_fd.hpp"
#include "tools/authctl/exit_code.hpp"

namespace authctl {

class ControlClient {
 public:
  static Outcome<ControlClient> connect(const std::filesystem::path& runtime_dir,
                                        std::chrono::nanoseconds timeout);
  // Over a connected stream socket whose peer has been judged.
  ControlClient(authcache::shm::UniqueFd socket, std::chrono::nanoseconds timeout)
      : socket_(std::move(socket)), timeout_(timeout) {}

  // Sends one JSON document and returns the one that answers it. The timeout starts anew with each exchange.
  Outcome<std::string> exchange(std::string_view request);

 private:
  authcache::shm::UniqueFd socket_;
  std::chrono::nanoseconds timeout_;
};

// Uid 65534 is what a foreign user namespace shows for anyone: it names nobody.
[[nodiscard]] bool trusted_peer(uid_t peer, uid_t self, uid_t directory_owner);

// Why connecting failed, and what to do about it.
[[nodiscard]] Failure connect_failure(const std::filesystem::path& socket, int error_number);

}  // namespace authctl
