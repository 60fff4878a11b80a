// A daemon's control socket for tests: one directory, one connection, one thread that runs what the test
// says.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace authctl::testing {

class FakeControlServer {
 public:
  using Serve = std::function<void(int connection)>;

  explicit FakeControlServer(Serve serve) {
    char name[] = "/tmp/authctl-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    ::chmod(name, 0750);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (directory_ / authcache::shm::wire::kControlSocket).string();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 1);
    thread_ = std::thread([this, run = std::move(serve)] {
      const authcache::shm::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) run(connection.get());
    });
  }
  ~FakeControlServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // a test that never connected leaves the thread in accept
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  FakeControlServer(const FakeControlServer&) = delete;
  FakeControlServer& operator=(const FakeControlServer&) = delete;

  // Makes the socket one that this uid serves: a peer sees who called listen. Needs root; the raw call
  // changes the credentials of one thread, which ends here.
  void serve_as(uid_t uid) {
    std::thread([this, uid] {
      ::syscall(SYS_setresuid, -1, uid, -1);
      ::listen(listener_.get(), 1);
    }).join();
  }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path directory_;
  authcache::shm::UniqueFd listener_;
  std::thread thread_;
};

struct Asked {
  std::uint64_t id = 0;
  std::string text;
};

// The next whole request; an empty text at the end of the connection.
inline Asked read_request(int connection) {
  char bytes[authcache::shm::wire::kHeadBytes];
  if (::recv(connection, bytes, sizeof bytes, MSG_WAITALL) != static_cast<ssize_t>(sizeof bytes)) return {};
  const auto head = authcache::shm::wire::decode_head(bytes);
  Asked asked{head.request_id, std::string(head.size, '\0')};
  ::recv(connection, asked.text.data(), asked.text.size(), MSG_WAITALL);
  return asked;
}

inline void send_bytes(int connection, const std::string& bytes) {
  ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

inline std::string reply_frame(std::uint64_t id, const std::string& text,
                               authcache::shm::wire::Type type = authcache::shm::wire::Type::kControlReply) {
  std::string frame;
  authcache::shm::wire::append_frame(frame, type, id, text);
  return frame;
}

// Until the client goes away: keeps a silent connection open.
inline void wait_for_close(int connection) {
  char byte = 0;
  while (::recv(connection, &byte, 1, 0) > 0) {
  }
}

// Answers every request by what `answer` makes of it.
inline FakeControlServer::Serve answering(std::function<std::string(const std::string&)> answer) {
  return [answer = std::move(answer)](int connection) {
    for (Asked asked = read_request(connection); !asked.text.empty(); asked = read_request(connection)) {
      send_bytes(connection, reply_frame(asked.id, answer(asked.text)));
    }
  };
}

}  // namespace authctl::testing
