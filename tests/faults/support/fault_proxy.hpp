// TCP relays between a client and a server, each on a loopback port of its own, that fail in the ways
// networks and proxies do. They see TLS from outside: nothing is decrypted; or bytes of which they know
// nothing. One thread of its own does all of the work; the methods may be called by any other.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authcache_test {

enum class Trouble : std::uint8_t {
  kNone,
  kRefuse,         // nobody listens; open connections are reset
  kResetAtOnce,    // every connection is reset, new ones once they are there
  kResetInAnswer,  // by RST within what follows a request
  kTruncate,       // by FIN within a TLS record of it, without close_notify
  kClose,          // by FIN as soon as they are there
  kBlackHole,      // connections come about and nothing moves on them
  kVanish,         // the same with those open so far; new ones are as they should be
  kDrip,           // a byte at a time from the server
  kSlow,           // everything from the server a little later
  kElsewhere,      // new connections go to another port
};

class FaultProxy {
 public:
  FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;
  ~FaultProxy();

  enum class Stream : std::uint8_t { kTls, kPlain };

  // A relay to this port of 127.0.0.1: its number. Throws std::runtime_error.
  [[nodiscard]] std::size_t add(std::uint16_t target, Stream stream = Stream::kTls);
  [[nodiscard]] std::uint16_t port(std::size_t gate) const;
  void begin(std::size_t gate, Trouble trouble, std::uint16_t elsewhere = 0);
  // From now on it relays again. What was led elsewhere is reset; what vanished stays so.
  void end(std::size_t gate);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Gate {
    std::uint16_t port = 0, target = 0, elsewhere = 0;
    Stream stream = Stream::kTls;
    Trouble trouble = Trouble::kNone;
    authcache::shm::UniqueFd held;      // bound and never listening: nobody else gets the port
    authcache::shm::UniqueFd listener;  // none while refusing
  };
  struct Side {
    authcache::shm::UniqueFd fd;
    std::vector<char> out;  // not written to it yet
    bool ended = false;     // nothing more is read from it
  };
  // The client's TLS records as they pass: how far into one it is, and how many carried application data.
  struct Records {
    unsigned char head[5];
    std::size_t head_bytes = 0, rest = 0;
    unsigned application = 0;
    void pass(const char* bytes, std::size_t size);
  };
  struct Pair {
    std::size_t gate = 0;
    Side client, server;
    Records records;
    bool vanished = false, elsewhere = false, over = false;
    std::size_t answered = 0;  // bytes to the client since a request
    Time not_before{};         // for what goes to the client
  };

  void run(const std::stop_token& stopped);
  void turn();
  void accept(std::size_t gate);
  void serve(Pair& pair, short client_events, short server_events);
  void from_client(Pair& pair);
  void from_server(Pair& pair);
  void to_client(Pair& pair, Time now);
  static void write(Side& side, std::size_t most);
  static void reset(Pair& pair);

  mutable std::mutex mutex_;
  std::vector<Gate> gates_;
  std::vector<Pair> pairs_;
  std::jthread thread_;
};

}  // namespace authcache_test
