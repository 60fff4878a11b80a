// One connection to authcached.sock: who is on the other side, one question at a time, whole frames only.
//
// One thread at a time. A connection that met anything but a well-formed reply in time is not to be used
// again: the exchange says so, and its owner drops it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libclient/attachment.hpp"
#include "libclient/deadline.hpp"
#include "libclient/own_socket.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

enum class Exchanged : std::uint8_t {
  kReplied,
  kClosed,  // ended by the other side before it answered anything: of a pooled one, a restarted daemon
  kTimeout,
  kUnreachable,  // no such socket, nobody listening, or somebody who must not be believed
  kProtocol,     // a frame, an id or a type that no daemon sends
};

class MissConnection {
 public:
  // Connects and checks the other side's uid: root, this process's, or the configured daemon's. On failure
  // the pointer is empty, `why` says which way and `sentence` in words.
  struct Opened {
    std::unique_ptr<MissConnection> connection;
    Exchanged why = Exchanged::kUnreachable;
    std::string sentence;
  };
  static Opened open(Attacher& attacher, std::uint64_t owner, const Deadline& deadline);

  // Sends one frame whose id is `request_id` and waits for the reply of that id and type. On kProtocol,
  // kClosed and kUnreachable sentence() has the words.
  Exchanged exchange(std::string_view frame, std::uint64_t request_id, shm::wire::Type reply,
                     const Deadline& deadline, std::string& payload);

  [[nodiscard]] std::uint64_t owner() const { return owner_; }
  [[nodiscard]] bool is_ours() const { return socket_.is_ours(); }
  [[nodiscard]] const std::string& sentence() const { return sentence_; }

 private:
  MissConnection(OwnSocket socket, std::uint64_t owner, Attacher& attacher)
      : socket_(std::move(socket)), owner_(owner), attacher_(attacher) {}

  Exchanged wait(short events, const Deadline& deadline);
  Exchanged send_all(std::string_view bytes, const Deadline& deadline);
  // Fills size bytes; collects descriptors, which close with `files`.
  Exchanged receive(char* out, std::size_t size, const Deadline& deadline, std::vector<shm::UniqueFd>& files);
  Exchanged receive_frame(shm::wire::Head& head, std::string& payload, const Deadline& deadline,
                          std::vector<shm::UniqueFd>& files);
  void take_hello(std::string_view payload, const std::vector<shm::UniqueFd>& files);
  Exchanged fail(Exchanged how, std::string sentence);

  OwnSocket socket_;
  const std::uint64_t owner_;  // of the fork guard: another process's connection is never written to
  Attacher& attacher_;
  std::uint64_t hello_id_ = 0;  // 0: not said yet, or answered
  bool said_hello_ = false;
  std::string sentence_;
};

}  // namespace authcache::client
