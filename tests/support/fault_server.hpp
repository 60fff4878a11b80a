// A server that does what a test tells it, byte by byte: with TLS or without, on a loopback port of its own.
// Each connection runs the test's script on a thread; the destructor ends them all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/test_ca.hpp"

namespace authcached::testing {

// One accepted connection, blocking. After a failure reads give nothing and writes do nothing.
class ServerSide {
 public:
  virtual ~ServerSide() = default;
  virtual std::string read_some() = 0;                        // "" at the end
  virtual std::string read_until(std::string_view mark) = 0;  // with what came before and behind
  virtual bool write(std::string_view bytes) = 0;
  virtual void goodbye() = 0;                    // TLS: close_notify
  virtual void reset() = 0;                      // the connection ends by RST
  virtual void end() = 0;                        // it ends by FIN, without close_notify
  virtual bool stay() = 0;                       // waits until the client is gone
  [[nodiscard]] virtual int number() const = 0;  // of the connection, from 0
};

struct FaultServerOptions {
  std::optional<Leaf> leaf{};  // with TLS
  std::string protocol{};      // chosen by ALPN if offered: "h2"
  int tls_version_max = 0;     // OpenSSL's number; 0: the newest
  const char* address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any that is free
  bool accept = true;      // false: connections come about and nobody answers
};

class FaultServer {
 public:
  using Script = std::function<void(ServerSide&)>;
  FaultServer(FaultServerOptions options, Script script);
  ~FaultServer();

  // Whoever connects from now on is refused; those that are open go on.
  void refuse_more();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] std::string url(std::string_view path = "/") const;  // 127.0.0.1

 private:
  void accept_all();
  void serve(int fd, int number);

  FaultServerOptions options_;
  Script script_;
  std::shared_ptr<void> context_;  // SSL_CTX
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::list<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace authcached::testing
