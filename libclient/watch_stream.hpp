// A connection to authcached.sock that never waits: it takes what is there and sends what there is room for.
// Watches have one, and the questions of an event loop another. One thread at a time. Nothing that it received is believed but the layout of frames; its owner judges them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "libclient/own_socket.hpp"
#include "shm/result.hpp"
#include "shm/unique_fd.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

class WatchStream {
 public:
  // Fails at once where a blocking connect would wait. kSystem: it may succeed in a moment (a full backlog, no
  // descriptor free); else nobody serves there, or nobody to be believed.
  [[nodiscard]] static shm::Result<WatchStream> connect(const std::filesystem::path& dir, uid_t daemon_uid);
  WatchStream() = default;

  [[nodiscard]] const OwnSocket& socket() const { return socket_; }
  [[nodiscard]] bool is_open() const { return socket_.get() >= 0; }

  // Whole frames, sent as room comes. May throw bad_alloc, and has queued nothing then.
  void queue(std::string_view frames) { output_.append(frames); }
  // False once the other side is gone; what it sent before can still be read.
  [[nodiscard]] bool send_queued();
  [[nodiscard]] bool has_queued() const { return !output_.empty(); }

  // Takes what is there, up to a bound. False once there is nothing more to come. May throw bad_alloc, and has taken
  // nothing then.
  [[nodiscard]] bool receive();
  // The same, with the descriptors that came along.
  [[nodiscard]] bool receive(std::vector<shm::UniqueFd>& files);
  // Whether the last receive() stopped at its bound.
  [[nodiscard]] bool may_have_more() const { return stopped_at_bound_; }
  enum class Next : std::uint8_t { kFrame, kNone, kNotOurs };  // kNotOurs: another version, or over the limit
  // The payload stands until the next receive().
  [[nodiscard]] Next next_frame(shm::wire::Head& head, std::string_view& payload);

  // Ends it for whoever else holds a copy of this socket too, which a child that was forked must not.
  void shut_down() const;
  // Closes this process's number and looks at nothing else, as a forked child must.
  void close_copy() { socket_ = OwnSocket(); }

 private:
  explicit WatchStream(OwnSocket socket) : socket_(std::move(socket)) {}

  OwnSocket socket_;
  std::string output_;
  std::string input_;
  std::size_t taken_ = 0;  // of input_
  bool stopped_at_bound_ = false;
};

}  // namespace authcache::client
