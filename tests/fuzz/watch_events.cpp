// The SDK's end of a watching connection: a daemon that says any bytes, in any pieces. A watch ends as the
// daemon said, in a whole frame for that watch, or as unavailable; once; and never as valid.
//
// The input is a run of steps, behind each of which events are fetched: 0 raw bytes, 1 the end of one watch,
// 2 an answer to the hello, 3 a refusal, 4 the connection closes.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "libclient/watch_set.hpp"
#include "shm/coarse_clock.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_table.hpp"

namespace {

using namespace authcache;
using authcache_fuzz::Bytes;
using shm::Verdict;
using shm::wire::Type;

constexpr std::size_t kWatches = 3;

class World {
 public:
  World() {
    listener_ = shm::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (table_.dir() / shm::wire::kMissSocket).c_str());
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 8) != 0) {
      throw std::runtime_error("cannot listen");
    }
    guard_ = client::ForkGuard::create().value();
    attacher_ =
        std::make_unique<client::Attacher>(table_.dir(), static_cast<uid_t>(-1), *guard_, last_error_);
    if (!attacher_->attach()) throw std::runtime_error("cannot attach");
  }
  // One thread: the connection stands in the backlog until it is accepted.
  [[nodiscard]] shm::UniqueFd accept() const {
    return shm::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  std::unique_ptr<client::WatchSet> set() {
    table_.writer().beat(shm::coarse_now_ns());
    return std::make_unique<client::WatchSet>(guard_->owner(), *attacher_, last_error_, false);
  }

 private:
  authcache_test::TempTable table_;
  client::LastError last_error_;
  shm::UniqueFd listener_;
  std::unique_ptr<client::ForkGuard> guard_;
  std::unique_ptr<client::Attacher> attacher_;
};

// What a stream's whole frames say of one watch before the first that no daemon sends: the first word counts.
std::optional<shm::wire::WatchEnded> said_of(std::string_view stream, std::uint64_t watch) {
  while (stream.size() >= shm::wire::kHeadBytes) {
    char bytes[shm::wire::kHeadBytes];
    std::memcpy(bytes, stream.data(), sizeof bytes);
    const shm::wire::Head head = shm::wire::decode_head(bytes);
    stream.remove_prefix(sizeof bytes);
    if (head.version != shm::wire::kVersion || stream.size() < head.size) return std::nullopt;
    const auto ended = shm::wire::decode_watch_ended(stream.substr(0, head.size));
    if (head.type == Type::kWatchEnded && !ended) return std::nullopt;
    if (head.type == Type::kWatchEnded && head.request_id == watch) return ended;
    if (head.type != Type::kWatchEnded && head.type != Type::kHelloReply) return std::nullopt;
    stream.remove_prefix(head.size);
  }
  return std::nullopt;
}

std::uint64_t hello_of(const shm::UniqueFd& peer) {
  char bytes[shm::wire::kHeadBytes] = {};
  (void)!::recv(peer.get(), bytes, sizeof bytes, MSG_WAITALL);
  return shm::wire::decode_head(bytes).request_id;
}

std::string step_of(Bytes& bytes, const std::vector<std::uint64_t>& watches, std::uint64_t hello_id,
                    bool& closes) {
  std::string frame;
  switch (bytes.byte() % 5) {
    case 0: return std::string(bytes.take_counted());
    case 1: {
      const std::uint64_t watch = watches[bytes.byte() % watches.size()];
      const char payload[] = {static_cast<char>(bytes.byte()), static_cast<char>(bytes.byte())};
      shm::wire::append_frame(frame, Type::kWatchEnded, watch, {payload, sizeof payload});
      return frame;
    }
    case 2: shm::wire::append_hello_reply(frame, (bytes.byte() & 1) != 0 ? hello_id : 1, {}); return frame;
    case 3:
      shm::wire::append_frame(frame, Type::kError, (bytes.byte() & 1) != 0 ? watches[0] : 0,
                              bytes.take_counted());
      return frame;
    default: closes = true; return {};
  }
}

}  // namespace

FUZZ_TARGET(watch_events) {
  static World world;
  if (input.size() > 16 * 1024) return;  // more than fits into a socket's buffer would wait for a reader
  const auto set = world.set();
  std::vector<std::uint64_t> watches;
  for (std::uint64_t i = 0; i < kWatches; ++i) watches.push_back(set->add({i, i, i}, i).value());
  shm::UniqueFd peer = world.accept();
  const std::uint64_t hello_id = hello_of(peer);
  std::string stream;
  std::vector<std::uint64_t> told;
  Bytes bytes(input);
  for (bool closed = false; !closed && !bytes.empty();) {
    const std::string piece = step_of(bytes, watches, hello_id, closed);
    if (::send(peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;  // it hung up
    stream += piece;
    if (closed) peer.reset();
    while (const auto event = set->next()) {
      FUZZ_REQUIRE(event->data < kWatches && watches[event->data] == event->watch);
      FUZZ_REQUIRE(std::ranges::find(told, event->watch) == told.end());
      told.push_back(event->watch);
      const auto said = said_of(stream, event->watch);
      const bool as_said = said && said->verdict == event->end.verdict && said->reason == event->end.reason;
      FUZZ_REQUIRE(as_said || event->end.verdict == Verdict::kUnavailable);
      FUZZ_REQUIRE(!set->remove(event->watch));
    }
  }
  for (const std::uint64_t watch : watches) {
    const bool was_told = std::ranges::find(told, watch) != told.end();
    FUZZ_REQUIRE(set->remove(watch) == !was_told);
  }
}
