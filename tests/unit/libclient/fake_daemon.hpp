// A thread that sits on authcached.sock and misbehaves as told. For faults only: a real daemon is tested by
// running it.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace authcache::client_test {

// One connection as the daemon sees it.
class FakeConnection {
 public:
  explicit FakeConnection(int fd) : fd_(fd) {}

  bool read_all(char* out, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::recv(fd_, out + done, size - done, 0);
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    return true;
  }
  void send(std::string_view bytes) { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void send_with_files(std::string_view bytes, const std::vector<int>& files) {
    std::vector<char> control(CMSG_SPACE(files.size() * sizeof(int)));
    iovec range{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &range;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), files.data(), files.size() * sizeof(int));
    (void)!::sendmsg(fd_, &message, MSG_NOSIGNAL);
  }
  // What is sent to it from now on fails.
  void stop_reading() { ::shutdown(fd_, SHUT_RD); }
  // Ends this connection after the script returns.
  void hang_up() { open_ = false; }
  [[nodiscard]] bool open() const { return open_; }

 private:
  int fd_;
  bool open_ = true;
};

class FakeDaemon {
 public:
  // Called for each frame but the hellos, which are answered without recency bytes unless `on_hello` is set.
  using Script = std::function<void(FakeConnection&, const shm::wire::Head&, const std::string& payload)>;

  FakeDaemon(const std::filesystem::path& dir, Script script, Script on_hello = {})
      : script_(std::move(script)), on_hello_(std::move(on_hello)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (dir / shm::wire::kMissSocket).string();
    ::unlink(path.c_str());
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    listener_ = shm::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 16) != 0) {
      std::abort();
    }
    accepting_ = std::thread([this] { accept_all(); });
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;
  ~FakeDaemon() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    listener_.reset();  // whoever waits in the backlog learns it now
    drop_connections();
    for (auto& thread : serving_) thread.join();
  }

  void drop_connections() {
    const std::lock_guard lock(mutex_);
    for (const auto& fd : connections_) ::shutdown(fd.get(), SHUT_RDWR);
  }

  std::atomic<int> connects{0};
  std::atomic<int> questions{0};

 private:
  void accept_all() {
    for (;;) {
      shm::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      ++connects;
      const int number = fd.get();
      const std::lock_guard lock(mutex_);
      connections_.push_back(std::move(fd));
      serving_.emplace_back([this, number] { serve(number); });
    }
  }

  void serve(int fd) {
    FakeConnection connection(fd);
    char bytes[shm::wire::kHeadBytes];
    while (connection.open() && connection.read_all(bytes, sizeof bytes)) {
      const auto head = shm::wire::decode_head(bytes);
      std::string payload(head.size, '\0');
      if (!connection.read_all(payload.data(), payload.size())) break;
      if (head.type != shm::wire::Type::kHello) {
        ++questions;
        script_(connection, head, payload);
      } else if (on_hello_) {
        on_hello_(connection, head, payload);
      } else {
        std::string reply;
        shm::wire::append_hello_reply(reply, head.request_id, {});
        connection.send(reply);
      }
    }
    ::shutdown(fd, SHUT_RDWR);
  }

  Script script_;
  Script on_hello_;
  shm::UniqueFd listener_;
  std::thread accepting_;
  std::mutex mutex_;
  std::vector<shm::UniqueFd>
      connections_;  // closed at the end only: a number must not come to mean another socket
  std::vector<std::thread> serving_;
};

}  // namespace authcache::client_test
