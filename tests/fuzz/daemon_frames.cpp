// The daemon's end of a socket: any bytes, in any pieces. The handler sees exactly the frames that stand at
// the front of the stream, the answers come in their order, and one that is too large or of another version
// ends the connection.
//
// The input is a run of steps: 0 raw bytes, 1 a whole frame, 2 the bytes so far are sent before the rest.
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "daemon/io/frame_server.hpp"
#include "shm/unique_fd.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace authcached;
using authcache::shm::UniqueFd;
using authcache_fuzz::Bytes;
namespace wire = authcache::shm::wire;

constexpr std::size_t kPayloadMax = 1'000;
// A machine that stood still so long may rightly have cost the connection: the daemon ends what is overdue. The
// input is tried again then, so that only the machine is excused, never the daemon.
constexpr std::chrono::seconds kStall{2};
constexpr int kTries = 3;
constexpr auto kEnding = wire::Type::kError;  // what the handler takes for a reason to end

// Answers every frame by its own bytes, and ends the connection at one type. What the real handler decodes is
// decoded.
void echo(const std::shared_ptr<Connection>& connection, const wire::Head& head, std::string_view payload) {
  (void)wire::decode_validate(payload);
  (void)wire::decode_text_request(payload);
  (void)wire::decode_watch(payload);
  std::string frame;
  wire::append_frame(frame, head.type, head.request_id, payload);
  connection->send(frame);
  if (head.type == kEnding) connection->end();
}

class Server {
 public:
  Server() : loop_(Loop::create().value()) {
    server_ =
        FrameServer::listen(*loop_, {directory_ / "sock", static_cast<gid_t>(-1), kPayloadMax, 64}, echo)
            .value();
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~Server() {
    loop_->post([this] {
      server_.reset();
      loop_->stop();
    });
    thread_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (directory_ / "sock").c_str());
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("connect");
    return fd;
  }

 private:
  authcached::testing::TemporaryDirectory directory_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<FrameServer> server_;
  std::thread thread_;
};

std::vector<std::string> pieces_of(std::string_view input) {
  std::vector<std::string> pieces(1);
  Bytes bytes(input);
  while (!bytes.empty()) {
    switch (bytes.byte() % 3) {
      case 0: pieces.back().append(bytes.take_counted()); break;
      case 1: {
        const auto type = static_cast<wire::Type>(bytes.byte());
        const std::uint64_t id = bytes.byte();
        wire::append_frame(pieces.back(), type, id, bytes.take_counted());
        break;
      }
      default: pieces.emplace_back(); break;
    }
  }
  return pieces;
}

struct Expected {
  std::string echoed;
  bool refused = false;  // an error frame follows
};

Expected expected_of(std::string_view stream) {
  Expected expected;
  while (stream.size() >= wire::kHeadBytes) {
    char bytes[wire::kHeadBytes];
    std::memcpy(bytes, stream.data(), sizeof bytes);
    const wire::Head head = wire::decode_head(bytes);
    expected.refused = head.version != wire::kVersion || head.size > kPayloadMax;
    if (expected.refused || stream.size() - wire::kHeadBytes < head.size) return expected;
    wire::append_frame(expected.echoed, head.type, head.request_id,
                       stream.substr(wire::kHeadBytes, head.size));
    if (head.type == kEnding) return expected;
    stream.remove_prefix(wire::kHeadBytes + head.size);
  }
  return expected;
}

// libFuzzer's alarm comes without SA_RESTART every few seconds.
template <class Call>
ssize_t uninterrupted(Call call) {
  ssize_t result = 0;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

std::string answers_to(const UniqueFd& socket, const std::vector<std::string>& pieces) {
  for (const std::string& piece : pieces) {
    const auto send = [&] { return ::send(socket.get(), piece.data(), piece.size(), MSG_NOSIGNAL); };
    if (!piece.empty() && uninterrupted(send) < 0) break;  // it has ended
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string all;
  char buffer[4096];
  const auto receive = [&] { return ::recv(socket.get(), buffer, sizeof buffer, 0); };
  for (ssize_t got = 0; (got = uninterrupted(receive)) > 0;)
    all.append(buffer, static_cast<std::size_t>(got));
  return all;
}

std::string answers_without_stall(const Server& server, const std::vector<std::string>& pieces) {
  for (int tries = 1;; ++tries) {
    const auto began = std::chrono::steady_clock::now();
    std::string answers = answers_to(server.connect(), pieces);
    if (tries == kTries || std::chrono::steady_clock::now() - began <= kStall) return answers;
  }
}

}  // namespace

FUZZ_TARGET(daemon_frames) {
  static const Server server;
  if (input.size() > 16 * 1024) return;  // more than fits into a socket's buffer would wait for a reader
  const std::vector<std::string> pieces = pieces_of(input);
  std::string stream;
  for (const std::string& piece : pieces) stream += piece;
  const Expected expected = expected_of(stream);
  const std::string answers = answers_without_stall(server, pieces);
  FUZZ_REQUIRE(answers.starts_with(expected.echoed));
  const std::string_view rest = std::string_view(answers).substr(expected.echoed.size());
  FUZZ_REQUIRE(rest.empty() == !expected.refused);
  if (!expected.refused) return;
  FUZZ_REQUIRE(rest.size() > wire::kHeadBytes);
  char bytes[wire::kHeadBytes];
  std::memcpy(bytes, rest.data(), sizeof bytes);
  const wire::Head head = wire::decode_head(bytes);
  FUZZ_REQUIRE(head.type == wire::Type::kError && head.size == rest.size() - wire::kHeadBytes);
}
