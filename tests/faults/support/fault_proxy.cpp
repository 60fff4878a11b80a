#include "tests/faults/support/fault_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>

namespace authcache_test {

using authcache::shm::UniqueFd;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr int kTurnMs = 10;
constexpr std::size_t kBufferedMax = 256 * 1024;  // of one direction: then it is the sender that waits
constexpr std::size_t kCutAfter = 60;             // bytes of an answer: within its first TLS record
constexpr std::size_t kPlainCutAfter = 20;        // of anything that a server says
constexpr milliseconds kDripPause{20};
constexpr milliseconds kSlowness{40};
// The client's last flight of the handshake is one record of application data in TLS 1.3, its request the
// next.
constexpr unsigned kRequestRecord = 2;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd bound(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  const sockaddr_in address = loopback(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("no loopback port " + std::to_string(port));
  }
  return fd;
}

UniqueFd listening(std::uint16_t port) {
  UniqueFd fd = bound(port);
  if (::listen(fd.get(), 128) != 0) throw std::runtime_error("cannot listen on a loopback port");
  return fd;
}

std::uint16_t port_of(const UniqueFd& fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

void close_by_reset(UniqueFd& fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd = UniqueFd();
}

}  // namespace

void FaultProxy::Records::pass(const char* bytes, std::size_t size) {
  constexpr unsigned char kApplicationData = 23;
  while (size > 0) {
    if (rest > 0) {
      const std::size_t part = std::min(rest, size);
      rest -= part;
      bytes += part;
      size -= part;
      continue;
    }
    head[head_bytes++] = static_cast<unsigned char>(*bytes++);
    --size;
    if (head_bytes < sizeof head) continue;
    head_bytes = 0;
    rest = head[3] * 256U + head[4];
    application += head[0] == kApplicationData ? 1 : 0;
  }
}

FaultProxy::FaultProxy() : thread_([this](const std::stop_token& stopped) { run(stopped); }) {}

FaultProxy::~FaultProxy() {
  thread_.request_stop();
  thread_.join();
}

std::size_t FaultProxy::add(std::uint16_t target, Stream stream) {
  const std::lock_guard lock(mutex_);
  Gate gate;
  gate.held = bound(0);
  gate.port = port_of(gate.held);
  gate.target = target;
  gate.stream = stream;
  gate.listener = listening(gate.port);
  gates_.push_back(std::move(gate));
  return gates_.size() - 1;
}

std::uint16_t FaultProxy::port(std::size_t gate) const {
  const std::lock_guard lock(mutex_);
  return gates_.at(gate).port;
}

void FaultProxy::begin(std::size_t number, Trouble trouble, std::uint16_t elsewhere) {
  const std::lock_guard lock(mutex_);
  Gate& gate = gates_.at(number);
  gate.trouble = trouble;
  gate.elsewhere = elsewhere;
  if (trouble == Trouble::kRefuse) gate.listener = UniqueFd();
  for (Pair& pair : pairs_) {
    if (pair.gate != number || pair.over) continue;
    pair.answered = 0;
    switch (trouble) {
      case Trouble::kRefuse:
      case Trouble::kResetAtOnce:
      case Trouble::kElsewhere: reset(pair); break;
      case Trouble::kClose: pair.over = true; break;
      case Trouble::kBlackHole:
      case Trouble::kVanish: pair.vanished = true; break;
      default: break;
    }
  }
}

void FaultProxy::end(std::size_t number) {
  const std::lock_guard lock(mutex_);
  Gate& gate = gates_.at(number);
  gate.trouble = Trouble::kNone;
  if (!gate.listener) gate.listener = listening(gate.port);
  for (Pair& pair : pairs_) {
    if (pair.gate == number && pair.elsewhere) reset(pair);
  }
}

void FaultProxy::run(const std::stop_token& stopped) {
  while (!stopped.stop_requested()) turn();
}

void FaultProxy::turn() {
  std::vector<pollfd> waiting;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(pairs_, [](const Pair& pair) { return pair.over; });
    for (const Gate& gate : gates_) waiting.push_back({gate.listener.get(), POLLIN, 0});
    for (const Pair& pair : pairs_) {
      // What may not be written yet is looked after at the next turn.
      const auto events = [&](const Side& side, const Side& other, bool may_write) {
        return static_cast<short>((!side.ended && other.out.size() < kBufferedMax ? POLLIN : 0) |
                                  (!side.out.empty() && may_write ? POLLOUT : 0));
      };
      const bool may_write = steady_clock::now() >= pair.not_before;
      waiting.push_back(
          {pair.vanished ? -1 : pair.client.fd.get(), events(pair.client, pair.server, may_write), 0});
      waiting.push_back(
          {pair.vanished ? -1 : pair.server.fd.get(), events(pair.server, pair.client, true), 0});
    }
  }
  const std::size_t gates = gates_.size();
  ::poll(waiting.data(), waiting.size(), kTurnMs);
  const std::lock_guard lock(mutex_);
  const std::size_t pairs = (waiting.size() - gates) / 2;  // gates and pairs are only added meanwhile
  for (std::size_t i = 0; i < pairs; ++i) {
    Pair& pair = pairs_[i];
    if (!pair.vanished && !pair.over) {
      serve(pair, waiting[gates + 2 * i].revents, waiting[gates + 2 * i + 1].revents);
    }
  }
  for (std::size_t i = 0; i < gates; ++i) {
    if (waiting[i].revents != 0 && gates_[i].listener) accept(i);
  }
}

void FaultProxy::accept(std::size_t number) {
  const Gate& gate = gates_[number];
  Pair pair;
  pair.gate = number;
  pair.client.fd = UniqueFd(::accept4(gate.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!pair.client.fd || gate.trouble == Trouble::kClose) return;
  if (gate.trouble == Trouble::kResetAtOnce) return close_by_reset(pair.client.fd);
  pair.vanished = gate.trouble == Trouble::kBlackHole;
  pair.elsewhere = gate.trouble == Trouble::kElsewhere;
  pair.server.fd = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(pair.elsewhere ? gate.elsewhere : gate.target);
  // On loopback this is decided at once, also by a server that stands still.
  if (::connect(pair.server.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return close_by_reset(pair.client.fd);
  }
  pairs_.push_back(std::move(pair));
}

void FaultProxy::serve(Pair& pair, short client_events, short server_events) {
  if ((client_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !pair.client.ended) from_client(pair);
  if (pair.over) return;
  if ((server_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !pair.server.ended) from_server(pair);
  if (pair.over) return;
  write(pair.server, kBufferedMax * 2);
  to_client(pair, steady_clock::now());
  const bool sent = pair.client.out.empty() && pair.server.out.empty();
  if (sent && (pair.client.ended || pair.server.ended)) pair.over = true;
}

void FaultProxy::from_client(Pair& pair) {
  char bytes[16 * 1024];
  const ssize_t got = ::recv(pair.client.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    pair.client.ended = true;
    return;
  }
  pair.records.pass(bytes, static_cast<std::size_t>(got));
  pair.server.out.insert(pair.server.out.end(), bytes, bytes + got);
}

void FaultProxy::from_server(Pair& pair) {
  char bytes[16 * 1024];
  const ssize_t got = ::recv(pair.server.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return reset(pair);
  if (got == 0) {
    pair.server.ended = true;
    return;
  }
  if (pair.client.out.empty() && gates_[pair.gate].trouble == Trouble::kSlow) {
    pair.not_before = steady_clock::now() + kSlowness;
  }
  pair.client.out.insert(pair.client.out.end(), bytes, bytes + got);
}

void FaultProxy::to_client(Pair& pair, Time now) {
  if (pair.client.out.empty() || now < pair.not_before) return;
  const Trouble trouble = gates_[pair.gate].trouble;
  const bool plain = gates_[pair.gate].stream == Stream::kPlain;
  const std::size_t cut_after = plain ? kPlainCutAfter : kCutAfter;
  const bool cuts = (trouble == Trouble::kResetInAnswer || trouble == Trouble::kTruncate) &&
                    (plain || pair.records.application >= kRequestRecord);
  if (trouble == Trouble::kDrip) {
    write(pair.client, 1);
    pair.not_before = now + kDripPause;
    return;
  }
  if (!cuts) return write(pair.client, kBufferedMax * 2);
  const std::size_t waiting = pair.client.out.size();
  write(pair.client, cut_after - std::min(pair.answered, cut_after));
  pair.answered += waiting - pair.client.out.size();
  if (pair.answered < cut_after) return;
  if (trouble == Trouble::kResetInAnswer) return reset(pair);
  pair.over = true;  // FIN: what the client sent was read
}

void FaultProxy::write(Side& side, std::size_t most) {
  const std::size_t size = std::min(most, side.out.size());
  if (size == 0) return;
  const ssize_t sent = ::send(side.fd.get(), side.out.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) side.out.erase(side.out.begin(), side.out.begin() + sent);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    side.out.clear();
    side.ended = true;
  }
}

void FaultProxy::reset(Pair& pair) {
  close_by_reset(pair.client.fd);
  pair.over = true;
}

}  // namespace authcache_test
