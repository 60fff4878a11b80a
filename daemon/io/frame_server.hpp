// A unix stream socket that speaks the frames of shm/WIRE.md: accepts, asks the kernel who is there, cuts the stream
// into frames and writes answers. Loop thread only.
//
// Every complete frame of one read is handled before anything is written, and all answers given meanwhile go out in
// one write: under load the system calls are shared by many requests.
//
// What a peer can take of the daemon is bounded, whatever it sends, leaves unsent or leaves unread: frames, connections,
// time for a frame, time without reading, output of one and of all. At the bound of connections no user keeps another
// out by holding more than a share.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/io/loop.hpp"
#include "daemon/io/unix_socket.hpp"
#include "shm/result.hpp"
#include "shm/wire.hpp"

namespace authcached {

class Connection {
 public:
  virtual ~Connection() = default;
  // Queues whole frames. After the end of the connection it does nothing.
  virtual void send(std::string_view frames) = 0;
  // The same, with a descriptor beside the first byte. The descriptor is not taken over. False, and nothing is sent,
  // if output is waiting: then go without.
  virtual bool send_with_descriptor(std::string_view frames, int fd) = 0;
  // Ends the connection once what was sent before is written; frames that came behind the one at hand are not handled.
  virtual void end() = 0;
  [[nodiscard]] virtual const Peer& peer() const = 0;
};

struct FrameServerOptions {
  std::filesystem::path path;
  gid_t group = static_cast<gid_t>(-1);
  std::size_t payload_max = 0;
  std::size_t connections_max = 0;
};

class FrameServer {
 public:
  using Handler = std::function<void(const std::shared_ptr<Connection>&, const authcache::shm::wire::Head&, std::string_view payload)>;

  // Binds under a temporary name with mode 0600, sets group and mode 0660, then renames over path: nobody connects to a
  // half-made socket, and the path is never absent. The caller holds the lock that says it may.
  static authcache::shm::Result<std::unique_ptr<FrameServer>> listen(Loop& loop, FrameServerOptions options, Handler handler);
  ~FrameServer();  // closes all connections and unlinks the path

  [[nodiscard]] std::size_t connections() const;

  struct Impl;

 private:
  explicit FrameServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace authcached
